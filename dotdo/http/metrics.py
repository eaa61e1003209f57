"""`GET /metrics`: counters in Prometheus' text format.

What the door does is counted as it happens; what the hosts hold is asked for when somebody looks.
"""

from __future__ import annotations

import time
from collections import deque

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from dotdo import application
from dotdo.rpc import stats

router = APIRouter(tags=["operations"])

RECENT_MAX = 1_000
RECENT_S = 60.0
"""Of how many requests, and of what time, `latency_ms` tells."""

_LASTING = ("/events", "/live", "/rpc", "/result")
"""How routes end that last as long as somebody listens."""
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one door."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.request_count = 0
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT_MAX)
        self._requests = Counter("dotdo_http_requests", "Requests answered", ("method", "route", "status"), registry=registry)
        self._seconds = Histogram("dotdo_http_request_seconds", "Time to answer", ("route",), registry=registry, buckets=_SECONDS)
        self.in_flight = Gauge("dotdo_http_in_flight", "Requests being answered", registry=registry)
        self.streams = Gauge("dotdo_http_streams", "Server-sent event streams", registry=registry)
        self.connections = Gauge("dotdo_rpc_connections", "Cap'n Web connections", registry=registry)
        self.messages = Counter("dotdo_rpc_messages", "Cap'n Web messages received", registry=registry)
        self.aborts = Counter("dotdo_rpc_aborts", "Cap'n Web connections ended for what the client sent", registry=registry)
        self.webhooks = Counter("dotdo_webhooks", "Webhook deliveries", ("path", "outcome"), registry=registry)
        self._hosts = Gauge("dotdo_hosts", "Hosts of the runtime", registry=registry)
        self._active = Gauge("dotdo_active_entities", "Entities in memory", ("host",), registry=registry)
        self._channel = Gauge("dotdo_channel", "What this door sent to hosts and got from them", ("what",), registry=registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. Routes are templates and known members, so their number is bounded."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self.request_count += 1
        if not route.endswith(_LASTING):
            self._recent.append((time.monotonic(), seconds))

    def latency_ms(self) -> dict[str, float] | None:
        """The median and the 95th percentile of requests of the last minute, streams apart; None if there were none."""
        since = time.monotonic() - RECENT_S
        seconds = sorted(took for at, took in self._recent if at >= since)
        if not seconds:
            return None
        return {
            name: round(1000 * seconds[min(len(seconds) - 1, int(len(seconds) * part))], 2) for name, part in (("p50", 0.5), ("p95", 0.95))
        }

    async def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        hosts = await application.hosts()
        self._hosts.set(len(hosts))
        for host in hosts:
            self._active.labels(str(host.get("host", ""))).set(float(host.get("active", 0)))
        counters = stats.snapshot()
        for name in ("frames_sent", "frames_received", "calls", "bytes_sent", "bytes_received"):
            self._channel.labels(name).set(getattr(counters, name))
        return generate_latest(self.registry)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters, gauges and histograms for Prometheus."""
    counted: Metrics = request.app.state.door.metrics
    return Response(await counted.text(), headers={"content-type": CONTENT_TYPE_LATEST})
