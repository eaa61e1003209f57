"""What a browser sees: the dashboard at `/`, which is the files in `assets/`, and every route at `/docs`, which is Swagger UI.

They ship with the package as they are, Swagger UI with `fastapi-offline`: no build, nothing from elsewhere. The policy that
goes with them lets a page run scripts and styles of this door alone, none that stand in the page, and talk to this door alone.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from dotdo.errors import DefinitionError
from dotdo.http.problems import Problem

ASSETS = Path(__file__).parent / "assets"
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")

router = APIRouter(include_in_schema=False)

_RULES = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'", "connect-src 'self'",
    "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'",
]  # fmt: skip
_POLICY = "; ".join([*_RULES, "require-trusted-types-for 'script'"])
_DOCS_POLICY = "; ".join(_RULES).replace("img-src 'self'", "img-src 'self' data:")
"""Swagger UI has its icons in its style, and builds its page without Trusted Types."""
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


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs() -> Response:
    """Every route, to read and to try."""
    return _file("docs.html", _DOCS_POLICY)


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
async def swagger_file(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in SWAGGER_FILES:
        raise _no_file()
    path = _swagger_folder() / name
    return FileResponse(path, headers=_HEADERS, media_type=_TYPES[path.suffix])


def _swagger_folder() -> Path:
    """Where `fastapi-offline` has the files. Raises DefinitionError without it."""
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise DefinitionError("/docs needs Swagger UI: pip install 'dotdo[http]'")
    return Path(found.origin).parent / "static"


def _file(name: str, policy: str = _POLICY) -> Response:
    path = (ASSETS / name).resolve() if "\x00" not in name else ASSETS
    if not path.is_relative_to(ASSETS.resolve()) or path.suffix not in _TYPES or not path.is_file():
        raise _no_file()
    return FileResponse(path, headers={**_HEADERS, "content-security-policy": policy}, media_type=_TYPES[path.suffix])


def _no_file() -> Problem:
    return Problem(404, "not_found", "there is no such file")
