"""Frames: a length, then a msgpack array of messages.

Messages hold plain msgpack types only. Values travel inside them as the codec's bytes, so a value that cannot be decoded
spoils its own call and not the frame, and forwarding needs no decoding. Anything malformed is a `FrameError`, and the
connection it came on is closed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgpack

from dotdo.errors import DotdoError

VERSION = 1
FRAME_BYTES_MAX = 64 * 1024 * 1024
HELLO_BYTES_MAX = 4096

HELLO, WELCOME, CALL, PIPE, PULL, RESOLVE, REJECT, PARKED, ACK, RELEASE, PING, PONG, MOVED, BARRIER, PASSED, REFUSED = range(16)

# CALL  [2, seq, noun, id, path, payload | None, flags, call id | None, options | None]
# PIPE  [3, seq, base seq, path, payload | None, flags, call id | None, options | None]; the base is in the same frame
# RESOLVE [5, seq, blob]  REJECT [6, seq, blob]  PARKED [7, seq, execution id]  ACK [8, seq]  RELEASE [9, low water]
# MOVED [12, noun, id, host, address]: this entity lives in a host of its own, there  BARRIER [13, noun, id]: I send there from now on
# PASSED [14, noun, id]: all you sent through me is there  REFUSED [15, code, text]: the last message of a connection that is closed

WANTED = 1
"""Somebody awaits the answer."""
REPEAT = 2
"""May have been sent before: look up the record first."""
ONEWAY = 4
"""Nobody awaits: ACK when it is committed."""
PROMISES = 8
"""The payload holds promises."""

_LENGTH = struct.Struct(">I")
_pack = msgpack.Packer(use_bin_type=True).pack


class FrameError(DotdoError):
    """Bytes on a channel are not a frame."""


def encode(messages: list[Any]) -> bytes:
    """One frame."""
    body: bytes = _pack(messages)
    return _LENGTH.pack(len(body)) + body


class Parser:
    """Cuts a byte stream into frames."""

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int = FRAME_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self.limit = limit

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """The messages of every frame that is complete now, one frame after the other. Raises FrameError.

        Lazily, because a greeting raises the limit for the frame behind it, and a socket may bring both at once.
        """
        if not self._buffer and len(data) >= 4:
            length = _LENGTH.unpack_from(data)[0]
            if length == len(data) - 4:
                yield self._decode(data[4:])
                return
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            length = _LENGTH.unpack_from(buffer)[0]
            if length > self.limit:
                raise FrameError(f"a frame of {length} bytes is over the limit of {self.limit}")
            if len(buffer) < 4 + length:
                break
            body = bytes(buffer[4 : 4 + length])
            del buffer[: 4 + length]
            yield self._decode(body)

    def _decode(self, body: bytes) -> list[Any]:
        if len(body) > self.limit:
            raise FrameError(f"a frame of {len(body)} bytes is over the limit of {self.limit}")
        try:
            messages = msgpack.unpackb(body, raw=False, strict_map_key=True)
        except Exception as error:
            raise FrameError(f"not a frame: {type(error).__name__}") from None
        if type(messages) is not list:
            raise FrameError("a frame is an array of messages")
        for message in messages:
            if type(message) is not list or not message or type(message[0]) is not int:
                raise FrameError("a message is an array that begins with its type")
        return messages
