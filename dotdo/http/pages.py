"""What a browser sees at `/`: the dashboard, which is the files in `assets/` and nothing else.

They ship with the package as they are: no build, nothing from elsewhere. The policy that goes with them lets a page run
scripts and styles of this door alone, none that stand in the page, and talk to this door alone.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from dotdo.http.problems import Problem

ASSETS = Path(__file__).parent / "assets"

router = APIRouter(include_in_schema=False)

_POLICY = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'", "connect-src 'self'",
    "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
])  # fmt: skip
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
_TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2", ".json": "application/json",
}  # fmt: skip


@router.api_route("/", methods=["GET", "HEAD"])
async def index() -> Response:
    """The first page."""
    return _file("index.html")


@router.api_route("/assets/{name:path}", methods=["GET", "HEAD"])
async def asset(name: str) -> Response:
    """A file of the package."""
    return _file(name)


def _file(name: str) -> Response:
    path = (ASSETS / name).resolve() if "\x00" not in name else ASSETS
    if not path.is_relative_to(ASSETS.resolve()) or path.suffix not in _TYPES or not path.is_file():
        raise Problem(404, "not_found", "there is no such file")
    return FileResponse(path, headers=_HEADERS, media_type=_TYPES[path.suffix])
