"""Stubs: `Order("o1")` outside itself.

A stub is noun and id, nothing else: it can be stored, passed, compared, hashed and printed, and becomes a stub again
wherever it arrives. Every public name on it is recorded, except the few that are local. For each noun class there is a
class of stubs that is also a subclass of the noun, so `isinstance(Order("o1"), Order)` holds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar

from dotdo import codec
from dotdo.errors import CodecError
from dotdo.names import check_id, check_noun, key_of
from dotdo.rpc.node import CallOptions
from dotdo.rpc.promise import Promise, make_options

_LOCAL = frozenset({"id", "noun", "key", "with_options"})

stub_classes: dict[str, type[Stub]] = {}
"""The class of stubs for each noun this process knows."""


class Stub:
    """A name for an entity. Make one with `Order("o1")`, or `make_stub("Order", "o1")` where the class is not known."""

    __slots__ = ("_do_options_", "_do_target_")

    _do_target_: tuple[str, str]
    _do_options_: CallOptions | None
    _do_members_: ClassVar[Any] = None

    def __getattribute__(self, name: str) -> Any:
        if name[:1] == "_":
            if name[:4] == "_do_" or (name[:2] == "__" and name[-2:] == "__"):
                return object.__getattribute__(self, name)
            raise AttributeError(f"{name!r} is private: only public members of an entity can be reached")
        if name in _LOCAL:
            return _local(self, name)
        members = type(self)._do_members_
        if members is not None and name not in members:
            members.find(name)  # what the class does not have is said at once, and `hasattr` tells the truth
        return Promise(target_of(self), members, None, (name,), options_of(self))

    def __getattr__(self, name: str) -> Any:
        """Says again what `__getattribute__` has said, in the place of the entity's own `__getattr__`."""
        if name[:1] != "_" and self._do_members_ is not None:
            self._do_members_.find(name)
        raise AttributeError(f"{name!r} is private: only public members of an entity can be reached")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self!r} is a stub: fields are assigned inside the entity; call a method that sets {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} is a stub: {name!r} cannot be deleted from outside")

    def __getitem__(self, name: str) -> Promise:
        if not isinstance(name, str):
            raise TypeError(f"{self!r}[...] takes the name of a member")
        return Promise(target_of(self), type(self)._do_members_, None, (name,), options_of(self))

    __iter__ = None  # or Python would iterate by index, and `list(stub)` would ask for member 0
    __contains__ = None

    def __await__(self) -> Generator[Any, None, Any]:
        return self
        yield

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stub) and self._do_target_ == other._do_target_

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._do_target_)

    def __repr__(self) -> str:
        noun, entity_id = self._do_target_
        return f"{noun}({entity_id!r})"

    def __str__(self) -> str:
        return repr(self)

    def __copy__(self) -> Stub:
        return self

    def __deepcopy__(self, _memo: Any) -> Stub:
        return self

    def __reduce__(self) -> Any:
        return make_stub, self._do_target_


# The slots themselves: reading them this way does not go through `__getattribute__`, which every call would pay for.
target_of: Callable[[Any], tuple[str, str]] = Stub.__dict__["_do_target_"].__get__
options_of: Callable[[Any], CallOptions | None] = Stub.__dict__["_do_options_"].__get__
_set_target: Callable[[Any, tuple[str, str]], None] = Stub.__dict__["_do_target_"].__set__
_set_options: Callable[[Any, CallOptions | None], None] = Stub.__dict__["_do_options_"].__set__


def _local(stub: Stub, name: str) -> Any:
    noun, entity_id = stub._do_target_
    if name == "id":
        return entity_id
    if name == "noun":
        return noun
    if name == "key":
        return key_of(noun, entity_id)

    def with_options(*, call_id: str | None = None, timeout: Any = None) -> Any:
        """The same entity, for a call with these options."""
        return _new(type(stub), noun, entity_id, make_options(call_id, timeout))

    return with_options


def _new(cls: type[Stub], noun: str, entity_id: str, options: CallOptions | None) -> Stub:
    stub: Stub = object.__new__(cls)
    _set_target(stub, (noun, entity_id))
    _set_options(stub, options)
    return stub


def make_stub(noun: str, entity_id: str) -> Stub:
    """A stub for any noun, known here or not. Raises IdError, DefinitionError."""
    return _new(stub_classes.get(noun) or _bare(noun), noun, check_id(entity_id), None)


def _bare(noun: str) -> type[Stub]:
    check_noun(noun)
    return Stub


def _unpack(packed: Any) -> Stub:
    if not (isinstance(packed, list) and len(packed) == 2 and all(isinstance(part, str) for part in packed)):
        raise CodecError("a stub in these bytes is malformed")
    return make_stub(packed[0], packed[1])


codec.register_extension(40, Stub, lambda stub: list(stub._do_target_), _unpack)
