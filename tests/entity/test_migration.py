"""Fields of an older class: kept, converted, refused, migrated."""

from __future__ import annotations

import asyncio

import pydantic
import pytest

from dotdo import DO, StorageError
from dotdo.errors import DefinitionError
from dotdo.hosting import catalog
from dotdo.testing import runtime

from ..crashes import killed_at_commit


def first():
    class Person(DO, noun="MigratedPerson"):
        name: str = ""
        age: int | str = 0
        tags: list[str] = []

        async def fill(self, name: str, age: int | str) -> None:
            self.name, self.age = name, age
            self.tags.append("a")

        async def rest(self) -> str:
            await self.wait_for("go")
            return self.name

    return Person


async def stored(rt, **values) -> None:
    """An entity of the first class that sleeps."""
    await first()("p").fill(values.get("name", "Ann Lee"), values.get("age", 40))
    await rt.restart()


@pytest.fixture(autouse=True)
def unknown_again():
    yield
    catalog.forget("MigratedPerson")


async def test_a_field_that_is_gone_is_kept_and_a_new_one_has_its_default():
    async with runtime() as rt:
        await stored(rt)

        class Person(DO, noun="MigratedPerson"):
            name: str = ""
            email: str = "none"

            async def rename(self, name: str) -> list[str]:
                self.name = name
                return [self.name, self.email]

        assert await Person("p").rename("Bo") == ["Bo", "none"]
        await rt.restart()
        assert await first()("p").age == 40
        assert await first()("p").name == "Bo"


async def test_a_value_that_pydantic_converts_is_seen_converted_also_after_a_replay_and_a_rollback():
    async with runtime() as rt:
        await stored(rt, age="41")

        class Person(DO, noun="MigratedPerson"):
            age: int = 0
            tags: set[str] = set()

            async def read(self) -> list:
                seen = [self.age, self.tags]
                await self.do(lambda: None, step_id="step")
                await asyncio.sleep(0)
                return [*seen, self.age]

            async def fail(self) -> None:
                self.tags.add("b")
                self.age += 1
                raise ValueError("undone")

        rt.crash_after("step")
        run = await rt.execute(Person("p").read)
        assert await run.result() == [41, {"a"}, 41]
        with pytest.raises(ValueError, match="undone"):
            await Person("p").fail()
        assert [await Person("p").age, await Person("p").tags] == [41, {"a"}]


async def test_a_value_that_does_not_validate_is_named_until_migrate_mends_it():
    async with runtime() as rt:
        await stored(rt, age="forty")

        class Strict(DO, noun="MigratedPerson"):
            name: str = ""
            age: int = 0

        for _ in range(2):
            with pytest.raises(StorageError, match=r"(?s)'age' of MigratedPerson/p.*version=2"):
                await Strict("p").name

        class Mended(DO, noun="MigratedPerson", version=2):
            name: str = ""
            age: int = 0

            def migrate(self, stored: dict, version: int) -> dict:
                assert version == 1
                return {**stored, "age": 40 if stored["age"] == "forty" else stored["age"]}

        assert [await Mended("p").name, await Mended("p").age] == ["Ann Lee", 40]
        await rt.restart()

        class Later(DO, noun="MigratedPerson", version=2):
            age: int = 0

            def migrate(self, stored: dict, version: int) -> dict:
                raise AssertionError("the version is kept in the file")

        assert await Later("p").age == 40


class Address(pydantic.BaseModel):
    city: str = ""


async def test_migrate_renames_splits_and_drops_fields():
    async with runtime() as rt:
        await stored(rt)

        class Person(DO, noun="MigratedPerson", version=3):
            first_name: str = ""
            last_name: str = ""
            home: Address = Address()

            def migrate(self, stored: dict, version: int) -> dict:
                given, _, family = stored.pop("name").partition(" ")
                return {"first_name": given, "last_name": family, "home": {"city": "Bonn"}, "tags": stored["tags"]}

        assert [await Person("p").first_name, await Person("p").last_name] == ["Ann", "Lee"]
        assert await Person("p").home == Address(city="Bonn")
        await rt.restart()
        with pytest.raises(StorageError, match="version 3 of its class, and this is version 1"):
            await first()("p").name

        class Tagged(DO, noun="MigratedPerson", version=3):
            tags: list[str] = []
            name: str = "dropped"

        assert [await Tagged("p").tags, await Tagged("p").name] == [["a"], "dropped"]


@pytest.mark.parametrize("wrong", ["raises", "not a dict", "bad value", "not storable"])
async def test_a_migrate_that_fails_changes_nothing_and_is_answered_as_its_error(wrong):
    async with runtime(clock="virtual") as rt:
        await stored(rt)

        class Person(DO, noun="MigratedPerson", version=2):
            name: str = ""
            age: int = 0

            def migrate(self, stored: dict, version: int) -> dict:
                if wrong == "raises":
                    raise LookupError("no such thing")
                return {"not a dict": None, "bad value": {"age": "forty"}, "not storable": {"extra": object()}}[wrong]

        for _ in range(2):
            with pytest.raises(StorageError, match="migrate of MigratedPerson/p from version 1 to 2 failed"):
                await Person("p").name
        await rt.advance("1m")
        assert await first()("p").name == "Ann Lee"


async def test_a_crash_while_migrating_leaves_the_old_fields_or_the_new_ones():
    async with runtime() as rt:
        await stored(rt)
        calls = []

        class Person(DO, noun="MigratedPerson", version=2):
            name: str = ""
            age: int = 0

            def migrate(self, stored: dict, version: int) -> dict:
                calls.append(version)
                return {"name": stored["name"].upper(), "age": stored["age"] + 1}

        with killed_at_commit(rt, 1):
            assert await Person("p").name == "ANN LEE"
        assert await Person("p").age == 41
        assert calls == [1]

        class Next(DO, noun="MigratedPerson", version=3):
            name: str = ""
            age: int = 0

            def migrate(self, stored: dict, version: int) -> dict:
                calls.append(version)
                if len(calls) == 2:
                    rt.crash_now()
                return {**stored, "age": stored["age"] + 1}

        await rt.restart()
        assert await Next("p").age == 42
        assert calls == [1, 2, 2]


async def test_a_new_entity_says_its_version_and_a_version_without_migrate_is_only_counted():
    async with runtime() as rt:

        class Second(DO, noun="MigratedPerson", version=2):
            name: str = ""

            async def call(self, name: str) -> None:
                self.name = name

        await Second("new").call("Bo")
        assert await Second("unwritten").name == ""
        assert [entity["key"] for entity in await rt_entities()] == ["MigratedPerson/new", "MigratedPerson/unwritten"]
        await rt.restart()

        class Third(DO, noun="MigratedPerson", version=3):
            name: str = ""

        assert await Third("new").name == "Bo"
        await rt.restart()

        class Fourth(DO, noun="MigratedPerson", version=2):
            name: str = ""

        with pytest.raises(StorageError, match="version 3"):
            await Fourth("new").name


async def rt_entities():
    import dotdo

    return await dotdo.entities("MigratedPerson")


async def test_an_execution_that_waits_goes_on_over_a_migration():
    async with runtime() as rt:
        await stored(rt)
        run = await rt.execute(first()("p").rest)
        await rt.restart()

        class Person(DO, noun="MigratedPerson", version=2):
            name: str = ""

            def migrate(self, stored: dict, version: int) -> dict:
                return {"name": stored["name"] + "!"}

            async def rest(self) -> str:
                await self.wait_for("go")
                return self.name

        await run.signal("go")
        assert await run.result() == "Ann Lee!"


def test_wrong_versions_and_an_async_migrate_are_refused_at_class_creation():
    for version in (0, -1, "2", True, 1.5):
        with pytest.raises(DefinitionError, match="version"):

            class Wrong(DO, noun="MigratedPerson", version=version):
                pass

    with pytest.raises(DefinitionError, match="migrate"):

        class Waiting(DO, noun="MigratedPerson", version=2):
            async def migrate(self, stored: dict, version: int) -> dict:
                return stored
