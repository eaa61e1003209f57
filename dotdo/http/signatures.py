"""How webhooks are signed: one function per scheme, from a request to the id and the time of a delivery.

Every scheme is an HMAC over the body as it came. Where it covers a time, a delivery older (or newer) than the tolerance is
refused, so that a recorded request cannot be played again later; where it does not, only the delivery's id protects.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dotdo.http.problems import Problem

CANDIDATES_MAX = 8
"""So many signatures of one request are looked at: senders give two while they change secrets."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What the signature vouches for: when it was made, and the delivery's id where a header has it."""

    at: float | None
    id: str | None


Scheme = Callable[[Mapping[str, str], bytes, str], Signed]


def stripe(headers: Mapping[str, str], body: bytes, secret: str) -> Signed:
    """`Stripe-Signature: t=<seconds>,v1=<hex>` over `t.body`; the id is the event's own. `Dotdo-Signature` is the same."""
    given = headers.get("stripe-signature") or headers.get("dotdo-signature") or ""
    parts = [part.strip().partition("=") for part in given.split(",")[: CANDIDATES_MAX + 2]]
    stamp = next((value for key, _, value in parts if key == "t"), "")
    at = _seconds(stamp)
    _match(_digest(secret.encode(), stamp.encode() + b"." + body), [value for key, _, value in parts if key == "v1"])
    return Signed(at, None)


def github(headers: Mapping[str, str], body: bytes, secret: str) -> Signed:
    """`X-Hub-Signature-256: sha256=<hex>` over the body; the id is `X-GitHub-Delivery`."""
    _match(_digest(secret.encode(), body), [headers.get("x-hub-signature-256", "").removeprefix("sha256=")])
    return Signed(None, headers.get("x-github-delivery"))


def standard(headers: Mapping[str, str], body: bytes, secret: str) -> Signed:
    """Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>` over `id.timestamp.body`."""
    identity, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    at = _seconds(stamp)
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = secret.encode()
    wanted = base64.b64encode(hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split(" ")[:CANDIDATES_MAX]
    _match(wanted, [one.removeprefix("v1,") for one in given if one.startswith("v1,")])
    return Signed(at, identity or None)


SCHEMES: dict[str, Scheme] = {"stripe": stripe, "github": github, "standard": standard}


def _digest(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _match(wanted: str, given: list[str]) -> None:
    found = False
    for one in given:
        found |= hmac.compare_digest(wanted.encode(), one.encode("utf-8", "surrogateescape"))
    if not found:
        raise Problem(401, "bad_signature", "the signature does not fit the body")


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise Problem(401, "bad_signature", "the signature has no time")
    return float(text)
