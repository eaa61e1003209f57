"""Where hosts listen: Unix sockets in a short private folder, because their paths are limited to 107 bytes."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

PATH_BYTES_MAX = 107


def folder() -> Path:
    """This user's folder for sockets; nobody else can enter it. Raises PermissionError if it is not ours."""
    path = Path(tempfile.gettempdir()) / f"dotdo-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise PermissionError(f"{path} is not a private folder of this user: remove it")
    return path


def socket_path(runtime_id: str, host: str) -> str:
    """The socket of one host of one runtime; the same after a restart of the host."""
    path = str(folder() / f"{runtime_id[:12]}.{host}")
    if len(path.encode()) > PATH_BYTES_MAX:
        path = f"/tmp/dotdo-{os.getuid()}/{runtime_id[:12]}.{host}"  # a long TMPDIR does not fit
    return path
