"""The name of a collection: `db.Orders`, `db.Order`, `N.Order`, the class `Order` and "orders" are all `Order`.

The name is the id of the collection's entity, so what a word becomes here decides where documents are found. The plurals
are those of the library `pluralizer`; the words below it gets wrong, or a programmer means otherwise.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from pluralizer import Pluralizer

from dotdo.errors import DefinitionError, IdError
from dotdo.events.names import EventName
from dotdo.hosting import catalog
from dotdo.names import check_noun

_words = Pluralizer()  # type: ignore[no-untyped-call]  # the library says it is typed, and types all but this
for _word in ("data", "metadata", "media", "sms", "gps", "dns", "kudos"):
    _words.add_uncountable_rule(_word)
for _one, _many in (("basis", "bases"), ("axis", "axes"), ("lens", "lenses"), ("bias", "biases")):
    _words.add_irregular_rule(_one, _many)

_ACRONYMS = re.compile(r"[A-Z]{2,}s\Z")
_LAST_WORD = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)(?=\d*\Z)")


def collection_of(name: Any) -> str:
    """The collection that a word, an event name, a noun class, a stub or a record names. Raises DefinitionError."""
    if isinstance(name, EventName):
        name = str(name).partition("@")[0]
    elif isinstance(name, dict) and "$type" in name:
        name = name["$type"]
    elif isinstance(name, type):
        spec = getattr(name, "_do_spec_", None)
        name = spec.noun if spec is not None else name.__name__
    if not isinstance(name, str):
        raise DefinitionError(f"{name!r} names no collection: give N.Order, 'Order' or the class Order")
    found = _collection_named(name)
    if not has_index(found):
        for plural in (name, _words.plural(found)):  # a noun class whose own name is a plural
            if has_index(plural):
                return str(plural)
    return found


def has_index(noun: str) -> bool:
    """True if a noun class of this name, known here, is declared with `index=`."""
    spec = catalog.find(noun)
    return spec is not None and bool(spec.options.index)


@functools.lru_cache(maxsize=4096)
def _collection_named(name: str) -> str:
    """The singular, in camel case: "order_items" is `OrderItem`."""
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[_\s-]+", name))
    try:
        check_noun(words)
    except (IdError, DefinitionError, ValueError) as error:
        raise DefinitionError(f"{name!r} names no collection: {error}") from None
    if _ACRONYMS.search(words):
        return words[:-1]
    last = _LAST_WORD.search(words)
    if last is None:
        return words
    return words[: last.start()] + _words.singular(last[0]) + words[last.end() :]
