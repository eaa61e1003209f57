"""Names of events and commands, and patterns of names: one grammar, one value, one index.

    Order.created          an event or command: noun, dot, verb; only the first dot counts
    Order.created@o1       the same, of the one entity Order/o1; everything after the @ is its id
    Order                  a noun alone; Role.SalesTeam is a name like any other
    approve                a bare word: a signal
    *.failed  Order.*  *.*  Order.*@o1     patterns; a star stands for a whole noun or verb

`N` writes them in Python: `N.Order.created`, `N["Order"].created`, `N[order_stub].approved`. What it gives is an
`EventName`, interchangeable with its text: equal to it, of one hash with it, sorted among texts. Every name on it that
does not begin with an underscore is a verb, so that no verb is taken; what there is to ask of it are functions here.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Generic, TypeVar

from dotdo import codec
from dotdo.errors import CodecError, DefinitionError, IdError
from dotdo.names import check_id, check_noun

NAME_CHARACTERS_MAX = 200
"""Of noun and verb together; the id after an @ has its own limit."""

_WORD = re.compile(r"[^\W\d][\w-]*\Z")
T = TypeVar("T")


@functools.total_ordering
class EventName:
    """The name of an event, command or signal, or a pattern of such names. Made by `N` or `parse`."""

    __slots__ = ("_text",)
    _text: str

    # a name has __getitem__; without these Python would take it for a sequence
    __iter__ = None
    __contains__ = None

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", _check(text))

    def __getattr__(self, verb: str) -> EventName:
        if verb.startswith("_"):
            raise AttributeError(f"{verb!r} is no verb here: one that begins with _ is written N[...][{verb!r}]")
        return self[verb]

    def __getitem__(self, verb: str) -> EventName:
        if not isinstance(verb, str):
            raise DefinitionError(f"N.{self._text}[...] takes a verb as text, not {verb!r}")
        name, at, scope = self._text.partition("@")
        return EventName(f"{name}.{verb}{at}{scope}")

    def __setattr__(self, verb: str, value: object) -> None:
        raise AttributeError(f"{self._text!r} is an event name and cannot be assigned to")

    def __delattr__(self, verb: str) -> None:
        raise AttributeError(f"{self._text!r} is an event name: nothing of it can be deleted")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EventName):
            return self._text == other._text
        return self._text == other if isinstance(other, str) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._text < str(other) if isinstance(other, (EventName, str)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text

    def __format__(self, spec: str) -> str:
        return format(self._text, spec)

    def __repr__(self) -> str:
        return f"N[{self._text!r}]"

    def __copy__(self) -> EventName:
        return self

    def __deepcopy__(self, _memo: Any) -> EventName:
        return self

    def __reduce__(self) -> Any:
        return EventName, (self._text,)


class Names:
    """The type of `N`: any attribute is a noun or a bare word; an index may also be a stub, an entity or a noun class."""

    __slots__ = ()

    __iter__ = None
    __contains__ = None

    def __getattr__(self, noun: str) -> EventName:
        if noun.startswith("_"):
            raise AttributeError(noun)
        return EventName(noun)

    def __getitem__(self, key: Any) -> EventName:
        if isinstance(key, (str, EventName)):
            return key if isinstance(key, EventName) else EventName(key)
        if isinstance(key, type):
            spec = getattr(key, "_do_spec_", None)
            return EventName(check_noun(spec.noun if spec is not None else key.__name__))
        noun, entity_id = getattr(key, "noun", None), getattr(key, "id", None)
        if isinstance(noun, str) and isinstance(entity_id, str):
            return EventName(f"{noun}@{entity_id}")
        raise DefinitionError(f"N[{key!r}]: give a noun's name or class, a stub or an entity")

    def __repr__(self) -> str:
        return "N"

    def __reduce__(self) -> str:
        return "N"


N = Names()
"""`N.Order.created` is the name "Order.created"."""


def parse(name: str | EventName) -> EventName:
    """The name or pattern that this text is. Raises DefinitionError saying how to write it."""
    found = name if isinstance(name, EventName) else _named(name) if isinstance(name, str) else EventName(name)
    if found == "*":
        raise DefinitionError("'*' alone is no pattern: write '*.*' for every event, '*.failed' for one verb, 'Order.*' for one noun")
    return found


_named = functools.lru_cache(maxsize=4096)(EventName)


def parse_event(name: str | EventName) -> EventName:
    """As `parse`, for what is sent or waited for: patterns are refused."""
    found = parse(name)
    if is_pattern(found):
        raise DefinitionError(f"{str(found)!r} is a pattern: it can be listened to, not sent; name the noun and the verb")
    return found


def split(name: str | EventName) -> tuple[str, str, str]:
    """Noun, verb and entity id; the verb or the id is "" where the name has none."""
    text, _, scope = str(parse(name)).partition("@")
    noun, _, verb = text.partition(".")
    return noun, verb, scope


def scope_of(name: str | EventName) -> tuple[str, str] | None:
    """Noun and id of the one entity the name is about, or None."""
    noun, _, scope = split(name)
    return (noun, scope) if scope else None


def unscoped(name: str | EventName) -> EventName:
    """The name without the entity it is about."""
    return EventName(str(parse(name)).partition("@")[0])


def is_signal(name: str | EventName) -> bool:
    """True for a bare word."""
    return not split(name)[1]


def is_pattern(name: str | EventName) -> bool:
    """True for a name with a star."""
    return "*" in split(name)[:2]


def matches(pattern: str | EventName, name: str | EventName) -> bool:
    """True if what is called `name` is wanted by who asked for `pattern`; names without a star are patterns of themselves.

    A name without an entity wants the event of every entity; a bare word is matched by itself alone.
    """
    return str(parse(pattern)) in patterns_of(name)


def patterns_of(name: str | EventName) -> list[str]:
    """Every pattern that matches what is called `name`, nearest first; there are never more than seven."""
    noun, verb, scope = split(parse_event(name))
    if not verb:
        return [str(name)] if not scope else [str(name), noun]
    patterns = [f"{noun}.{verb}", f"*.{verb}", f"{noun}.*", "*.*"]
    return [f"{noun}.{verb}@{scope}", f"{noun}.*@{scope}", *patterns] if scope else patterns


class PatternIndex(Generic[T]):
    """Who is registered for what; finding the matches of a name costs what is found, however many are registered."""

    def __init__(self) -> None:
        self._values: dict[str, dict[T, None]] = {}

    def add(self, pattern: str | EventName, value: T) -> None:
        """Register a hashable value; registering it again for the same pattern changes nothing."""
        self._values.setdefault(str(parse(pattern)), {})[value] = None

    def discard(self, pattern: str | EventName, value: T) -> None:
        """Take a registration back, if there is one."""
        text = str(parse(pattern))
        values = self._values.get(text, {})
        values.pop(value, None)
        if not values:
            self._values.pop(text, None)

    def matching(self, name: str | EventName) -> list[T]:
        """The values registered for patterns that match, each once.

        Exact names come first, then `*.verb`, `Noun.*`, `*.*`; within one pattern it is the order of registration.
        """
        found: dict[T, None] = {}
        for pattern in patterns_of(name):
            found.update(self._values.get(pattern, {}))
        return list(found)

    def registered(self, pattern: str | EventName) -> list[T]:
        """The values registered for this very pattern, in order."""
        return list(self._values.get(str(pattern), ()))

    def patterns(self) -> list[EventName]:
        """What is registered for, sorted."""
        return [EventName(text) for text in sorted(self._values)]

    def __len__(self) -> int:
        return sum(map(len, self._values.values()))


# -- the grammar ------------------------------------------------------------------------------------------------


def _check(text: object) -> str:
    if not isinstance(text, str):
        raise DefinitionError(f"an event name is text such as 'Order.created' or N.Order.created, not {type(text).__name__}: {text!r}")
    name, at, scope = text.partition("@")
    if len(name) > NAME_CHARACTERS_MAX:
        raise DefinitionError(f"the event name {name[:40]!r}... has {len(name)} characters, {NAME_CHARACTERS_MAX} at most are allowed")
    noun, dot, verb = name.partition(".")
    if dot:
        _check_noun(noun, text)
        _check_verb(verb, text)
    elif name != "*" and not _WORD.match(name):
        raise DefinitionError(_refusal(text, "a name is 'Noun.verb' or one bare word of letters, digits, _ and -"))
    if at:
        _check_scope(noun, scope, text)
    return str(text)


def _check_noun(noun: str, text: str) -> None:
    if noun == "*":
        return
    try:
        check_noun(noun)
    except DefinitionError as error:
        if "*" in noun:
            raise DefinitionError(_refusal(text, "a star stands for a whole noun or verb")) from None
        capital = noun[:1].upper() + noun[1:]
        way_out = f"did you mean {capital + text[len(noun) :]!r}?" if noun and capital != noun and capital.isidentifier() else str(error)
        raise DefinitionError(_refusal(text, way_out)) from None


def _check_verb(verb: str, text: str) -> None:
    if verb == "*":
        return
    if not verb:
        raise DefinitionError(_refusal(text, f"the verb after the dot is missing; all of them are {text.partition('.')[0] + '.*'!r}"))
    if "*" in verb:
        raise DefinitionError(_refusal(text, "a star stands for a whole noun or verb"))
    if not all(_WORD.match(part) for part in verb.split(".")):
        raise DefinitionError(_refusal(text, f"{verb!r} is no verb: letters, digits, _ and -, beginning with a letter"))


def _check_scope(noun: str, scope: str, text: str) -> None:
    if noun == "*":
        raise DefinitionError(_refusal(text, "an id says nothing without its noun: name the noun before the @"))
    _check_noun(noun, text)
    try:
        check_id(scope)
    except IdError as error:
        raise DefinitionError(_refusal(text, str(error))) from None


def _refusal(text: str, way_out: str) -> str:
    return f"{text!r} is not an event name: {way_out}"


def _unpack(packed: Any) -> EventName:
    try:
        return EventName(packed)
    except DefinitionError as error:
        raise CodecError(f"an event name in these bytes is malformed: {error}") from None


codec.register_extension(44, EventName, str, _unpack)
