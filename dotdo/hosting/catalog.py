"""The nouns this process knows, and how their code reaches hosts.

An importable noun travels by the name of its module. A noun of a script's `__main__` or of a notebook travels by value:
one pickle of all its `__main__`'s nouns with the data classes and errors beside them, made by cloudpickle (this is its
one home), kept in `<data>/nouns/` so that hosts find it again after a restart. The script is never run again.

Redefinition from the same file replaces (notebooks do it all day); two files that define one noun are a conflict. When a
program ships changed code, each process that loads it has the new classes from then on, all of them or none; `on_replaced`
tells whoever still holds an old one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import threading
import weakref
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import pydantic

from dotdo import codec
from dotdo.entity.noun import NounSpec
from dotdo.errors import NounConflict, NounNotLoadable
from dotdo.hosting import app_modules
from dotdo.rpc import stub as stubs

SUFFIXES = (".nouns", ".modules")
"""Of the files in `<data>/nouns`."""

_MADE_HERE = ("_do_spec_", "_do_stub_class_")
"""What class creation adds; it is made anew where the class arrives."""

_specs: dict[str, NounSpec] = {}
_functions: dict[str, Callable[..., Any]] = {}
_also: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}
_origins: dict[str, str] = {}
_folder: Path | None = None
_shipped_functions: set[str] = set()
_seen_files: dict[str, float] = {}
_loading_from: str | None = None
_loading = threading.RLock()
_replaced: list[str] | None = None
"""While code is loaded: the nouns that were replaced by it, told when all of it is there."""
_fresh_functions: set[str] = set()
_on_replaced: weakref.WeakSet[Listener] = weakref.WeakSet()
_shippers: weakref.WeakSet[Shipper] = weakref.WeakSet()
_on_forgotten: list[Callable[[str], None]] = []


class Listener(Protocol):
    """Who holds classes of nouns."""

    def replaced(self, noun: str) -> None:
        """The noun has another class from now on. Called on the thread that loads or defines it."""


class Shipper(Protocol):
    """Who brings what is known here to hosts."""

    def has_more(self) -> None:
        """A noun or a function was made known. Called on the thread that loads or defines it."""


def on_known(shipper: Shipper) -> None:
    """Tell `shipper`, as long as it lives, when a noun or a function is made known here."""
    _shippers.add(shipper)


def _tell_known() -> None:
    for shipper in list(_shippers):
        shipper.has_more()


def on_replaced(listener: Listener) -> None:
    """Tell `listener`, as long as it lives, of nouns whose class is replaced."""
    _on_replaced.add(listener)


def on_forgotten(callback: Callable[[str], None]) -> None:
    """Call with the name of each function, or noun (as `Noun.`), whose handlers are no longer what they were."""
    _on_forgotten.append(callback)


def _tell_replaced(noun: str) -> None:
    if _replaced is not None:
        _replaced.append(noun)
        return
    for listener in list(_on_replaced):
        listener.replaced(noun)


_is_importing = False


def register(spec: NounSpec) -> None:
    """Make a noun known here. Raises NounConflict."""
    origin = _loading_from or _origin(spec.cls)
    known = _origins.get(spec.noun)
    if known is not None and known != origin and not _same_module(_specs[spec.noun].cls, spec.cls):
        raise NounConflict(
            f"the noun {spec.noun} is defined in {known} and in {origin}: rename one, or give it another noun, "
            f"as in class {spec.cls.__name__}(DO, noun='Other{spec.noun}')"
        )
    replace(spec, origin)


def _same_module(one: type, other: type) -> bool:
    return one.__module__ == other.__module__ and one.__qualname__ == other.__qualname__ and one.__module__ != "__main__"


def _origin(cls: type) -> str:
    return _main_origin() if cls.__module__ == "__main__" else f"{cls.__module__}"


def _main_origin() -> str:
    file = getattr(sys.modules["__main__"], "__file__", None)
    return f"{os.path.abspath(file) if file else 'the notebook'}"


def is_loading() -> bool:
    """True while the code of programs is being loaded: shipped nouns are rebuilt, modules imported."""
    return _loading_from is not None or _is_importing


def register_function(name: str, fn: Callable[..., Any]) -> None:
    """Let hosts find a function by its name, `module:qualified name`."""
    _functions[name] = fn
    _fresh_functions.add(name)
    _tell_known()


def known_functions() -> dict[str, Callable[..., Any]]:
    """Every function that hosts can find by its name."""
    return dict(_functions)


def forget_function(name: str) -> None:
    """Make a function unknown again (tests)."""
    _functions.pop(name, None)


def find_function(name: str) -> Callable[..., Any]:
    """The function of this name, loaded from the data folder if need be. Raises NounNotLoadable."""
    fn = _functions.get(name)
    if fn is None and _folder is not None:
        load_shipped()
        fn = _functions.get(name)
    if fn is None:
        raise NounNotLoadable(f"no function {name!r} is known here: import its module in the program that starts the runtime")
    return fn


def ship_also(name: str, give: Callable[[], Any], take: Callable[[Any], None]) -> None:
    """Let what a higher layer knows of `__main__` travel with its nouns."""
    _also[name] = (give, take)


def forget(noun: str) -> None:
    """Make a noun unknown again (tests)."""
    _specs.pop(noun, None)
    _origins.pop(noun, None)


def known() -> dict[str, NounSpec]:
    """Every noun known here."""
    return dict(_specs)


def find(noun: str) -> NounSpec | None:
    """The noun's spec, if it is known in this process."""
    return _specs.get(noun)


def lookup(noun: str) -> NounSpec:
    """The noun's spec, loaded from the data folder if need be. Raises NounNotLoadable."""
    spec = _specs.get(noun)
    if spec is None and _folder is not None:
        load_shipped()
        spec = _specs.get(noun)
    if spec is None:
        raise NounNotLoadable(
            f"no class for the noun {noun} is known here: import its module in the program that starts the runtime, "
            f"or put it where hosts can import it"
        )
    return spec


# -- shipping ---------------------------------------------------------------------------------------------------


def use_folder(folder: Path) -> None:
    """Where shipped nouns are kept (hosts look there for nouns they do not know)."""
    global _folder
    _folder = folder


def ship(folder: Path) -> bool:
    """Write what hosts need to find this process's nouns: module names, and one pickle for `__main__`. True if it is new."""
    modules = sorted({s.cls.__module__ for s in _specs.values()} | {f.__module__ for f in _functions.values()} - {"__main__"})
    modules = [module for module in modules if module != "__main__"]
    is_new = False
    if modules:
        content = {"modules": modules, "path": [p or os.getcwd() for p in sys.path], "sources": app_modules.sources(modules)}
        name = hashlib.blake2b(json.dumps(modules).encode(), digest_size=8).hexdigest()
        is_new = _write(folder / f"{name}.modules", json.dumps(content).encode())
    mine = [spec for spec in _specs.values() if spec.cls.__module__ == "__main__" and not hasattr(spec.cls, "_do_shipped_")]
    functions = {name: fn for name, fn in _functions.items() if fn.__module__ == "__main__" and name not in _shipped_functions}
    if not mine and not functions:
        return is_new
    main = sys.modules["__main__"]
    types = [value for value in vars(main).values() if isinstance(value, type) and value.__module__ == "__main__" and _is_data(value)]
    origin = _main_origin()
    made_here = {(spec.cls, name): spec.cls.__dict__[name] for spec in mine for name in _MADE_HERE if name in spec.cls.__dict__}
    for cls, name in made_here:
        delattr(cls, name)
    try:
        also = {name: give() for name, (give, _) in _also.items()}
        body = cloudpickle.dumps(
            {"origin": origin, "nouns": [spec.cls for spec in mine], "types": types, "functions": functions, "also": also}
        )
    except Exception as error:
        raise NounNotLoadable(
            f"the nouns of {origin} cannot be sent to hosts: {type(error).__name__}: {error}; "
            f"move them to a module of their own, or open what cannot be sent inside setup()"
        ) from error
    finally:
        for (cls, name), value in made_here.items():
            setattr(cls, name, value)
    return _write(folder / f"{hashlib.blake2b(origin.encode(), digest_size=8).hexdigest()}.nouns", body) or is_new


def _is_data(cls: type) -> bool:
    return issubclass(cls, (pydantic.BaseModel, Enum, BaseException)) or dataclasses.is_dataclass(cls)


def _write(file: Path, content: bytes) -> bool:
    if file.exists() and file.read_bytes() == content:
        return False
    draft = file.with_suffix(f".{os.getpid()}.new")
    with draft.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    draft.rename(file)
    return True


def load_shipped() -> list[str]:
    """Load what is new in the data folder's `nouns`; the nouns that have another class now. Raises NounNotLoadable.

    While another thread loads, this waits for it; code that is being loaded and asks for more gets what is there.
    """
    with _loading:
        nouns = _load_new()
    for noun in nouns:
        _tell_replaced(noun)
    return nouns


def _load_new() -> list[str]:
    global _replaced
    if _folder is None or _replaced is not None:
        return []
    before = dict(_specs), dict(_origins), dict(_functions), dict(_seen_files)
    _replaced = []
    try:
        _load_files(_folder)
    except BaseException:
        _replaced = None
        for table, old in zip((_specs, _origins, _functions, _seen_files), before, strict=True):
            table.clear()  # type: ignore[attr-defined]
            table.update(old)  # type: ignore[attr-defined]
        for noun, spec in _specs.items():
            stubs.stub_classes[noun] = spec.cls._do_stub_class_  # type: ignore[attr-defined]
        raise
    nouns, _replaced = list(dict.fromkeys(_replaced)), None
    return nouns


def _load_files(folder: Path) -> None:
    for file in sorted(folder.glob("*")):
        changed = file.stat().st_mtime_ns
        if file.suffix not in SUFFIXES or _seen_files.get(file.name) == changed:
            continue
        _seen_files[file.name] = changed
        if file.suffix == ".modules":
            _import_modules(json.loads(file.read_text()))
        else:
            _load_pickle(file)


def _import_modules(entry: dict[str, Any]) -> None:
    global _is_importing
    modules = entry["modules"]
    _fresh_functions.clear()
    _is_importing = True
    try:
        is_new = app_modules.load(modules, entry["path"])
    finally:
        _is_importing = False
    if is_new:
        reloaded = {module for module in entry.get("sources", {})}
        for name in [name for name in _functions if name.partition(":")[0] in reloaded and name not in _fresh_functions]:
            del _functions[name]
            for forget_handlers in _on_forgotten:
                forget_handlers(name)


def _load_pickle(file: Path) -> None:
    global _loading_from
    # cloudpickle looks up what it can by name; a noun of this very process must stay what it is
    body = file.read_bytes()
    main = sys.modules["__main__"]
    _loading_from = f"shipped:{file.name}"
    try:
        content = cloudpickle.loads(body)
    except Exception as error:
        raise NounNotLoadable(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    finally:
        _loading_from = None
    origin = content["origin"]
    if getattr(main, "__file__", None) and os.path.abspath(str(main.__file__)) == origin:
        return
    for cls in content["types"]:
        codec.register_class(cls, "__main__")
    for name, fn in content["functions"].items():
        _functions[name] = fn
        _shipped_functions.add(name)
    for cls in content["nouns"]:
        cls._do_after_load_(origin)
    for name, value in content["also"].items():
        if name in _also:
            _also[name][1](value)


def replace(spec: NounSpec, origin: str) -> None:
    """A noun's class is complete: it takes the place of the one before."""
    before = _specs.get(spec.noun)
    _specs[spec.noun] = spec
    _origins[spec.noun] = origin
    _tell_known()
    if before is not None and before is not spec:
        for forget_handlers in _on_forgotten:
            forget_handlers(f"{spec.noun}.")
        _tell_replaced(spec.noun)
