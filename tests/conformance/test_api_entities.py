"""Entities as the public page describes them: options, fields, hooks, storage, gates and life, each claim on its own."""

import asyncio
import dataclasses
import enum
import logging
import types
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Optional

import pydantic
import pytest
from pydantic import BaseModel, Field

import dotdo
from dotdo import DO, DefinitionError, DotdoError, FieldNotSet, FieldTooLarge, NoSuchMember, NotAllowed
from dotdo.testing import runtime


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Box:
    width: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Address(BaseModel):
    city: str
    lines: list[str] = []


class ApiCustomer(DO):
    name: str = "nobody"

    async def rename(self, name: str) -> str:
        self.name = name
        return self.name


class Invoice(BaseModel):
    customer: ApiCustomer
    amount: Decimal


class ApiEverything(DO):
    number: int = 0
    ratio: float = 0.5
    flag: bool = False
    text: str = "x"
    raw: bytes = b"\x00"
    money: Decimal = Decimal("0.10")
    moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    day: date = date(2026, 1, 1)
    span: timedelta = timedelta(hours=1)
    colour: Colour = Colour.RED
    path: Path = Path("/a/b")
    pair: tuple[int, str] = (1, "a")
    names: set[str] = {"a"}
    box: Box = Box(1)
    address: Address = Address(city="Ulm")
    maybe: int | None = None
    choice: Literal["a", "b"] = "a"
    customer: ApiCustomer | None = None
    customers: list[ApiCustomer] = []
    by_name: dict[str, ApiCustomer] = {}
    invoice: Invoice | None = None
    parent: Optional["ApiEverything"] = None
    later: "list[ApiDeclaredLater]" = []
    key_by_number: dict[int, list[int]] = {}

    async def fill(self) -> None:
        self.number, self.ratio, self.flag, self.text, self.raw = (
            2**80,
            1.25,
            True,
            "ü\ud83d".encode("utf-16", "surrogatepass").hex(),
            b"\xff",
        )
        self.money, self.span = Decimal("10.00"), timedelta(microseconds=1)
        self.moment = datetime(2026, 2, 3, tzinfo=UTC)
        self.day = date(2027, 1, 1)
        self.colour = Colour.BLUE
        self.path = Path("c")
        self.pair = (2, "b")
        self.names.add("b")
        self.box.tags.append("t")
        self.address.lines.append("line")
        self.maybe = 3
        self.choice = "b"
        self.customer = ApiCustomer("c1")
        self.customers.append(ApiCustomer("c2"))
        self.by_name["c3"] = ApiCustomer("c3")
        self.invoice = Invoice(customer=ApiCustomer("c4"), amount=Decimal("1.10"))
        self.parent = ApiEverything("p")
        self.later.append(ApiDeclaredLater("d"))
        self.key_by_number[7] = [1]

    async def read(self) -> dict:
        return {name: getattr(self, name) for name in ("number", "ratio", "flag", "raw", "money", "moment", "day", "span", "colour",
                "path", "pair", "names", "box", "address", "maybe", "choice", "customer", "customers", "by_name", "invoice",
                "parent", "later", "key_by_number")}  # fmt: skip

    async def assign(self, name: str, value: object) -> object:
        setattr(self, name, value)
        return getattr(self, name)


class ApiDeclaredLater(DO):
    pass


EXPECTED = {
    "number": 2**80, "ratio": 1.25, "flag": True, "raw": b"\xff", "money": Decimal("10.00"),
    "moment": datetime(2026, 2, 3, tzinfo=UTC), "day": date(2027, 1, 1), "span": timedelta(microseconds=1), "colour": Colour.BLUE,
    "path": Path("c"), "pair": (2, "b"), "names": {"a", "b"}, "box": Box(1, ["t"]), "address": Address(city="Ulm", lines=["line"]),
    "maybe": 3, "choice": "b", "customer": ApiCustomer("c1"), "customers": [ApiCustomer("c2")], "by_name": {"c3": ApiCustomer("c3")},
    "invoice": Invoice(customer=ApiCustomer("c4"), amount=Decimal("1.10")), "parent": ApiEverything("p"), "later": [ApiDeclaredLater("d")],
    "key_by_number": {7: [1]},
}  # fmt: skip


# -- durable fields -------------------------------------------------------------------------------------------------


async def test_a_field_of_every_kind_keeps_value_and_type_through_a_crash(rt):
    entity = ApiEverything("e")
    await entity.fill()
    await rt.crash()
    found = await entity.read()
    assert found == EXPECTED
    assert {n: type(v) for n, v in found.items()} == {n: type(v) for n, v in EXPECTED.items()}
    assert await entity.customers[0].name == "nobody"
    assert await entity.invoice.customer.rename("ann") == "ann"


async def test_assignment_validates_as_pydantic_does_in_lax_mode(rt):
    entity = ApiEverything("e")
    assert await entity.assign("number", "5") == 5
    assert await entity.assign("colour", "blue") is Colour.BLUE
    assert await entity.assign("moment", "2026-05-06T00:00:00Z") == datetime(2026, 5, 6, tzinfo=UTC)
    assert await entity.assign("address", {"city": "Bonn"}) == Address(city="Bonn")
    for name, value in (("number", "five"), ("choice", "c"), ("customer", ApiEverything("x")), ("customer", "c1"), ("pair", (1,))):
        with pytest.raises(pydantic.ValidationError):
            await entity.assign(name, value)
    assert await entity.number == 5


class ApiLimited(DO):
    stock: int = Field(3, ge=0)
    rate: Annotated[float, Field(le=1)] = 0.5
    notes: list[str] = Field(default_factory=lambda: ["first"])
    tags: dict[str, int] = {}
    owner: str
    limit: ClassVar[int] = 10
    retries = 3
    _memory: int = 0

    async def set_stock(self, stock: int) -> int:
        self.stock = stock
        return self.stock

    async def add_note(self, note: str) -> list[str]:
        self.notes.append(note)
        return self.notes

    async def tag(self, name: str, value: object) -> None:
        self.tags[name] = value

    async def set_owner(self, owner: str) -> str:
        self.owner = owner
        return self.owner

    async def owner_or(self, other: str) -> str:
        return getattr(self, "owner", other)

    async def keep_own_copy(self) -> dict[str, int]:
        mine = {"a": 1}
        self.tags = mine
        mine["b"] = 2
        self.tags["c"] = 3
        return mine

    async def remember(self) -> tuple[int, int, int]:
        self._memory += 1
        self.retries += 1
        self.limit += 1
        return self._memory, self.retries, self.limit

    async def replace_a_method(self) -> None:
        self.remember = 1

    async def grow(self, size: int) -> None:
        self.owner = "x" * size


async def test_a_default_belongs_to_one_entity(rt):
    assert await ApiLimited("a").add_note("x") == ["first", "x"]
    await ApiLimited("a").tag("t", 1)
    assert await ApiLimited("b").notes == ["first"]
    assert await ApiLimited("b").tags == {}
    await rt.crash()
    assert await ApiLimited("a").notes == ["first", "x"]


async def test_a_field_without_default_is_not_set_until_it_is_assigned(rt):
    with pytest.raises(FieldNotSet, match="owner"):
        await ApiLimited("a").owner
    assert await ApiLimited("a").owner_or("nobody") == "nobody"
    assert await ApiLimited("a").set_owner("ann") == "ann"
    assert await ApiLimited("a").owner == "ann"


async def test_constraints_hold_at_assignment_and_inside_containers_at_the_turns_end(rt):
    with pytest.raises(pydantic.ValidationError):
        await ApiLimited("a").set_stock(-1)
    with pytest.raises(pydantic.ValidationError):
        await ApiLimited("a").tag("x", "not a number")
    assert await ApiLimited("a").tags == {}
    assert await ApiLimited("a").stock == 3


async def test_assignment_stores_a_copy_of_a_container(rt):
    assert await ApiLimited("a").keep_own_copy() == {"a": 1, "b": 2}
    assert await ApiLimited("a").tags == {"a": 1, "c": 3}


async def test_private_names_class_variables_and_unannotated_attributes_are_memory_only(rt):
    assert await ApiLimited("a").remember() == (1, 4, 11)
    assert await ApiLimited("a").remember() == (2, 5, 12)
    assert await ApiLimited("b").remember() == (1, 4, 11)
    assert (ApiLimited.limit, ApiLimited.retries) == (10, 3)
    await rt.restart()
    assert await ApiLimited("a").remember() == (1, 4, 11)
    with pytest.raises(AttributeError):
        await ApiLimited("a").replace_a_method()


@pytest.mark.parametrize("name", ["limit", "retries"])
async def test_what_is_no_field_cannot_be_read_from_outside(rt, name):
    with pytest.raises(NoSuchMember):
        await ApiLimited("a")[name]


async def test_a_field_over_a_megabyte_is_refused_and_nothing_of_the_turn_is_kept(rt):
    await ApiLimited("a").grow(900_000)
    with pytest.raises(FieldTooLarge, match="storage"):
        await ApiLimited("a").grow(1_200_000)
    assert len(await ApiLimited("a").owner) == 900_000


class ApiBase(DO):
    shared: int = 1

    async def both(self) -> str:
        return f"{self.noun} {self.shared}"

    async def overridden(self) -> str:
        return "base"


class Sharing:
    def mixed_in(self) -> str:
        return self.id


class ApiChild(Sharing, ApiBase):
    shared: int = 2
    own: str = "own"

    async def overridden(self) -> str:
        return "child of " + await super().overridden()


async def test_nouns_inherit_fields_and_methods(rt):
    assert await ApiBase("x").both() == "ApiBase 1"
    assert await ApiChild("x").both() == "ApiChild 2"
    assert await ApiChild("x").overridden() == "child of base"
    assert await ApiChild("x").own == "own"
    assert await ApiChild("x").mixed_in() == "x"
    assert isinstance(ApiChild("x"), ApiBase)
    assert not isinstance(ApiBase("x"), ApiChild)


# -- class options and class creation ---------------------------------------------------------------------------------


class ApiSleepy(DO, idle_timeout="5s", durability="normal", max_queue=2, placement="dedicated", ray_options={"num_cpus": 0.1}):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def park(self) -> None:
        await asyncio.get_running_loop().create_future()


@pytest.mark.feature(8)
async def test_a_nouns_own_idle_timeout_wins(virtual):
    await ApiSleepy("s").add()
    await ApiCustomer("c").rename("x")
    await virtual.advance("6s")
    assert {e["key"]: e["status"] for e in await dotdo.entities()} == {"ApiSleepy/s": "hibernated", "ApiCustomer/c": "active"}
    assert await ApiSleepy("s").add() == 2


async def test_a_nouns_own_queue_limit_wins(rt):
    waiting = [asyncio.ensure_future(ApiSleepy("full").park()) for _ in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(dotdo.Overloaded) as caught:
        await ApiSleepy("full").add()
    assert caught.value.retryable
    assert caught.value.code == "overloaded"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(
    "options",
    [
        {"placement": "moon"},
        {"durability": "some"},
        {"idle_timeout": "soon"},
        {"max_queue": 0},
        {"max_queue": "many"},
        {"index": "status"},
        {"what": 1},
    ],
)
def test_a_wrong_class_option_is_refused_and_named(options):
    with pytest.raises(DotdoError, match=next(iter(options))):
        types.new_class("WrongOption", (DO,), options)


@pytest.mark.parametrize("options", [{"colour": 1}, {"durability": "some"}, {"max_queue": 0}, {"idle_timeout": "soon"}, {"placement": "x"}])
def test_a_wrong_option_of_the_runtime_is_refused_and_named(options, tmp_path):
    with pytest.raises(DefinitionError, match=next(iter(options))):
        dotdo.init(data=tmp_path, hosts=0, **options)


RESERVED = [
    "id",
    "noun",
    "key",
    "env",
    "log",
    "now",
    "random",
    "uuid4",
    "storage",
    "do",
    "try_",
    "send",
    "step",
    "sleep",
    "wait_for",
    "callback",
    "poll",
    "timeout",
    "first",
    "saga",
    "on",
    "every",
    "schedule_at",
    "cascade",
    "approval_flow",
    "block_concurrency_while",
    "wait_until",
    "abort",
    "with_options",
]


@pytest.mark.feature(13)
@pytest.mark.parametrize("name", RESERVED)
def test_every_name_of_the_runtime_is_refused_by_name(name):
    def method(self):
        return 1

    with pytest.raises(DefinitionError, match=repr(name)):
        type("TakesAName", (DO,), {name: method})
    with pytest.raises(DefinitionError, match=repr(name)):
        type("TakesAName", (DO,), {"__annotations__": {name: int}})
    with pytest.raises(DefinitionError, match=repr(name)):
        type("TakesAName", (type("Mixin", (), {name: method}), DO), {})


def test_init_is_refused_also_from_a_mixin():
    def init(self):
        pass

    with pytest.raises(DefinitionError, match="setup"):
        type("HasInit", (DO,), {"__init__": init})
    with pytest.raises(DefinitionError, match="setup"):
        type("HasInit", (type("Mixin", (), {"__init__": init}), DO), {})


def test_generators_are_refused_when_the_class_is_made():
    with pytest.raises(DefinitionError, match="numbers is a generator"):

        class Generates(DO):
            async def numbers(self):
                yield 1

    class Privately(DO):
        def _numbers(self) -> Iterator[int]:
            yield 1


def test_a_noun_has_no_metaclass_and_do_itself_no_entities():
    assert type(ApiCustomer) is type
    with pytest.raises(TypeError, match="subclass"):
        DO("x")
    with pytest.raises(TypeError):
        ApiCustomer()


@pytest.mark.feature(3)
@pytest.mark.parametrize("bad", ["", "x" * 513, "ü" * 257, 7, None, "\ud800"])
def test_an_id_is_text_of_1_to_512_bytes(bad):
    with pytest.raises(ValueError, match="id"):
        ApiCustomer(bad)


@pytest.mark.feature(3)
async def test_any_other_text_is_an_id_of_an_entity_of_its_own(rt):
    ids = ["x" * 512, "../../etc/passwd", "a/b", "a", "A", "a\x00", ".", "..", " ", "ü", "u\u0308", "CON", "a!b#c?d", "\n", "🦆" * 100]
    for entity_id in ids:
        await ApiCustomer(entity_id).rename(entity_id)
    await rt.crash()
    assert [await ApiCustomer(entity_id).name for entity_id in ids] == ids
    assert {e["key"] for e in await dotdo.entities("ApiCustomer")} <= {f"ApiCustomer/{i}" for i in ids}


# -- who it is, and what the runtime hands out --------------------------------------------------------------------------


class ApiSelf(DO):
    woken: int = 0

    async def who(self) -> tuple[str, str, str]:
        return self.id, self.noun, self.key

    async def bindings(self) -> list:
        return [self.env.TOKEN, self.env["TOKEN"], hasattr(self.env, "OTHER")]

    async def no_binding(self) -> str:
        return self.env.NOTHING

    async def write_log(self) -> None:
        self.log.warning("low on %s", "ink")

    async def draws(self) -> dict:
        letters = list("abc")
        self.random.shuffle(letters)
        return {
            "now": self.now(), "uuid": self.uuid4(), "other": self.uuid4(), "die": self.random.randint(1, 6),
            "choice": self.random.choice("ab"), "float": self.random.random(), "letters": letters,
            "gauss": self.random.gauss(0, 1), "sample": self.random.sample(range(10), 3),
        }  # fmt: skip

    async def take(self, name: str) -> None:
        setattr(self, name, 1)

    async def other(self, entity_id: str) -> str:
        return await self.ApiCustomer(entity_id).rename("by name")

    async def nowhere(self) -> None:
        await self.NoSuchNoun("x").ask()

    async def missing(self) -> None:
        self.nothing_here  # noqa: B018


@pytest.mark.feature(5)
async def test_an_entity_knows_who_it_is(rt):
    assert await ApiSelf("s/1").who() == ("s/1", "ApiSelf", "ApiSelf/s/1")
    with pytest.raises(AttributeError):
        await ApiSelf("s").take("id")


@pytest.mark.feature(6)
async def test_env_is_read_by_name_and_is_in_no_file(tmp_path):
    async with runtime(env={"TOKEN": "s3cret-value"}, data=tmp_path) as rt:
        assert await ApiSelf("s").bindings() == ["s3cret-value", "s3cret-value", False]
        await rt.restart()
        with pytest.raises(AttributeError, match="NOTHING"):
            await ApiSelf("s").no_binding()
    assert not any(b"s3cret-value" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    async with runtime(env=types.SimpleNamespace(TOKEN="t")):
        with pytest.raises(AttributeError, match="NOTHING"):
            await ApiSelf("s").no_binding()
    async with runtime():
        with pytest.raises(AttributeError, match="NOTHING"):
            await ApiSelf("s").no_binding()


async def test_the_log_names_the_entity(rt, caplog):
    with caplog.at_level(logging.INFO):
        await ApiSelf("s").write_log()
    (record,) = [r for r in caplog.records if "low on ink" in r.getMessage()]
    assert "ApiSelf" in record.name
    assert record.key == "ApiSelf/s"


async def test_time_and_chance_come_from_the_runtime(virtual):
    one, two = await ApiSelf("s").draws(), await ApiSelf("s").draws()
    assert one["now"].utcoffset() == timedelta(0)
    assert isinstance(one["uuid"], uuid.UUID)
    assert one["uuid"].version == 4
    assert len({one["uuid"], one["other"], two["uuid"], two["other"]}) == 4
    assert 1 <= one["die"] <= 6
    assert sorted(one["letters"]) == ["a", "b", "c"]
    assert one["float"] != two["float"]
    before = one["now"]
    await virtual.advance("1h")
    assert (await ApiSelf("s").draws())["now"] - before >= timedelta(hours=1)


@pytest.mark.feature(344, 345)
async def test_other_nouns_are_reached_by_name_and_a_missing_attribute_stays_missing(rt):
    assert await ApiSelf("s").other("c") == "by name"
    assert await ApiCustomer("c").name == "by name"
    with pytest.raises(dotdo.NounNotLoadable, match="NoSuchNoun"):
        await ApiSelf("s").nowhere()
    with pytest.raises(AttributeError, match="nothing_here"):
        await ApiSelf("s").missing()


# -- what may be called from outside --------------------------------------------------------------------------------------


class ApiDoor(DO):
    count: int = 1

    async def asynchronous(self, a: int, /, b: int = 2, *, c: int = 3) -> tuple:
        return a, b, c

    def synchronous(self, *args: int, **kwargs: int) -> tuple:
        return args, kwargs

    @property
    def double(self) -> int:
        return self.count * 2

    @double.setter
    def double(self, value: int) -> None:
        self.count = value // 2

    async def set_double(self, value: int) -> int:
        self.double = value
        return self.count

    @staticmethod
    def static() -> int:
        return 1

    @classmethod
    def of_class(cls) -> int:
        return 1

    async def setup(self) -> None:
        pass

    async def alarm(self, info) -> None:
        pass

    def migrate(self, stored: dict, version: int) -> dict:
        return stored


@pytest.mark.feature(350)
async def test_public_methods_properties_and_fields_are_reached(rt):
    assert await ApiDoor("d").asynchronous(1) == (1, 2, 3)
    assert await ApiDoor("d").asynchronous(1, b=5, c=6) == (1, 5, 6)
    assert await ApiDoor("d").synchronous(1, 2, x=3) == ((1, 2), {"x": 3})
    assert await ApiDoor("d").double == 2
    assert await ApiDoor("d").set_double(10) == 5


@pytest.mark.feature(350)
@pytest.mark.parametrize("name", ["static", "of_class", "setup", "alarm", "migrate", "env", "sleep", "nothing"])
async def test_nothing_else_is_reached_and_no_message_is_sent_for_it(rt, name):
    await ApiDoor("d").double
    before = dotdo.stats().frames_sent
    with pytest.raises(NoSuchMember):
        getattr(ApiDoor("d"), name)()
    with pytest.raises(NoSuchMember):
        await getattr(ApiDoor("d"), name)
    assert not hasattr(ApiDoor("d"), name)
    assert dotdo.stats().frames_sent == before


async def test_wrong_arguments_raise_at_once_without_a_message(rt):
    before = dotdo.stats().frames_sent
    for args, kwargs in (((), {}), ((1, 2, 3), {}), ((1,), {"d": 4}), ((), {"a": 1})):
        with pytest.raises(TypeError, match=r"ApiDoor\.asynchronous"):
            ApiDoor("d").asynchronous(*args, **kwargs)
    with pytest.raises(NoSuchMember, match="count"):
        ApiDoor("d").count()
    with pytest.raises(NoSuchMember, match="call it"):
        await ApiDoor("d").asynchronous
    assert dotdo.stats().frames_sent == before


def test_a_field_cannot_be_assigned_from_outside():
    with pytest.raises(AttributeError, match="stub"):
        ApiDoor("d").count = 3
    with pytest.raises(AttributeError, match="stub"):
        del ApiDoor("d").count


# -- hooks ----------------------------------------------------------------------------------------------------------------


class ApiHooked(DO):
    wakes: int = 0
    rang: list[int] = []
    _fresh: bool = False

    async def setup(self) -> None:
        self.wakes += 1
        self._fresh = True

    async def alarm(self, info) -> None:
        self.rang.append(info.retry_count)

    async def fresh(self) -> bool:
        return self._fresh

    async def set_alarm(self, when: object) -> datetime | None:
        self.storage.set_alarm(when)
        return self.storage.get_alarm()

    async def get_alarm(self) -> datetime | None:
        return self.storage.get_alarm()

    async def clear(self) -> None:
        self.storage.delete_alarm()

    async def set_and_fail(self) -> None:
        self.storage.set_alarm("1h")
        raise ValueError("undone")


@pytest.mark.feature(7, 9)
async def test_setup_runs_on_every_wake_up(virtual):
    assert await ApiHooked("h").fresh()
    assert await dotdo.hibernate(ApiHooked("h"))
    assert await ApiHooked("h").fresh()
    await virtual.crash()
    assert await ApiHooked("h").wakes == 3


class ApiSetupFails(DO):
    async def setup(self) -> None:
        if len(failing) < 2:
            failing.append(1)
            raise ValueError("not yet")

    async def ask(self) -> str:
        return "ready"


failing: list[int] = []


async def test_a_setup_that_fails_answers_the_call_and_is_tried_again_by_the_next(rt):
    failing.clear()
    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            await ApiSetupFails("s").ask()
    assert await ApiSetupFails("s").ask() == "ready"


@pytest.mark.feature(9)
async def test_an_alarm_wakes_the_entity_at_a_time_or_after_a_duration(virtual):
    start = await ApiHooked("h").set_alarm("1h")
    assert await ApiHooked("h").get_alarm() == start
    later = start + timedelta(hours=1)
    assert await ApiHooked("h").set_alarm(later) == later
    assert abs(await ApiHooked("h").set_alarm(60) - (start - timedelta(minutes=59))) < timedelta(seconds=1)
    assert abs(await ApiHooked("h").set_alarm(timedelta(minutes=2)) - (start - timedelta(minutes=58))) < timedelta(seconds=1)
    await virtual.advance("1m")
    assert await ApiHooked("h").rang == []
    await virtual.advance("2m")
    assert await ApiHooked("h").rang == [0]
    assert await ApiHooked("h").get_alarm() is None
    await virtual.advance("3h")
    assert await ApiHooked("h").rang == [0]


async def test_an_alarm_outlives_a_crash_and_sleep_and_goes_with_a_failed_turn(virtual):
    await ApiHooked("h").set_alarm("1h")
    await ApiHooked("cleared").set_alarm("1h")
    await ApiHooked("cleared").clear()
    with pytest.raises(ValueError, match="undone"):
        await ApiHooked("failed").set_and_fail()
    assert await dotdo.hibernate(ApiHooked("h"))
    await virtual.crash()
    await virtual.advance("2h")
    assert await ApiHooked("h").rang == [0]
    assert await ApiHooked("cleared").rang == []
    assert await ApiHooked("failed").rang == []
    with pytest.raises(ValueError, match="aware|time zone|naive"):
        await ApiHooked("h").set_alarm(datetime(2030, 1, 1))


# -- storage ----------------------------------------------------------------------------------------------------------------


class ApiKept(DO):
    total: int = 0
    tags: list[str] = []

    async def run(self, *operations: list) -> list:
        return [getattr(self.storage, name)(*args, **kwargs) for name, args, kwargs in operations]

    async def fill(self) -> None:
        self.storage.put({f"a{n}": n for n in range(5)} | {"b0": 10, "c": None})

    async def put_then_fail(self) -> None:
        self.storage.put("a0", "changed")
        self.storage.delete("a1")
        self.storage.sql("CREATE TABLE t(x)")
        raise ValueError("undone")

    async def copies(self) -> list:
        value = [1]
        self.storage.put("k", value)
        value.append(2)
        self.storage.get("k").append(3)
        return self.storage.get("k")

    async def cursor(self, query: str, *params: object) -> dict:
        cursor = self.storage.sql(query, *params)
        return {
            "all": cursor.all(), "first": cursor.first(), "columns": list(cursor.columns), "iter": list(cursor),
            "read": cursor.rows_read, "written": cursor.rows_written,
        }  # fmt: skip

    async def one(self, query: str, *params: object) -> dict:
        return self.storage.sql(query, *params).one()

    async def nested(self, *, fail_inner: bool, fail_outer: bool) -> list:
        async with self.storage.transaction():
            self.total = 1
            self.tags.append("outer")
            self.storage.put("outer", 1)
            try:
                async with self.storage.transaction():
                    self.total = 2
                    self.tags.append("inner")
                    self.storage.put("inner", 1)
                    await asyncio.sleep(0)
                    if fail_inner:
                        raise ValueError("inner")
            except ValueError:
                pass
            seen = [self.total, list(self.tags), sorted(self.storage.list())]
            if fail_outer:
                raise KeyError("outer")
        return seen

    async def state(self) -> list:
        return [self.total, list(self.tags), sorted(self.storage.list())]

    async def synced(self) -> int:
        self.total = 5
        await self.storage.sync()
        return self.total

    async def hold(self, started: str) -> None:
        async with self.storage.transaction():
            self.total += 1
            before = self.total
            for _ in range(5):
                await asyncio.sleep(0)
            assert self.total == before


def _op(name: str, *args: object, **kwargs: object) -> list:
    return [name, list(args), kwargs]


async def test_storage_takes_one_key_or_many(rt):
    kept = ApiKept("k")
    await kept.fill()
    assert await kept.run(
        _op("get", "a1"), _op("get", "none"), _op("get", "none", 7), _op("get", "none", default=8), _op("get", "c", 9),
        _op("get", ["a1", "none", "b0"]), _op("put", "d", {"x": 1}), _op("get", "d"),
        _op("delete", "d"), _op("delete", "d"), _op("delete", ["a0", "a1", "none"]), _op("get", ("a0", "a2")),
    ) == [1, None, 7, 8, None, {"a1": 1, "b0": 10}, None, {"x": 1}, True, False, 2, {"a2": 2}]  # fmt: skip
    await rt.crash()
    assert await kept.run(_op("list")) == [{"a2": 2, "a3": 3, "a4": 4, "b0": 10, "c": None}]
    assert await kept.run(_op("delete_all"), _op("list")) == [None, {}]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({}, ["a0", "a1", "a2", "a3", "a4", "b0", "c"]),
        ({"prefix": "a"}, ["a0", "a1", "a2", "a3", "a4"]),
        ({"prefix": "a", "limit": 2}, ["a0", "a1"]),
        ({"prefix": "a", "reverse": True, "limit": 2}, ["a4", "a3"]),
        ({"start": "a3"}, ["a3", "a4", "b0", "c"]),
        ({"start_after": "a3"}, ["a4", "b0", "c"]),
        ({"end": "a2"}, ["a0", "a1"]),
        ({"start": "a1", "end": "b0", "reverse": True}, ["a4", "a3", "a2", "a1"]),
        ({"start_after": "a1", "end": "a4", "limit": 1}, ["a2"]),
        ({"prefix": "z"}, []),
    ],
)
async def test_list_gives_keys_in_order_within_its_bounds(rt, options, keys):
    await ApiKept("k").fill()
    (found,) = await ApiKept("k").run(_op("list", **options))
    assert list(found) == keys


@pytest.mark.parametrize(
    "operation",
    [_op("put", "k"), _op("put", 5, 1), _op("get", 5), _op("put", {5: 1}), _op("list", start="a", start_after="a"), _op("put", "")],
)
async def test_wrong_storage_arguments_are_errors(rt, operation):
    with pytest.raises((TypeError, ValueError)):
        await ApiKept("k").run(operation)
    assert await ApiKept("k").run(_op("list")) == [{}]


async def test_storage_holds_copies_and_a_failed_turn_leaves_it_as_it_was(rt):
    kept = ApiKept("k")
    assert await kept.copies() == [1]
    await kept.fill()
    with pytest.raises(ValueError, match="undone"):
        await kept.put_then_fail()
    assert await kept.run(_op("get", ["a0", "a1"])) == [{"a0": 0, "a1": 1}]
    assert (await kept.cursor("SELECT name FROM sqlite_master WHERE name = 't'"))["all"] == []


async def test_a_cursor_says_what_was_read_and_written(rt):
    kept = ApiKept("k")
    await kept.cursor("CREATE TABLE items(name TEXT PRIMARY KEY, price REAL, data BLOB)")
    inserted = await kept.cursor("INSERT INTO items VALUES(?, ?, ?), (?, ?, ?)", "a", 1.5, b"x", "b", None, b"")
    assert (inserted["written"], inserted["all"], inserted["first"]) == (2, [], None)
    rows = [{"name": "a", "price": 1.5, "data": b"x"}, {"name": "b", "price": None, "data": b""}]
    assert await kept.cursor("SELECT * FROM items ORDER BY name") == {
        "all": rows, "first": rows[0], "columns": ["name", "price", "data"], "iter": rows, "read": 2, "written": 0,
    }  # fmt: skip
    empty = await kept.cursor("SELECT name FROM items WHERE name = ?", "z")
    assert (empty["all"], empty["first"], empty["columns"]) == ([], None, ["name"])
    assert await kept.one("SELECT count(*) AS n FROM items") == {"n": 2}
    with pytest.raises(ValueError, match="2"):
        await kept.one("SELECT * FROM items")
    with pytest.raises(ValueError, match="0"):
        await kept.one("SELECT * FROM items WHERE name = 'z'")
    await rt.crash()
    assert await kept.one("SELECT count(*) AS n FROM items") == {"n": 2}


async def test_wrong_sql_is_an_error_of_the_call_alone_and_the_runtimes_tables_are_not_reached(rt):
    kept = ApiKept("k")
    await kept.fill()
    with pytest.raises(dotdo.StorageError):
        await kept.cursor("SELEC 1")
    for query in ("SELECT * FROM _do_kv", "ATTACH 'x' AS y", "PRAGMA journal_mode=DELETE", "BEGIN", "COMMIT"):
        with pytest.raises(NotAllowed):
            await kept.cursor(query)
    with pytest.raises(NotAllowed, match="Decimal"):
        await kept.cursor("SELECT ?", Decimal(1))
    assert await kept.run(_op("get", "a1")) == [1]


async def test_a_value_over_32_megabytes_is_refused(rt):
    class Large(DO, noun="ApiLargeValue"):
        async def put(self, size: int) -> int:
            self.storage.put("k", b"x" * size)
            return len(self.storage.get("k"))

    assert await Large("l").put(2_000_000) == 2_000_000
    with pytest.raises(dotdo.CodecError, match="limit"):
        await Large("l").put(33 * 1024 * 1024)


@pytest.mark.parametrize(
    ("inner", "outer", "seen", "kept"),
    [
        (False, False, [2, ["outer", "inner"], ["inner", "outer"]], [2, ["outer", "inner"], ["inner", "outer"]]),
        (True, False, [1, ["outer"], ["outer"]], [1, ["outer"], ["outer"]]),
        (False, True, None, [0, [], []]),
        (True, True, None, [0, [], []]),
    ],
)
async def test_a_transaction_in_a_transaction_is_undone_alone_in_memory_too(rt, inner, outer, seen, kept):
    if outer:
        with pytest.raises(KeyError, match="outer"):
            await ApiKept("k").nested(fail_inner=inner, fail_outer=outer)
    else:
        assert await ApiKept("k").nested(fail_inner=inner, fail_outer=outer) == seen
    assert await ApiKept("k").state() == kept
    await rt.crash()
    assert await ApiKept("k").state() == kept


async def test_sync_makes_all_writes_so_far_safe_and_nobody_enters_an_open_transaction(rt):
    assert await ApiKept("k").synced() == 5
    await asyncio.gather(*(ApiKept("k").hold("x") for _ in range(5)))
    await rt.crash()
    assert await ApiKept("k").total == 10


# -- gates and life -----------------------------------------------------------------------------------------------------------


class ApiGated(DO):
    entries: list[str] = []
    _memory: int = 0

    async def slow(self, name: str) -> str:
        async def held() -> str:
            self.entries.append(f"{name} begins")
            for _ in range(5):
                await asyncio.sleep(0)
            self.entries.append(f"{name} ends")
            return name

        return await self.block_concurrency_while(held)

    async def note(self, name: str) -> None:
        self.entries.append(name)

    async def break_inside(self) -> None:
        self._memory = 5

        def fail() -> None:
            raise ValueError("half set up")

        await self.block_concurrency_while(fail)

    async def remember(self) -> int:
        self._memory += 1
        return self._memory

    async def answer_first(self) -> str:
        async def afterwards() -> None:
            await asyncio.sleep(0.01)
            self.entries.append("afterwards")

        self.wait_until(afterwards())
        return "answered"

    async def give_up(self) -> None:
        self._memory = 9
        self.entries.append("never kept")
        self.abort("out of paper")

    async def interleaved(self) -> list[str]:
        before = list(self.entries)
        await asyncio.sleep(0.01)
        return self.entries[len(before) :]


@pytest.mark.feature(14)
async def test_nobody_else_runs_while_the_gate_is_shut(rt):
    first, _, second = await asyncio.gather(ApiGated("g").slow("a"), ApiGated("g").note("between"), ApiGated("g").slow("b"))
    assert (first, second) == ("a", "b")
    entries = await ApiGated("g").entries
    assert sorted(entries) == ["a begins", "a ends", "b begins", "b ends", "between"]
    assert entries.index("a ends") == entries.index("a begins") + 1
    assert entries.index("b ends") == entries.index("b begins") + 1


@pytest.mark.feature(14)
async def test_other_calls_run_at_an_await_and_their_changes_are_seen(rt):
    seen, _ = await asyncio.gather(ApiGated("g").interleaved(), ApiGated("g").note("meanwhile"))
    assert seen == ["meanwhile"]


async def test_an_error_while_the_gate_is_shut_resets_the_entity(rt):
    assert await ApiGated("g").remember() == 1
    with pytest.raises(ValueError, match="half set up"):
        await ApiGated("g").break_inside()
    assert await ApiGated("g").remember() == 1


async def test_wait_until_does_not_delay_the_answer_and_keeps_the_entity_awake(rt):
    assert await ApiGated("g").answer_first() == "answered"
    assert await ApiGated("g").entries == []
    assert await dotdo.hibernate(ApiGated("g"))
    assert await ApiGated("g").entries == ["afterwards"]


async def test_abort_drops_what_was_not_committed_and_the_next_call_starts_afresh(rt):
    assert await ApiGated("g").remember() == 1
    with pytest.raises(DotdoError, match="out of paper") as caught:
        await ApiGated("g").give_up()
    assert (caught.value.code, caught.value.retryable) == ("aborted", True)
    assert await ApiGated("g").entries == []
    assert await ApiGated("g").remember() == 1


@pytest.mark.feature(8, 15)
async def test_entities_are_listed_put_to_sleep_and_deleted(rt):
    for name in "cab":
        await ApiCustomer(name).rename(name)
    await ApiGated("g").note("x")
    listed = await dotdo.entities("ApiCustomer")
    assert [e["key"] for e in listed] == ["ApiCustomer/a", "ApiCustomer/b", "ApiCustomer/c"]
    assert {e["status"] for e in listed} == {"active"}
    assert all(e["size"] > 0 for e in listed)
    assert [e["key"] for e in await dotdo.entities("ApiCustomer", limit=2)] == ["ApiCustomer/a", "ApiCustomer/b"]
    assert len(await dotdo.entities()) == 4
    assert await dotdo.hibernate(ApiCustomer("a")) is True
    assert await dotdo.hibernate(ApiCustomer("a")) is False
    assert {e["key"]: e["status"] for e in await dotdo.entities("ApiCustomer")} == {
        "ApiCustomer/a": "hibernated", "ApiCustomer/b": "active", "ApiCustomer/c": "active",
    }  # fmt: skip
    assert await dotdo.delete(ApiCustomer("a")) is True
    assert await dotdo.delete(ApiCustomer("b")) is True
    assert await dotdo.delete(ApiCustomer("b")) is False
    assert [e["key"] for e in await dotdo.entities("ApiCustomer")] == ["ApiCustomer/c"]
    assert await ApiCustomer("a").name == "nobody"
    await rt.restart()
    assert await ApiCustomer("b").name == "nobody"


@pytest.mark.feature(4)
async def test_reading_an_entity_that_never_existed_leaves_nothing_behind(rt):
    assert await ApiCustomer("ghost").name == "nobody"
    assert await dotdo.hibernate(ApiCustomer("ghost"))
    assert await dotdo.entities("ApiCustomer") == []


@pytest.mark.feature(4, 11)
async def test_two_first_callers_meet_one_entity(rt):
    counts = await asyncio.gather(*(ApiSleepy("new").add() for _ in range(2)))
    assert sorted(counts) == [1, 2]


@pytest.mark.feature(12)
async def test_a_call_while_the_entity_falls_asleep_is_answered(rt):
    for number in range(5):
        _, count = await asyncio.gather(dotdo.hibernate(ApiSleepy("nap")), ApiSleepy("nap").add())
        assert count == number + 1


# -- one noun, one definition ---------------------------------------------------------------------------------------------------


def _define(module: str, noun: str) -> type:
    space = {"__name__": module, "DO": DO}
    exec(f"class {noun}(DO):\n    async def where(self):\n        return __name__\n", space)
    return space[noun]


def test_two_files_that_define_one_noun_conflict_and_a_name_of_its_own_is_the_way_out():
    _define("first_file", "ApiTwice")
    _define("first_file", "ApiTwice")
    with pytest.raises(dotdo.NounConflict, match="noun="):
        _define("second_file", "ApiTwice")


class Order(DO, noun="ApiShopOrder"):
    async def who(self) -> str:
        return self.key


async def test_a_noun_may_have_another_name_than_its_class(rt):
    assert await Order("o1").who() == "ApiShopOrder/o1"
    assert Order("o1").noun == "ApiShopOrder"
    assert repr(Order("o1")) == "ApiShopOrder('o1')"
