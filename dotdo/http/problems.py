"""Errors as answers: problem details (RFC 9457), and which status an error has.

A problem has the error's stable `code`, its message, and whether trying again can help; never a stack. Errors of the
runtime have their status in a table. An error of a user's own class is a refusal by the application (422); an error that
only a bug raises (`TypeError`, `KeyError`, ...) is a 500.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pydantic
from pydantic_core import to_json
from starlette.responses import Response

from dotdo import errors

MEDIA_TYPE = "application/problem+json"
DETAIL_LENGTH_MAX = 2000

_STATUSES: dict[type[BaseException], int] = {
    errors.NoSuchMember: 404, errors.NounNotLoadable: 404, errors.FieldNotSet: 404, errors.NoHandler: 404,
    errors.IdError: 400, errors.CodecError: 422, errors.NoKey: 422, errors.DefinitionError: 422, errors.BadDuration: 422,
    errors.DocumentError: 422, errors.QueryError: 422, errors.Permanent: 422, errors.RemoteError: 422,
    errors.FieldTooLarge: 413,
    errors.NotAllowed: 403, errors.AlreadyDecided: 409, errors.CallIdConflict: 409, errors.DocumentExists: 409,
    errors.UseTheEntity: 409, errors.InvalidTransition: 409, errors.GuardFailed: 409, errors.ExecutionCancelled: 409,
    errors.ExecutionPaused: 409, errors.WouldDeadlock: 409, errors.TaskCancelled: 409,
    errors.Overloaded: 503, errors.OutOfOrder: 503, errors.CircuitOpen: 503, errors.HostLost: 503, errors.Aborted: 503,
    errors.Quarantined: 503, errors.ModelUnavailable: 503, errors.BadAnswer: 502,
    errors.StepTimeout: 504, errors.WaitTimeout: 504, errors.CallTimeout: 504,
    KeyError: 500, IndexError: 500, UnicodeError: 500, NotImplementedError: 501,
    ValueError: 422, LookupError: 404, PermissionError: 403, TimeoutError: 504,
}  # fmt: skip
"""The status of an error: that of the first of its classes found here."""

RETRY_AFTER_SECONDS = 1


class Problem(Exception):
    """A request that is refused by the door itself."""

    def __init__(self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


def status_of(error: BaseException) -> int:
    """The HTTP status of an error."""
    for cls in type(error).__mro__:
        if cls in _STATUSES:
            return _STATUSES[cls]
    if isinstance(error, errors.DotdoError) or type(error).__module__ == "builtins":
        return 500
    return 422


def code_of(error: BaseException) -> str:
    """The stable code of an error: its own, or its class's name in lower case."""
    if isinstance(error, Problem):
        return error.code
    if isinstance(error, errors.RemoteError) and error.type_name:
        return _snake(error.type_name.rpartition(".")[2])
    if isinstance(error, errors.DotdoError):
        return error.code
    return _snake(type(error).__name__)


def name_of(error: BaseException) -> str:
    """The name of the error's class, also of one that is not known here."""
    if isinstance(error, errors.RemoteError) and error.type_name:
        return error.type_name.rpartition(".")[2]
    return type(error).__name__


def text_of(error: BaseException) -> str:
    """What an error says, without a stack and not endlessly."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, errors.RemoteError) and error.type_name:
        text = text.removeprefix(f"{error.type_name}: ")
    return text if len(text) <= DETAIL_LENGTH_MAX else text[:DETAIL_LENGTH_MAX] + "..."


def body_of(error: BaseException) -> dict[str, Any]:
    """The problem of an error, as data."""
    if isinstance(error, Problem):
        status, more = error.status, error.more
    else:
        status, more = status_of(error), {}
    return {
        "type": f"urn:dotdo:error:{code_of(error)}", "title": _title(error, status), "status": status,
        "detail": text_of(error), "code": code_of(error), "retryable": is_retryable(error), **more,
    }  # fmt: skip


def is_retryable(error: BaseException) -> bool:
    """True if the same request may succeed later."""
    if isinstance(error, Problem):
        return error.status in (408, 429, 503, 504)
    return bool(getattr(error, "retryable", False)) is True


def response(error: BaseException) -> Response:
    """The answer for an error."""
    body = body_of(error)
    headers = dict(error.headers) if isinstance(error, Problem) else {}
    if body["status"] == 503:
        headers.setdefault("retry-after", str(RETRY_AFTER_SECONDS))
    return Response(to_json(body, fallback=str), status_code=body["status"], headers=headers, media_type=MEDIA_TYPE)


def from_validation(found: list[Any], where: str) -> Problem:
    """The problem of arguments that do not fit: every place that is wrong, and why."""
    listed = [{"loc": [str(part) for part in one["loc"]], "msg": one["msg"], "type": one["type"]} for one in found[:50]]
    first = listed[0] if listed else {"loc": [], "msg": "it does not fit"}
    place = ".".join(first["loc"])
    return Problem(422, "invalid_arguments", f"{where}: {place + ': ' if place else ''}{first['msg']}", errors=listed)


def errors_of(error: pydantic.ValidationError) -> list[Any]:
    """The single errors of pydantic's, without the input and without links."""
    return list(error.errors(include_url=False, include_input=False, include_context=False))


def _title(error: BaseException, status: int) -> str:
    if isinstance(error, Problem):
        return HTTPStatus(status).phrase
    return (
        " ".join(word.lower() if i else word for i, word in enumerate(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name_of(error))))
        or "Error"
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
