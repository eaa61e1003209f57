"""What the runtime knows of a noun's class: its options, durable fields, and what may be reached from outside.

Made once, when the class is created, so that what is wrong with a class is said there. Reachable are public `async def`
and `def` methods, properties and durable fields; never a private name, a hook, or a name of the runtime.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dotdo import codec, durations
from dotdo.entity.fields import FieldSpec, specs_of
from dotdo.errors import CodecError, DefinitionError, NoSuchMember
from dotdo.names import check_noun
from dotdo.rpc.follow import CallOut, follow
from dotdo.rpc.promise import NO_ARGUMENTS

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation

INDEX_FIELDS_MAX = 16

HOOKS = frozenset({"setup", "alarm", "migrate"})
RAY_OPTIONS_OF_THE_RUNTIME = frozenset(
    {"name", "namespace", "lifetime", "get_if_exists", "max_restarts", "max_task_retries", "max_concurrency", "concurrency_groups"}
)
"""What dedicated hosts are started with; the other options of a Ray actor are the user's."""


@dataclass(frozen=True, slots=True)
class NounOptions:
    """The class options of a noun; None means the runtime's setting."""

    placement: str | None = None
    idle_timeout_s: float | None = None
    durability: str | None = None
    max_queue: int | None = None
    max_turn_s: float | None = None
    ray_options: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    index: tuple[str, ...] = ()

    @classmethod
    def of(cls, class_name: str, given: dict[str, Any]) -> NounOptions:
        """The options of a class statement. Raises DefinitionError naming the class and the option."""
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name in ("idle_timeout", "max_turn"):
                values[f"{name}_s"] = None if value is None else _seconds(class_name, name, value)
            elif name in cls.__dataclass_fields__ and not name.endswith("_s"):
                values[name] = value
            else:
                raise DefinitionError(f"class {class_name}: unknown option {name!r}")
        if values.get("placement") not in (None, "shared", "dedicated"):
            raise DefinitionError(f"class {class_name}: placement={values['placement']!r}; use 'shared' or 'dedicated'")
        if values.get("durability") not in (None, "full", "normal"):
            raise DefinitionError(f"class {class_name}: durability={values['durability']!r}; use 'full' or 'normal'")
        limit = values.get("max_queue")
        if limit is not None and (type(limit) is not int or limit < 1):
            raise DefinitionError(f"class {class_name}: max_queue={limit!r}; it must be a whole number, at least 1")
        version = values.get("version", 1)
        if type(version) is not int or version < 1:
            raise DefinitionError(f"class {class_name}: version={version!r}; it must be a whole number, at least 1")
        _check_ray_options(class_name, values.get("ray_options", {}))
        if isinstance(values.get("index"), str):
            raise DefinitionError(f"class {class_name}: index={values['index']!r} is a string; write a tuple of field names")
        if "index" in values:
            values["index"] = tuple(values["index"] or ())
            if not all(isinstance(name, str) for name in values["index"]):
                raise DefinitionError(f"class {class_name}: index={values['index']!r}; write a tuple of field names")
            if len(values["index"]) > INDEX_FIELDS_MAX:
                raise DefinitionError(f"class {class_name}: index has {len(values['index'])} fields; at most {INDEX_FIELDS_MAX}")
        return cls(**values)


def _check_ray_options(class_name: str, given: Any) -> None:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise DefinitionError(f"class {class_name}: ray_options={given!r}; give a dict of options of a Ray actor, as {{'num_gpus': 1}}")
    taken = sorted(RAY_OPTIONS_OF_THE_RUNTIME & set(given))
    if taken:
        raise DefinitionError(f"class {class_name}: ray_options may not set {', '.join(taken)}: the runtime does")


def _seconds(class_name: str, option: str, value: Any) -> float:
    try:
        return durations.seconds(value)
    except (ValueError, TypeError) as error:
        raise DefinitionError(f"class {class_name}: {option}: {error}") from None


@dataclass(slots=True)
class Member:
    """One name that may be reached from outside."""

    kind: str
    function: Callable[..., Any] | None = None
    required: int = 0
    allowed: int = 0
    signature: inspect.Signature | None = None
    is_coroutine: bool = False

    def check_arguments(self, where: str, args: tuple[Any, ...] | list[Any], kwargs: dict[str, Any]) -> None:
        """Raise TypeError, as the call itself would, if the arguments do not fit."""
        if not kwargs and self.required <= len(args) <= self.allowed:
            return
        assert self.signature is not None
        try:
            self.signature.bind(None, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from None


class Members(dict[str, Member]):
    """The reachable names of one noun."""

    def __init__(self, noun: str) -> None:
        super().__init__()
        self.noun = noun

    def find(self, name: str) -> Member:
        member = self.get(name)
        if member is None:
            near = ", ".join(sorted(self)) or "none"
            what = "is a hook of the runtime and cannot be called from outside" if name in HOOKS else "is not there"
            raise NoSuchMember(f"{self.noun}.{name} {what}; public members are: {near}")
        return member

    def check_call(self, name: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before a call is sent: does the method exist, and do the arguments fit?"""
        member = self.get(name)
        if member is None or member.kind != "method":
            member = self.find_method(name)
        if kwargs or not member.required <= len(args) <= member.allowed:
            member.check_arguments(f"{self.noun}.{name}", args, kwargs)

    def check_read(self, name: Any) -> None:
        """Before a property path is sent: does its first name exist, and can it be read?"""
        if isinstance(name, str):
            self.find_value(name)

    def find_method(self, name: str) -> Member:
        """The method of this name. Raises NoSuchMember."""
        member = self.find(name)
        if member.kind != "method":
            raise NoSuchMember(f"{self.noun}.{name} is a {member.kind}, not a method: read it without calling it")
        return member

    def find_value(self, name: str) -> Member:
        """The field or property of this name. Raises NoSuchMember."""
        member = self.find(name)
        if member.kind == "method":
            raise NoSuchMember(f"{self.noun}.{name} is a method: call it, as {name}(...)")
        return member


@dataclass(frozen=True, slots=True)
class Code:
    """What a call runs: the name it is known by, and the function, or the error that says why it is not there."""

    name: str
    function: Callable[..., Any] | None
    missing: Exception | None = None


class NounSpec:
    """One noun as the runtime sees it.

    A noun whose one method runs many functions (workflows, functions that handle events) says with
    `_do_code_(entity_id, method, payload) -> Code` which function a call runs.
    """

    def __init__(self, cls: type, noun: str, options: NounOptions, reserved: frozenset[str], base: NounSpec | None) -> None:
        self.cls = cls
        self.noun = check_noun(noun)
        self.options = options
        self.fields: dict[str, FieldSpec] = specs_of(cls, base.fields if base else {}, reserved)
        for name in options.index:
            if name not in self.fields:
                raise DefinitionError(f"class {cls.__name__}: index names {name!r}, which is no durable field of it")
        self.members = self._members(reserved)
        self.setup: Callable[[Any], Any] | None = getattr(cls, "setup", None)
        self.alarm: Callable[..., Any] | None = getattr(cls, "alarm", None)
        self.migrate: Callable[[Any, dict[str, Any], int], Any] | None = getattr(cls, "migrate", None)
        if inspect.iscoroutinefunction(self.migrate):
            raise DefinitionError(f"{cls.__name__}.migrate is a coroutine: it is a plain function of the stored fields, write `def`")
        self._code_of: Callable[[str, str, bytes | None], Code] | None = getattr(cls, "_do_code_", None)

    def _members(self, reserved: frozenset[str]) -> Members:
        members = Members(self.noun)
        for name in dir(self.cls):
            if name.startswith("_") or name in reserved or name in HOOKS:
                continue
            if name in self.fields:
                members[name] = Member("field")
                continue
            raw = inspect.getattr_static(self.cls, name)
            if isinstance(raw, (property, functools.cached_property)):
                members[name] = Member("property")
            elif inspect.isfunction(raw):
                members[name] = _method(self.cls, name, raw)
        return members

    def make_instance(self, activation: Activation) -> Any:
        """The object user code sees as `self`."""
        instance: Any = object.__new__(self.cls)
        object.__setattr__(instance, "_do_", activation)
        return instance

    def bind(self, instance: Any, method: str, payload: bytes | None) -> Any:
        """The coroutine of a call. Raises NoSuchMember, TypeError, CodecError."""
        member = self.members.get(method) or self.members.find_method(method)
        function = member.function
        if function is None:
            function = self.members.find_method(method).function
            assert function is not None
        if payload == NO_ARGUMENTS and not member.required:
            return function(instance) if member.is_coroutine else _call_plain(function, instance, [], {})
        args, kwargs = _arguments(payload)
        if kwargs or not member.required <= len(args) <= member.allowed:
            member.check_arguments(f"{self.noun}.{method}", args, kwargs)
        if member.is_coroutine:
            return function(instance, *args, **kwargs)
        return _call_plain(function, instance, args, kwargs)

    async def read(self, instance: Any, path: Sequence[Any], payload: bytes | None, call_out: CallOut, call_id: str) -> Any:
        """A property path, or a call on what it leads to."""
        name = path[0]
        if not isinstance(name, str):
            raise NoSuchMember(f"a path on {self.noun} begins with the name of a member")
        self.members.find_value(name)
        value = getattr(instance, name)
        if inspect.isawaitable(value):
            value = await value
        if len(path) == 1 and payload is None:
            return value
        return await follow(value, path[1:], payload, call_out, call_id)

    def code_of(self, entity_id: str, method: str, payload: bytes | None) -> Code:
        """What a call runs: its method, or what the noun's method runs for it."""
        if self._code_of is not None:
            return self._code_of(entity_id, method, payload)
        member = self.members.get(method)
        return Code(method, member.function if member is not None else None)

    def source_of(self, entity_id: str, method: str, payload: bytes | None) -> bytes | None:
        """A hash of the code a call runs, to tell a redeployed method from a nondeterministic one."""
        function = self.code_of(entity_id, method, payload).function
        code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
        return None if code is None else _code_hash(code)


@functools.lru_cache(maxsize=4096)
def _code_hash(code: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        digest.update(_code_hash(constant) if hasattr(constant, "co_code") else stable_repr(constant).encode())
    return digest.digest()


def stable_repr(constant: Any) -> str:
    """The text of a constant in code, the same in every process: sets are written in the order of their members' texts."""
    if isinstance(constant, frozenset):
        return f"{{{', '.join(sorted(stable_repr(member) for member in constant))}}}"
    if isinstance(constant, tuple):
        return f"({', '.join(stable_repr(member) for member in constant)})"
    return repr(constant)


def _method(cls: type, name: str, function: Callable[..., Any]) -> Member:
    plain = inspect.unwrap(function)
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise DefinitionError(f"{cls.__name__}.{name} is a generator: return a list, or page through it with a cursor")
    signature = inspect.signature(function)
    required = allowed = 0
    unlimited = False
    for parameter in list(signature.parameters.values())[1:]:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            allowed += 1
            required += parameter.default is parameter.empty
        elif parameter.kind is parameter.VAR_POSITIONAL:
            unlimited = True
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            required = 1_000_000
    most = 1_000_000 if unlimited and required < 1_000_000 else allowed
    return Member("method", function, required, most, signature, inspect.iscoroutinefunction(function))


def _arguments(payload: bytes | None) -> tuple[list[Any], dict[str, Any]]:
    value = codec.decode(payload) if payload is not None else [[], {}]
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], list) and isinstance(value[1], dict)):
        raise CodecError("the arguments of a call are malformed")
    if not all(isinstance(name, str) for name in value[1]):
        raise CodecError("the keyword arguments of a call are malformed")
    return value[0], value[1]


async def _call_plain(function: Callable[..., Any], instance: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    result = function(instance, *args, **kwargs)
    if hasattr(type(result), "__await__"):
        result = await result
    return result
