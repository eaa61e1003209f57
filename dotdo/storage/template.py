"""What a new entity's file is: a copy of two prepared pages.

Making a database by SQL takes several syncs; copying the bytes of a finished one takes one. The copy bears an application
id, so that an empty or foreign file is told from an entity's and never silently taken for a new one.
"""

from __future__ import annotations

import functools

import apsw

PAGE_SIZE = 1024
APPLICATION_ID = 0x646F646F
FIELDS = "CREATE TABLE _do_fields(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
_WRITE_VERSION, _READ_VERSION, _WAL = 18, 19, 2
"""Offsets in the header of the file format, and what stands there in WAL mode (sqlite.org/fileformat2.html, 1.3)."""


@functools.cache
def template() -> bytes:
    """The bytes of a new file: page size, WAL mode, application id and the fields table."""
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA page_size={PAGE_SIZE}; PRAGMA application_id={APPLICATION_ID}; {FIELDS}")
    content = bytearray(connection.serialize("main"))
    connection.close()
    content[_WRITE_VERSION] = content[_READ_VERSION] = _WAL
    return bytes(content)
