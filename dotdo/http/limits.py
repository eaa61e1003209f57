"""What one request, one stream and one connection may cost. Every number that bounds a door is here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the doors. Times are seconds (`_s`), sizes bytes."""

    request_bytes_max: int = 32 * 1024 * 1024
    """Body of one HTTP request, and one message of a WebSocket."""
    request_timeout_s: float = 30.0
    """So long a request waits for its answer; what takes longer is answered 202 with the execution's id."""
    path_bytes_max: int = 4096
    list_limit_max: int = 1000
    """The largest `limit=` of a list."""

    streams_max: int = 1000
    """Server-sent event streams at once; one more gets 503."""
    stream_poll_s: float = 0.25
    """A stream looks at its execution this often while things happen."""
    stream_poll_max_s: float = 2.0
    """... and this often while nothing does."""
    stream_keepalive_s: float = 15.0
    pulse_s: float = 1.0
    """How often a page that is open gets figures."""
    live_bytes_max: int = 4 * 1024 * 1024
    """The largest answer that is sent to a page again and again."""
    live_pause_s: float = 0.05
    """So long nothing that a page watches is looked at again, whatever happens ..."""
    live_pause_max_s: float = 3.0
    """... and what is costly to look at for no longer than this."""

    connections_max: int = 2000
    """WebSockets at once; one more is refused."""
    idle_connection_s: float = 3600.0
    """A WebSocket that says nothing for so long is closed."""
    batch_messages_max: int = 10_000
    depth_max: int = 64
    """Nesting of a value in a Cap'n Web message."""
    path_length_max: int = 64
    """Names in one property path."""
    bigint_digits_max: int = 4_000
    exports_max: int = 10_000
    """What one connection may hold at once: results not released, stubs, pipes."""
    imports_max: int = 1_000
    """Callbacks and promises of the client that one connection may hand in."""
    calls_max: int = 1_000
    """Calls of one connection that wait for their answer."""
    outgoing_bytes_max: int = 64 * 1024 * 1024
    """What waits for a client that does not read; a connection over it is closed."""
    map_instructions_max: int = 1_000
    map_elements_max: int = 10_000
    map_depth_max: int = 8
    map_work_max: int = 100_000
    """Elements times instructions of one `.map`."""
    stream_bytes_max: int = 32 * 1024 * 1024
    """What a ReadableStream that is passed as an argument may carry."""

    drain_s: float = 20.0
    """So long a door that stops lets requests end."""
