"""Durable Objects for Python, on Ray.

Subclass `DO`; every `Order("o1")` is an entity: a single-threaded actor with its own SQLite file, reachable from anywhere
in the cluster, asleep on disk when nobody talks to it, and able to run code that survives a crash.

The public names are those of `dotdo.public`, which is imported with the first of them.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dotdo.public import *
    from dotdo.public import __all__ as __all__


def __getattr__(name: str) -> Any:
    """A module of this package, or a public name: asked for the first time, they are all here from now on."""
    import importlib
    import importlib.util

    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    public = importlib.import_module("dotdo.public")
    globals().update({each: getattr(public, each) for each in public.__all__}, __all__=public.__all__)
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
