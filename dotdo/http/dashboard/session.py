"""`GET /dashboard/session`: who asks, so that a page shows what that role may do. The door refuses the rest whatever it shows."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dotdo.http import answers
from dotdo.http.door import door_of
from dotdo.http.roles import ROLES

router = APIRouter(prefix="/dashboard", tags=["dashboard"])


@router.get("/session")
async def session(request: Request) -> Response:
    """The role, and whether this door has tokens at all."""
    return answers.response({"role": ROLES[request.scope["state"]["rank"]], "has_tokens": bool(door_of(request).tokens)})
