"""Durable fields: annotated attributes of a noun, loaded on first read and saved at the turn's end.

Two maps carry them. `encoded` holds the bytes as last committed: what a rollback returns to, and what a turn's reads
record, by reference. `values` holds the live Python values, decoded when first read. A container that was handed out is
compared by its encoded bytes at every turn's end, because nothing tells us when user code changes it; when its content
has to be put back (rollback, replay) it is refilled in place, so that references user code holds stay true.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import pydantic
from pydantic.fields import FieldInfo

from dotdo import codec
from dotdo.entity.turn import Turn
from dotdo.errors import CodecError, FieldNotSet, FieldTooLarge, Hibernated, OutsideTurn

FIELD_SIZE_BYTES_MAX = 1024 * 1024

_SCALARS = frozenset(
    {type(None), bool, int, float, str, bytes, Decimal, datetime, date, time, timedelta, UUID},
)


class _MISSING:
    """No value. A class, because a class keeps its identity when a noun travels by value."""


def is_scalar(value: object) -> bool:
    """True for values that cannot change in place, so that assignment is the only way to change the field."""
    return type(value) in _SCALARS or isinstance(value, (Enum, PurePath))


class FieldSpec:
    """What a class says of one durable field: its type, its default and how it is validated."""

    __slots__ = ("_adapter", "_annotation", "_is_unresolved", "default", "default_factory", "exact", "name", "owner")

    def __init__(self, owner: type, name: str, annotation: Any, default: Any, *, is_unresolved: bool = False) -> None:
        self._is_unresolved = is_unresolved
        self.owner = owner
        self.name = name
        self._annotation = annotation
        self._adapter: pydantic.TypeAdapter[Any] | None = None
        self.default_factory = None
        if isinstance(default, FieldInfo):
            self.default_factory = default.default_factory
            annotation = typing.Annotated[annotation, default]
            self._annotation = annotation
            default = _MISSING if default.is_required() or self.default_factory else default.default
        self.default = default
        self.exact: type | None = annotation if annotation in (bool, int, str, bytes, float) else None

    @property
    def has_default(self) -> bool:
        return self.default is not _MISSING or self.default_factory is not None

    def make_default(self) -> Any:
        """A fresh default for one entity: containers are copied, never shared."""
        if self.default_factory is not None:
            return self.default_factory()  # type: ignore[call-arg]
        if self.default is _MISSING:
            raise FieldNotSet(f"field '{self.name}' of {self.owner.__name__} has no default and was not assigned yet: assign it first")
        return self.default if is_scalar(self.default) else codec.decode(codec.encode(self.default))

    def validate(self, value: Any) -> Any:
        """The value as pydantic accepts it (lax mode). Raises pydantic.ValidationError."""
        if type(value) is self.exact:
            return value
        adapter = self._adapter
        if adapter is None:
            if self._is_unresolved:
                self._resolve_late()
            config = pydantic.ConfigDict(arbitrary_types_allowed=True, title=f"{self.owner.__name__}.{self.name}")
            try:
                adapter = pydantic.TypeAdapter(self._annotation, config=config)
            except pydantic.errors.PydanticUserError:
                adapter = pydantic.TypeAdapter(self._annotation)
            self._adapter = adapter
        return adapter.validate_python(value)

    def _resolve_late(self) -> None:
        """A name that was not there when the class was made is there now (a noun declared further down), or means Any."""
        self._is_unresolved = False
        try:
            self._annotation = _resolved(self.owner, self._annotation)
        except NameError:
            self._annotation = typing.Any


def specs_of(cls: type, inherited: Mapping[str, FieldSpec], reserved: Iterable[str]) -> dict[str, FieldSpec]:
    """The durable fields of a noun: its annotated public attributes, after those of its bases; each becomes a descriptor."""
    specs = dict(inherited)
    hidden = set(reserved)
    own = cls.__dict__.get("__annotations__", {})
    for name, hint in own.items():
        try:
            annotation, is_unresolved = _resolved(cls, hint), False
        except NameError:
            annotation, is_unresolved = typing.ForwardRef(hint, is_class=True) if isinstance(hint, str) else hint, True
        if name.startswith("_") or name in hidden or typing.get_origin(annotation) is typing.ClassVar:
            continue
        if annotation is typing.ClassVar:
            continue
        default = cls.__dict__.get(name, _MISSING)
        if isinstance(default, DurableField):
            default = default.default
        specs[name] = FieldSpec(cls, name, annotation, default, is_unresolved=is_unresolved)
        setattr(cls, name, DurableField(name, default))
    return specs


def _resolved(cls: type, hint: Any) -> Any:
    """An annotation with its names looked up, first in the class's module. Raises NameError while one is not there yet."""
    import sys

    holder = type(cls.__name__, (), {"__annotations__": {"hint": hint}})
    names = {**vars(cls), cls.__name__: cls}
    module = vars(sys.modules.get(cls.__module__, typing))
    return typing.get_type_hints(holder, names, dict(module), include_extras=True)["hint"]


def refill(container: Any, content: Any) -> bool:
    """Give `container` the content of `content` in place; False when its kind cannot be refilled."""
    if container is content:
        return True
    kind = type(container)
    if kind is not type(content):
        return False
    if isinstance(container, list):
        container[:] = content
    elif isinstance(container, (dict, set)):
        container.clear()
        container.update(content)
    elif isinstance(container, pydantic.BaseModel) or hasattr(container, "__dict__"):
        container.__dict__.clear()
        container.__dict__.update(content.__dict__)
    else:
        return False
    return True


def _shallow(container: Any) -> Any:
    if isinstance(container, list):
        return list(container)
    if isinstance(container, dict):
        return type(container)(container) if type(container) is dict else container.copy()
    if isinstance(container, set):
        return set(container)
    copy = object.__new__(type(container))
    copy.__dict__.update(getattr(container, "__dict__", {}))
    return copy


class FieldView:
    """What `enter_view` put aside and `leave_view` puts back."""

    __slots__ = ("contents", "dirty", "held", "pending", "values")

    def __init__(
        self,
        values: dict[str, Any],
        contents: dict[str, Any],
        dirty: set[str],
        held: set[str],
        pending: dict[str, bytes],
    ) -> None:
        self.values = values
        self.contents = contents
        self.dirty = dirty
        self.held = held
        self.pending = pending


class FieldStore:
    """The durable fields of one entity in memory."""

    __slots__ = ("_specs", "dirty", "encoded", "held", "pending", "turn", "values", "where")

    def __init__(self, specs: Mapping[str, FieldSpec], where: str) -> None:
        self._specs = specs
        self.where = where
        self.encoded: dict[str, bytes] = {}
        self.pending: dict[str, bytes] = {}
        self.values: dict[str, Any] = {}
        self.dirty: set[str] = set()
        self.held: set[str] = set()
        self.turn: Turn | None = None

    # -- what user code does ------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """The live value of a field. Raises FieldNotSet, OutsideTurn."""
        turn = self.turn
        if turn is None:
            raise OutsideTurn(f"field '{name}' of {self.where} was read outside a turn (a thread or a loop callback)")
        if turn.dropped:
            raise Hibernated
        value = self.values.get(name, _MISSING)
        if name not in self.dirty and name not in turn.reads:
            turn.reads[name] = self.pending.get(name) or self.encoded.get(name)
        if value is _MISSING:
            value = self._load(name)
        if type(value) not in _SCALARS:
            self.held.add(name)
        return value

    def set(self, name: str, value: Any) -> None:
        """Assign a field: validated now, saved at the turn's end."""
        turn = self.turn
        if turn is None:
            raise OutsideTurn(f"field '{name}' of {self.where} was set outside a turn (a thread or a loop callback)")
        if turn.dropped:
            raise Hibernated
        value = self._specs[name].validate(value)
        if type(value) not in _SCALARS and not is_scalar(value):
            value = codec.decode(self._encoded(name, value))
            self.held.add(name)
        self.values[name] = value
        self.dirty.add(name)

    def _encoded(self, name: str, value: Any) -> bytes:
        try:
            return codec.encode(value)
        except CodecError as error:
            raise CodecError(f"field '{name}' of {self.where}: {error}") from None

    def _load(self, name: str) -> Any:
        data = self.pending.get(name) or self.encoded.get(name)
        value = self._specs[name].make_default() if data is None else codec.decode(data)
        self.values[name] = value
        return value

    # -- what a turn's end does ---------------------------------------------------------------------------------

    def flush(self) -> list[tuple[str, bytes]]:
        """The fields that changed since the last flush, encoded. Raises ValidationError, CodecError, FieldTooLarge."""
        if not self.dirty and not self.held:
            return []
        changed: list[tuple[str, bytes]] = []
        for name in self.dirty | self.held if self.held else self.dirty:
            value = self.values.get(name, _MISSING)
            if value is _MISSING:
                continue
            data = self._encoded(name, value)
            before = self.pending.get(name) or self.encoded.get(name)
            if data == before:
                continue
            if before is None and name not in self.dirty and data == codec.encode(self._specs[name].make_default()):
                continue
            if not is_scalar(value):
                data = self._fit(name, value, data)
                if data == before:
                    continue
            if len(data) > FIELD_SIZE_BYTES_MAX:
                raise FieldTooLarge(
                    f"field '{name}' of {self.where} is {len(data)} bytes, over {FIELD_SIZE_BYTES_MAX}: "
                    f"keep large or growing data in self.storage"
                )
            changed.append((name, data))
        for name, data in changed:
            self.pending[name] = data
        self.dirty.clear()
        return changed

    def _fit(self, name: str, value: Any, data: bytes) -> bytes:
        """Validate a container that was changed in place; what pydantic converts in it is converted there."""
        fitting = self._specs[name].validate(value)
        if fitting is value:
            return data
        fitted = codec.encode(fitting)
        if fitted != data and not refill(value, fitting):
            self.values[name] = fitting
        return fitted

    def committed(self) -> None:
        """The flushed bytes are in the file now."""
        if self.pending:
            self.encoded.update(self.pending)
            self.pending.clear()

    def roll_back(self) -> None:
        """Return every touched field to its committed bytes; containers in place."""
        touched = self.dirty | self.held | set(self.pending)
        self.pending.clear()
        self.dirty.clear()
        for name in touched:
            self._restore(name, self.encoded.get(name))

    def roll_back_to(self, pending: dict[str, bytes]) -> None:
        """Return to the bytes flushed when an inner transaction began."""
        touched = self.dirty | self.held | set(self.pending)
        self.pending = dict(pending)
        self.dirty.clear()
        for name in touched:
            self._restore(name, self.pending.get(name) or self.encoded.get(name))

    def release_containers(self) -> None:
        """No task of the entity is alive: nobody holds a container any more."""
        self.held.clear()

    def _restore(self, name: str, data: bytes | None) -> None:
        value = self.values.pop(name, _MISSING)
        if value is _MISSING or is_scalar(value):
            return
        spec = self._specs[name]
        if data is None and not spec.has_default:
            return
        content = spec.make_default() if data is None else codec.decode(data)
        self.values[name] = value if refill(value, content) else content

    # -- what a replayed turn sees ------------------------------------------------------------------------------

    def enter_view(self, reads: Mapping[str, bytes | None]) -> FieldView:
        """Show the recorded values for the length of one replayed turn."""
        contents = {n: _shallow(v) for n, v in self.values.items() if not is_scalar(v)}
        view = FieldView(dict(self.values), contents, set(self.dirty), set(self.held), dict(self.pending))
        for name, data in reads.items():
            spec = self._specs.get(name)
            if spec is None or (data is None and not spec.has_default):
                self.values.pop(name, None)
                continue
            current = self.values.get(name, _MISSING)
            if current is not _MISSING and not is_scalar(current) and self._same(name, data):
                continue
            value = spec.make_default() if data is None else codec.decode(data)
            if current is not _MISSING and not is_scalar(current) and refill(current, value):
                continue
            self.values[name] = value
        return view

    def _same(self, name: str, data: bytes | None) -> bool:
        now = self.pending.get(name) or self.encoded.get(name)
        return data is not None and now is not None and data == now and name not in self.dirty

    def leave_view(self, view: FieldView) -> None:
        """Put the live values back, keeping the identity of containers that user code may hold."""
        seen = self.values
        self.values = dict(view.values)
        self.dirty = view.dirty
        self.pending = view.pending
        held = self.held | view.held
        for name, after in seen.items():
            if is_scalar(after):
                continue
            before = view.contents.get(name, _MISSING)
            if before is _MISSING:
                data = self.pending.get(name) or self.encoded.get(name)
                spec = self._specs[name]
                if data is None and not spec.has_default:
                    continue
                before = spec.make_default() if data is None else codec.decode(data)
            self.values[name] = after if refill(after, before) else view.values.get(name, before)
        self.held = held


class DurableField:
    """The descriptor that stands for a field on the noun's class."""

    __slots__ = ("default", "name")

    def __init__(self, name: str, default: Any) -> None:
        self.name = name
        self.default = default

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return instance._do_.fields.get(self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        instance._do_.fields.set(self.name, value)

    def __delete__(self, instance: Any) -> None:
        raise AttributeError(f"{type(instance).__name__}.{self.name} is a durable field and cannot be deleted: assign it another value")
