"""Nouns, ids and keys: how an entity is called.

A noun is a class name. An id is any Unicode text of 1 to 512 bytes. The key joins them with a slash; the noun has none,
so the first slash splits it again.
"""

from __future__ import annotations

import re

from dotdo.errors import DefinitionError, IdError

ID_BYTES_MAX = 512
CONTROL_NOUN = "_host"
"""Calls to this noun are for a host itself, by its name; no class can bear it."""
RUN_NOUN = "WorkflowRun"
"""The noun of workflow runs: each has an entity, and so a file, of its own."""
RUN_CALL = "run"
"""The one call of a workflow run. It is the run, so the run's execution is called by the entity's id alone."""
_NOUN = re.compile(r"[A-Z][A-Za-z0-9_]{0,99}\Z")


def check_id(entity_id: object) -> str:
    """The id, if it can name an entity. Raises IdError."""
    if not isinstance(entity_id, str):
        raise IdError(f"an entity id is a string, not {type(entity_id).__name__}: {entity_id!r}; use str(...)")
    try:
        size = len(entity_id.encode())
    except UnicodeEncodeError:
        raise IdError(f"the entity id {entity_id!r} is not valid Unicode text") from None
    if not 1 <= size <= ID_BYTES_MAX:
        raise IdError(f"an entity id has 1 to {ID_BYTES_MAX} bytes, this one has {size}: {entity_id[:40]!r}")
    return str(entity_id)


def check_noun(noun: str) -> str:
    """The noun, if it is a name that a class, a folder and a URL can bear. Raises DefinitionError."""
    if not isinstance(noun, str) or not _NOUN.match(noun):
        raise DefinitionError(f"{noun!r} cannot be a noun: a capital letter, then letters, digits or _, 100 at most")
    return noun


def key_of(noun: str, entity_id: str) -> str:
    """`Order/o1`."""
    return f"{noun}/{entity_id}"


def split_key(key: str) -> tuple[str, str]:
    """Noun and id of a key. Raises IdError."""
    noun, slash, entity_id = key.partition("/")
    if not slash or not noun or not entity_id:
        raise IdError(f"{key!r} is not a key: write it as Noun/id")
    return noun, entity_id


def execution_id_of(key: str, call_id: str) -> str:
    """`Order/o1!<call id>`. Both sides may hold a "!", so it is written `%21` in the key: the first one splits again.

    A workflow run has one call, so its execution goes by the id of the run: `onboard-42`.
    """
    noun, _, entity_id = key.partition("/")
    if noun == RUN_NOUN and call_id == RUN_CALL and "!" not in entity_id:
        return entity_id
    if "!" in key or "%" in key:
        key = key.replace("%", "%25").replace("!", "%21")
    return f"{key}!{call_id}"


def split_execution_id(execution_id: str) -> tuple[str, str, str]:
    """Noun, entity id and call id of an execution. Raises IdError."""
    key, bang, call_id = execution_id.partition("!")
    if not bang:
        return RUN_NOUN, check_id(execution_id), RUN_CALL
    if not call_id:
        raise IdError(f"{execution_id!r} is not the id of an execution: it is <noun>/<id>!<call id>, or the id of a workflow run")
    noun, entity_id = split_key(key)
    return noun, entity_id.replace("%21", "!").replace("%25", "%"), call_id
