"""Fields that an older class wrote: do they still fit, and what `migrate` makes of them.

The version of the class is kept beside the fields, under a name no field can have; a file without one was written by
version 1. What `migrate` returns, and the new version, are one commit, so a crash leaves the old fields or the new ones.
A stored field the class no longer has stays in the file, untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.errors import CodecError, StorageError
from dotdo.storage import journal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dotdo.entity.noun import NounSpec
    from dotdo.storage.entity_file import EntityFile

VERSION = "!version"
"""Beside the fields: the version of the class that wrote them."""

_FIELD_DELETE = "DELETE FROM _do_fields WHERE name = ?1"


class DoesNotFit(StorageError):
    """What is stored is not what the class is: only another class helps."""


def put_version(file: EntityFile, version: int) -> None:
    """Let a new file say which version of the class wrote it, from its first commit on; version 1 goes unsaid."""
    if version != 1:
        file.with_first_commit(journal.FIELD_PUT, (VERSION, codec.encode(version)))


def take_version(stored: dict[str, bytes]) -> int:
    """The version that wrote these fields; its row is taken from among them."""
    data = stored.pop(VERSION, None)
    return 1 if data is None else int(codec.decode(data))


def fitted(spec: NounSpec, key: str, stored: Mapping[str, bytes]) -> dict[str, bytes]:
    """The fields as the class takes them: as pydantic converts them. Raises StorageError naming one that does not fit.

    The file keeps the old bytes until the field is written; user code, and the record of what it read, see the new ones.
    """
    fields = dict(stored)
    for name, data in stored.items():
        field = spec.fields.get(name)
        if field is None:
            continue
        try:
            value = codec.decode(data)
            if type(value) is not field.exact:
                fields[name] = codec.encode(field.validate(value))
        except Exception as error:  # whatever a validator of the user raises
            raise DoesNotFit(
                f"field '{name}' of {key} holds what its class does not take (any more): {error}; "
                f"give the class version={spec.options.version + 1} and a migrate(self, stored, version) that changes it"
            ) from error
    return fields


def needs_migration(spec: NounSpec, key: str, version: int) -> bool:
    """True if an older class wrote the fields. Raises StorageError if a newer one did."""
    if version > spec.options.version:
        raise DoesNotFit(
            f"{key} was written by version {version} of its class, and this is version {spec.options.version}: "
            f"an older class cannot know what the newer one meant"
        )
    return version < spec.options.version


def migrate(spec: NounSpec, key: str, instance: Any, stored: dict[str, bytes], version: int) -> dict[str, bytes]:
    """The fields as `migrate` of the class makes them. Raises StorageError, its cause what `migrate` raised."""
    if spec.migrate is None:
        return stored
    where = f"migrate of {key} from version {version} to {spec.options.version}"
    try:
        made = spec.migrate(instance, {name: codec.decode(data) for name, data in stored.items()}, version)
        if not isinstance(made, dict) or not all(isinstance(name, str) and name.isidentifier() for name in made):
            raise TypeError(f"it returned {type(made).__name__}, not a dict of fields by name")
        return {name: _encoded(spec, name, value) for name, value in made.items()}
    except Exception as error:  # the user's; the entity answers with it until the class is mended
        raise DoesNotFit(f"{where} failed: {type(error).__name__}: {error}") from error


def _encoded(spec: NounSpec, name: str, value: Any) -> bytes:
    field = spec.fields.get(name)
    try:
        return codec.encode(value if field is None else field.validate(value))
    except CodecError as error:
        raise CodecError(f"field '{name}': {error}") from None


def put(file: EntityFile, before: Mapping[str, bytes], after: Mapping[str, bytes], version: int) -> None:
    """Add the difference, and the version, to the transaction that is being put together."""
    for name in before.keys() - after.keys():
        file.add(_FIELD_DELETE, (name,))
    for name, data in after.items():
        if before.get(name) != data:
            file.add(journal.FIELD_PUT, (name, data))
    file.add(journal.FIELD_PUT, (VERSION, codec.encode(version)))
