"""Where hosts listen: Unix sockets in a short private folder, because their paths are limited to 107 bytes."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

PATH_BYTES_MAX = 107
FOLDER_BYTES_MAX = PATH_BYTES_MAX - 50


def folder() -> Path:
    """This user's folder for sockets; nobody else can enter it. Raises PermissionError if it is not ours."""
    name = f"dotdo-{os.getuid()}"
    path = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(path)) > FOLDER_BYTES_MAX:  # a long TMPDIR does not fit into a socket's address
        path = Path("/tmp") / name
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise PermissionError(f"{path} is not a private folder of this user: remove it")
    return path


def socket_path(data: Path, name: str) -> str:
    """The socket of one host on one data folder: the same at every start, so nothing is left behind by a crash."""
    digest = hashlib.blake2b(f"{data}\0{name}".encode(), digest_size=12).hexdigest()
    path = str(folder() / f"{name[:20]}.{digest}" if name.isalnum() else folder() / f"e.{digest}")
    assert len(os.fsencode(path)) <= PATH_BYTES_MAX, path
    return path
