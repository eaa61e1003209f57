"""The modules of the application in this process: which they are, whether their files have changed, and loading them anew.

They are the modules that define nouns and what lies beside them: the rest of their package, or of their folder. Modules of
one application are loaded anew together and from nothing, in the order in which they import each other; reloading single
ones in place would leave old classes and functions in those that had imported them by name. What cannot be loaded leaves
everything as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Iterable
from types import ModuleType

from dotdo.errors import NounNotLoadable

_INSTALLED = (f"{os.sep}site-packages", f"{os.sep}dist-packages")
_digests: dict[str, str] = {}
"""Of the modules' files, as they were when this process loaded them."""


def sources(noun_modules: Iterable[str]) -> dict[str, str]:
    """A digest of the file of each loaded module of the application."""
    found = {}
    for name in _names(noun_modules):
        digest = _digest(sys.modules[name])
        if digest is not None:
            found[name] = digest
    return found


def load(noun_modules: list[str], path: list[str]) -> bool:
    """Import these modules, or load the whole application anew if a file of it has changed; True if that was so.

    A module that is not there is left out: another host may have it. Raises NounNotLoadable, all being as before.
    """
    for folder in path:
        if folder not in sys.path:
            sys.path.append(folder)
    importlib.invalidate_caches()
    changed = [name for name, digest in sources(noun_modules).items() if _digests.get(name, digest) != digest]
    dropped = {}
    if changed:
        for name in _names(noun_modules):
            _forget_compiled(sys.modules[name])
            dropped[name] = sys.modules.pop(name)
    try:
        for name in noun_modules:
            with contextlib.suppress(ModuleNotFoundError):
                importlib.import_module(name)
    except Exception as error:
        if not dropped:
            raise NounNotLoadable(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
        for half_loaded in _names(noun_modules):
            sys.modules.pop(half_loaded, None)
        sys.modules.update(dropped)
        raise NounNotLoadable(
            f"the new code of {', '.join(changed)} cannot be loaded, so the old one stays: {type(error).__name__}: {error}"
        ) from error
    _digests.update(sources(noun_modules))
    return bool(changed)


def _names(noun_modules: Iterable[str]) -> list[str]:
    folders, single = set(), set()
    for name in noun_modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None:
            continue
        single.add(name)
        top = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None) or file
        folder = os.path.dirname(os.path.abspath(top))
        if not folder.endswith(_INSTALLED):
            folders.add(folder + os.sep)
    return [name for name, module in list(sys.modules.items()) if name in single or _belongs(name, module, folders)]


def _belongs(name: str, module: ModuleType | None, folders: set[str]) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or name == "__main__" or name.partition(".")[0] == "dotdo" or any(part in file for part in _INSTALLED):
        return False
    return os.path.abspath(file).startswith(tuple(folders)) if folders else False


def _digest(module: ModuleType) -> str | None:
    try:
        with open(str(module.__file__), "rb") as file:
            return hashlib.blake2b(file.read(), digest_size=12).hexdigest()
    except OSError:
        return None


def _forget_compiled(module: ModuleType) -> None:
    """Two versions saved within a second look the same to Python's cache of compiled modules."""
    cached = getattr(module, "__cached__", None)
    if cached:
        with contextlib.suppress(OSError):
            os.unlink(cached)
