"""`GET /entities/{noun}/{id}/sql?query=`: reading the tables that an entity made with `self.storage.sql`.

Only an operator may. SQLite refuses, while it prepares the statement, everything but reading; the runtime's own tables are
not there; rows and time are bounded, because the entity's host does nothing else meanwhile.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo.durable.handle import control_call
from dotdo.durable.reading import NAME
from dotdo.http import answers, reach, roles
from dotdo.http.nouns import within
from dotdo.rpc.stub import make_stub

router = APIRouter(tags=["operations"])

TABLES = "SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"


@router.get("/entities/{noun}/{id:path}/sql")
async def read_sql(
    request: Request,
    noun: str,
    id: str,
    query: Annotated[str, Query(max_length=10_000, description="one statement that reads; the tables there are, by default")] = TABLES,
) -> Response:
    """Columns and rows, 500 at most; `is_cut` says that there are more."""
    roles.need(request, "operator", "reading an entity's tables")
    stub = make_stub(reach.noun_of(noun).noun, id)
    return answers.response(await within(request, control_call(stub, NAME, query)))
