"""Records: the documents a query gives. A `dict` of the fields, with what the runtime knows beside them.

`record["status"]` and `record.status` are the same for every field whose name is no method of dict; `order["items"]` is
the field, `order.items` stays the method. The runtime's own keys begin with a dollar: `$id` (also `record.id` and
`record["id"]`), `$type`, `$created`, `$updated`. Records are copies: changing one changes no document.
"""

from __future__ import annotations

from typing import Any

from dotdo import codec

META = ("$id", "$type", "$created", "$updated")
_ATTRIBUTES = {"id": "$id", "type": "$type", "created_at": "$created", "updated_at": "$updated"}


class Record(dict[str, Any]):
    """One document."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        if name == "id":
            return self["$id"]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict; "id" is the record's id."""
        return super().get("$id" if name == "id" and name not in self else name, default)

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return _reachable(self[name])
        meta = _ATTRIBUTES.get(name)
        if meta is not None and meta in self:
            return self[meta]
        raise AttributeError(f"this {self.get('$type', 'record')} has no field {name!r}; it has {', '.join(self) or 'none'}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a record is a copy: change the document with db.update(record, {{{name!r}: ...}})")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if isinstance(name, str)), *_ATTRIBUTES]


def _reachable(value: Any) -> Any:
    """A nested dict, so that `order.customer.email` works."""
    return Record(value) if type(value) is dict else value


class Page(list[Record]):
    """The records of one `list`; `cursor` asks for the next page, None when there is none."""

    __slots__ = ("cursor",)

    def __init__(self, records: Any = (), cursor: str | None = None) -> None:
        super().__init__(records)
        self.cursor = cursor


class StoredPage:
    """A page as it is on the disk: it travels so, and is a Page where it arrives. The host's loop decodes nothing."""

    __slots__ = ("cursor", "values")

    def __init__(self, values: list[bytes], cursor: str | None = None) -> None:
        self.values = values
        self.cursor = cursor

    def records(self) -> Page:
        """The page itself."""
        return Page((Record(codec.decode(value)) for value in self.values), self.cursor)


codec.register_extension(60, Record, dict, Record)
codec.register_extension(61, Page, lambda page: [list(page), page.cursor], lambda packed: Page(*packed))
codec.register_extension(62, StoredPage, lambda page: [page.values, page.cursor], lambda packed: StoredPage(*packed).records())
