"""`GET /dashboard/pulse`: figures of this moment. Counters only grow; who draws a chart takes the difference of two answers."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dotdo import application
from dotdo.clock import wall_now
from dotdo.http import answers
from dotdo.http.door import door_of

HOST_PATIENCE_S = 1.5
"""A host that takes longer to answer is shown as silent: it was killed, or does nothing but compute."""

router = APIRouter(prefix="/dashboard", tags=["dashboard"])


@router.get("/pulse")
async def pulse(request: Request) -> Response:
    """Hosts with their counters; requests of this door with their latency; how long the hosts took to answer this."""
    began = time.perf_counter()
    hosts = await application.hosts(HOST_PATIENCE_S)
    round_trip_ms = (time.perf_counter() - began) * 1000
    metrics = door_of(request).metrics
    return answers.response({
        "at": wall_now(), "hosts": [host_of(one) for one in hosts], "requests": metrics.request_count,
        "latency_ms": metrics.latency_ms(), "round_trip_ms": round(round_trip_ms, 2),
    })  # fmt: skip


def host_of(status: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of a host."""
    if "is_silent" in status:
        return status
    return {
        "host": status["host"], "pid": status["pid"], "active": status["active"] + len(status.get("dedicated", ())),
        "shards": len(status["shards"]), "turns": status["turns"], "calls": status["calls"], "steps": status["steps"],
        "quarantined": status["quarantined"], "dedicated": len(status.get("dedicated", ())),
    }  # fmt: skip
