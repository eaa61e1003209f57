"""What wrong input is told, where the public page says that it is refused: sections 1, 4 and 8."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pydantic
import pytest

from dotdo import DO, CodecError, DefinitionError, ai, on


class RefusingGauge(DO):
    percent: Annotated[int, pydantic.Field(ge=0, le=100)] = 0
    moments: dict[str, int] = {}

    async def set_to(self, value: object) -> None:
        self.percent = value  # type: ignore[assignment]

    async def mark(self, value: object) -> None:
        self.moments["now"] = value  # type: ignore[assignment]


@pytest.mark.parametrize("value", [101, "many", -1.0, None])
async def test_a_refused_value_is_told_with_its_field(rt, value):
    with pytest.raises(pydantic.ValidationError, match=r"RefusingGauge\.percent") as caught:
        await RefusingGauge("g").set_to(value)
    assert caught.value.errors()[0]["input"] == value
    assert f"input_value={value!r}" in str(caught.value)
    with pytest.raises(pydantic.ValidationError, match=r"RefusingGauge\.moments\nnow\n"):
        await RefusingGauge("g").mark("never")


async def test_a_refused_value_that_an_error_does_not_quote_is_not_told_to_be_another(rt):
    with pytest.raises(pydantic.ValidationError) as caught:
        await RefusingGauge("g").set_to(datetime.now(UTC))
    assert "input_value" not in str(caught.value)


class RefusingShelf(DO):
    content: Any = None
    names: list[Any] = []

    async def put(self, where: str) -> None:
        if where == "content":
            self.content = object()
        else:
            self.names.append(object())

    async def clear(self) -> None:
        del self.content


@pytest.mark.parametrize("field", ["content", "names"])
async def test_what_cannot_be_kept_is_told_with_its_field(rt, field):
    with pytest.raises(CodecError, match=rf"field '{field}' of RefusingShelf/s: .*object cannot be encoded"):
        await RefusingShelf("s").put(field)
    assert await RefusingShelf("s").names == []


async def test_a_field_is_not_deleted_and_says_so(rt):
    with pytest.raises(AttributeError, match=r"RefusingShelf\.content is a durable field and cannot be deleted: assign it"):
        await RefusingShelf("s").clear()


@pytest.mark.parametrize("key", [lambda data: data["n"], 7, ""])
def test_a_key_that_is_no_name_of_a_field_is_refused_where_it_is_written(key):
    with pytest.raises(DefinitionError, match="key= is the name of a field"):

        class RefusedListener(DO):
            @on.RefusedOrder.placed(key=key)
            async def placed(self, event: object) -> None: ...


async def test_the_model_called_test_is_pydantic_ais_own(rt):
    assert isinstance(await ai.generate(prompt="hello", model="test"), str)
