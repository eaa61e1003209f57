"""Webhooks: a signed request of somebody else's service becomes an event, once.

    dotdo.http.webhook("/webhooks/stripe", secret="STRIPE_WEBHOOK_SECRET", scheme="stripe",
                       event={"payment_intent.succeeded": "Payment.succeeded"})

Say it before `dotdo.http.app()`, or in the program that `dotdo serve` loads. The request is answered as soon as the event is
safe; who handles it, does so in an execution of its own (`@on.Payment.succeeded`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from dotdo import clock, durations
from dotdo.errors import DefinitionError
from dotdo.events import names
from dotdo.http import answers
from dotdo.http.body import parse
from dotdo.http.door import Door, door_of
from dotdo.http.nouns import within
from dotdo.http.problems import Problem
from dotdo.http.signatures import SCHEMES, Scheme
from dotdo.nouns.webhooks import WebhookInbox

DELIVERY_LENGTH_MAX = 300

EventNames = str | Mapping[str, str] | Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook as it was declared."""

    path: str
    secret: str
    scheme: Scheme
    event: EventNames
    id: Callable[[Any], str] | None
    tolerance_s: float


_webhooks: dict[str, Webhook] = {}


def webhook(
    path: str,
    *,
    secret: str,
    event: EventNames,
    scheme: str | Scheme = "stripe",
    id: Callable[[Any], str] | None = None,
    tolerance: durations.Duration = "5m",
) -> None:
    """Take signed requests at `path` and turn each, once, into an event whose data is the request's JSON.

    Args:
        path: begins with a slash; the same path again replaces.
        secret: the name of the secret: among those given to `app(secrets=...)`, else of the environment.
        event: the name of the event; or names by the request's `type`, others are acknowledged and ignored; or a function
            of the JSON that gives the name, or None to ignore it.
        scheme: "stripe", "github", "standard" (Standard Webhooks), or a function (headers, body, secret) -> Signed.
        id: the delivery's id, from its JSON; by default a header of the scheme, else the JSON's "id", else the body itself.
        tolerance: how far the signature's time may be from now.

    Raises:
        DefinitionError: the path, the scheme or a name of an event is wrong.
    """
    if not path.startswith("/") or path.endswith("/"):
        raise DefinitionError(f"webhook({path!r}): a path begins with a slash and ends without one")
    found = SCHEMES.get(scheme) if isinstance(scheme, str) else scheme
    if found is None:
        raise DefinitionError(f"webhook({path!r}): the scheme {scheme!r} is none of {', '.join(SCHEMES)}")
    for name in [event] if isinstance(event, str) else event.values() if isinstance(event, Mapping) else ():
        names.parse_event(name)
    _webhooks[path] = Webhook(path, secret, found, event, id, durations.seconds(tolerance))


def forget(path: str) -> None:
    """Take a webhook out of the program."""
    _webhooks.pop(path, None)


def install(app: FastAPI, door: Door) -> None:
    """Add the routes of all webhooks declared so far."""
    for one in _webhooks.values():
        door.webhook_paths.add(one.path)
        app.add_api_route(one.path, _endpoint(one), methods=["POST"], tags=["webhooks"], name=f"webhook {one.path}")


def _endpoint(one: Webhook) -> Callable[[Request], Any]:
    async def receive(request: Request) -> Response:
        """A signed delivery; acknowledged once its event is safe."""
        metrics = door_of(request).metrics
        try:
            outcome = await _received(one, request)
        except Problem as problem:
            metrics.webhooks.labels(one.path, problem.code).inc()
            raise
        metrics.webhooks.labels(one.path, outcome).inc()
        return answers.response({"received": True, "outcome": outcome})

    return receive


async def _received(one: Webhook, request: Request) -> str:
    secret = door_of(request).secret(one.secret)
    if not secret:
        raise Problem(503, "no_secret", f"the secret {one.secret} of this webhook is not set")
    body = await request.body()
    signed = one.scheme(request.headers, body, secret)
    if signed.at is not None and abs(clock.wall_now() - signed.at) > one.tolerance_s:
        raise Problem(401, "outside_window", "the signature's time is too far from now")
    data = parse(body)
    name = _name_of(one.event, data)
    if name is None:
        return "ignored"
    delivery = _id_of(one, signed.id, data, body)
    is_new = await within(request, _taken(one.path, delivery, name, data))
    return "sent" if is_new else "repeated"


async def _taken(path: str, delivery: str, name: str, data: Any) -> bool:
    inbox: WebhookInbox = WebhookInbox(path)
    return await inbox.take(delivery, name, data)


def _name_of(event: EventNames, data: Any) -> str | None:
    if isinstance(event, str):
        return event
    if isinstance(event, Mapping):
        kind = data.get("type") if isinstance(data, dict) else None
        return event.get(kind) if isinstance(kind, str) else None
    return event(data)


def _id_of(one: Webhook, signed_id: str | None, data: Any, body: bytes) -> str:
    if one.id is not None:
        return str(one.id(data))[:DELIVERY_LENGTH_MAX]
    if signed_id:
        return signed_id[:DELIVERY_LENGTH_MAX]
    own = data.get("id") if isinstance(data, dict) else None
    if isinstance(own, str) and 0 < len(own) <= DELIVERY_LENGTH_MAX:
        return own
    return hashlib.sha256(body).hexdigest()
