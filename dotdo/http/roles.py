"""Who may do what: bearer tokens and their roles.

    viewer     reads: fields, lists, executions, streams, metrics
    caller     and calls: methods, events, workflows, callbacks, Cap'n Web
    operator   and acts on what others started: executions, approvals, tasks, dead letters, schedules, entities

Each role holds the one before. Without tokens only this machine is answered: a request whose both ends are loopback (or a
Unix socket), which names a loopback host and comes from no other origin, so that no web page can reach it through the
browser of whoever works here. Health and webhooks, which have signatures of their own, take no token; nor, where there are
tokens, do the files of the pages at / and /docs, which know nothing and ask for one.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dotdo.errors import DefinitionError
from dotdo.http.problems import Problem

ROLES = ("viewer", "caller", "operator")
TOKEN_LENGTH_MIN = 16
TOKEN_LENGTH_MAX = 512
OPEN_PATHS = frozenset({"/health", "/ready"})
PAGES = frozenset({"/", "/docs"})
PAGE_FILES = ("/assets/", "/docs/")

_ACTS = ("/executions/", "/approvals/", "/approvals", "/tasks/", "/tasks", "/dead-letters", "/schedules", "/entities")
READS = frozenset({"GET", "HEAD", "OPTIONS"})

SUBPROTOCOL = "dotdo"
SUBPROTOCOL_TOKEN = "bearer."  # noqa: S105  # what a token is written after
"""How a browser's WebSocket, which can set no header, brings its token: `new WebSocket(url, ["dotdo", "bearer." + token])`."""


class Tokens:
    """The tokens of a door. Kept as hashes, compared in constant time."""

    def __init__(self, tokens: Mapping[str, str] | None) -> None:
        self._roles: list[tuple[bytes, int]] = []
        for token, role in (tokens or {}).items():
            if role not in ROLES:
                raise DefinitionError(f"the role {role!r} of a token is none of {', '.join(ROLES)}")
            if not isinstance(token, str) or not TOKEN_LENGTH_MIN <= len(token) <= TOKEN_LENGTH_MAX:
                raise DefinitionError(f"a token of the role {role} has {TOKEN_LENGTH_MIN} to {TOKEN_LENGTH_MAX} characters")
            self._roles.append((_hash(token), ROLES.index(role)))

    def __bool__(self) -> bool:
        return bool(self._roles)

    def rank_of(self, token: str) -> int | None:
        """The rank of the token's role, None for a token that is not known."""
        given, found = _hash(token[: TOKEN_LENGTH_MAX + 1]), None
        for known, rank in self._roles:
            if hmac.compare_digest(known, given):
                found = rank
        return found


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def acts(method: str, path: str) -> bool:
    """True for what an operator does: it changes what lists and records say."""
    return method not in READS and path.startswith(_ACTS)


def needed(method: str, path: str) -> int:
    """The rank a request needs."""
    if method in READS:
        return 0
    if path.startswith("/executions/") and path.endswith("/signal"):
        return 1
    return 2 if acts(method, path) else 1


def check(scope: Mapping[str, Any], headers: Mapping[str, str], tokens: Tokens, origins: frozenset[str]) -> int:
    """The rank of who asks. Raises Problem (401 or 403) unless the request may be answered."""
    path = scope["path"]
    method = scope.get("method", "GET")
    if method in READS and path in OPEN_PATHS and scope["type"] == "http":
        return 0
    if tokens and method in READS and (path in PAGES or path.startswith(PAGE_FILES)) and scope["type"] == "http":
        return 0
    if not tokens:
        check_is_local(scope, headers, origins)
        return len(ROLES) - 1
    token = token_of(headers)
    if token is None:
        raise Problem(401, "no_token", "this needs a token: Authorization: Bearer <token>", headers={"www-authenticate": "Bearer"})
    rank = tokens.rank_of(token)
    if rank is None:
        raise Problem(
            401, "unknown_token", "this token is not known", headers={"www-authenticate": 'Bearer error="invalid_token"'}
        )  # fmt: skip
    wanted = 1 if scope["type"] == "websocket" else needed(method, path)
    if rank < wanted:
        raise Problem(403, "role_too_low", f"the role {ROLES[rank]} may not do this: it takes {ROLES[wanted]}")
    return rank


def need(request: Any, role: str, what: str) -> None:
    """Raise Problem (403) unless who asks has at least this role."""
    if request.scope["state"]["rank"] < ROLES.index(role):
        raise Problem(403, "role_too_low", f"{what} takes the role {role}")


def token_of(headers: Mapping[str, str]) -> str | None:
    """The bearer token of a request, or of a WebSocket's subprotocols."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    for offered in headers.get("sec-websocket-protocol", "").split(","):
        if offered.strip().startswith(SUBPROTOCOL_TOKEN):
            return offered.strip().removeprefix(SUBPROTOCOL_TOKEN)
    return None


def check_is_local(scope: Mapping[str, Any], headers: Mapping[str, str], origins: frozenset[str]) -> None:
    """Raise Problem unless both ends are this machine, and no web page of somebody else's is behind it."""
    server, client = scope.get("server"), scope.get("client")
    is_socket = server is not None and server[1] is None and str(server[0]).startswith("/")
    if not is_socket and not (server and client and is_loopback(str(server[0])) and is_loopback(str(client[0]))):
        raise Problem(
            401,
            "no_token",
            "another address than loopback needs a token: start the door with tokens",
            headers={"www-authenticate": "Bearer"},
        )
    host = headers.get("host", "")
    if host and not is_loopback(_name_of(host)):
        raise Problem(403, "foreign_host", f"the host {host[:100]!r} is not this machine; with tokens any host may be named")
    origin = headers.get("origin")
    if origin and origin not in origins and not is_loopback(urlsplit_host(origin)):
        raise Problem(403, "foreign_origin", f"the origin {origin[:100]!r} may not use this door")


def urlsplit_host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    return urlsplit_host(f"//{host}")


def is_loopback(host: str) -> bool:
    """True for the names and addresses of this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or bool(getattr(address, "ipv4_mapped", None) and address.ipv4_mapped.is_loopback)  # type: ignore[union-attr]
