"""Nouns with `index=`: the collection knows what the entities hold, wakes none of them, and agrees with them after any crash."""

import asyncio
import os
import signal

import pytest

import dotdo
from dotdo import DO, DefinitionError, QueryError, UseTheEntity, db
from dotdo.documents.collection import Collection
from tests.crashes import killed_at_commit


class FollowedParcel(DO, index=("status", "customer_id")):
    status: str = "new"
    customer_id: str
    weight: int = 0

    async def place(self, customer_id: str) -> None:
        self.customer_id = customer_id

    async def become(self, status: str) -> str:
        self.status = status
        return self.status

    async def weigh(self, weight: int) -> None:
        self.weight = weight

    async def fail_halfway(self) -> None:
        self.status = "lost"
        raise RuntimeError("nothing of it is kept")

    async def together(self) -> None:
        async with self.storage.transaction():
            self.status = "packed"
            await asyncio.sleep(0)
            self.customer_id = "c9"

    async def remember(self) -> None:
        self.storage.put("note", "here")

    async def ship(self) -> str:
        self.status = "packing"
        await self.do(self._label, step_id="label")
        self.status = "shipped"
        await self.do(self._label, step_id="hand over")
        self.status = "delivered"
        return self.status

    def _label(self) -> str:
        return "label"


class UnfollowedCounter(DO):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count


async def found(**where):
    return sorted(record.id for record in await db.FollowedParcel.list(where))


@pytest.mark.feature(336)
async def test_the_collection_shows_created_and_changed_entities_with_their_defaults(rt):
    await FollowedParcel("p1").place("c1")
    await FollowedParcel("p2").become("failed")
    await FollowedParcel("p3").remember()
    await rt.settle()
    assert await found(status="new") == ["p1", "p3"], "a default counts, and any first write makes the entity known"
    assert await found(status="failed") == ["p2"]
    assert await found(customer_id=None) == ["p2", "p3"], "a field that is not set yet is missing"
    record = await db.FollowedParcels.get("p1")
    assert (record["$type"], record.status, record.customer_id) == ("FollowedParcel", "new", "c1")
    assert "weight" not in record
    await FollowedParcel("p1").become("failed")
    await rt.settle()
    assert await found(status="failed") == ["p1", "p2"]
    assert (await db.FollowedParcel.get("p1"))["$created"] == record["$created"]


async def test_only_changes_of_indexed_fields_are_told(rt):
    await FollowedParcel("p1").place("c1")
    await rt.settle()
    seen = (await db.FollowedParcel.get("p1"))["$updated"]
    await FollowedParcel("p1").weigh(5)
    await FollowedParcel("p1").become("new")
    with pytest.raises(RuntimeError):
        await FollowedParcel("p1").fail_halfway()
    await rt.settle()
    assert (await db.FollowedParcel.get("p1"))["$updated"] == seen
    await FollowedParcel("p1").together()
    await rt.settle()
    assert await found(status="packed", customer_id="c9") == ["p1"]


async def test_a_noun_without_index_has_nothing_of_it(rt):
    await UnfollowedCounter("x").add()
    activation = rt.host.activations[("UnfollowedCounter", "x")]
    assert activation.before_commit is None and activation.ledger.projection is None
    await rt.settle()
    assert [entity["key"] for entity in await dotdo.entities()] == ["UnfollowedCounter/x"]


@pytest.mark.parametrize(
    "write",
    [
        lambda: db.FollowedParcel.create(status="x"), lambda: db.FollowedParcels.update("p1", {"status": "x"}), lambda: db.FollowedParcel.delete("p1"),
        lambda: db.FollowedParcel.upsert(where={"id": "p1"}, data={"status": "x"}),
    ],
    ids=["create", "update", "delete", "upsert"],
)  # fmt: skip
async def test_writes_are_refused_with_the_way_out(rt, write):
    await FollowedParcel("p1").place("c1")
    await rt.settle()
    with pytest.raises(UseTheEntity, match=r"FollowedParcel\(id\)"):
        await write()
    assert await found(status="new") == ["p1"]


@pytest.mark.parametrize(("index", "words"), [("status", "a string"), (("statsu",), "no durable field"), ((5,), "field names")])
def test_a_wrong_index_is_an_error_when_the_class_is_made(index, words):
    with pytest.raises(DefinitionError, match=words):
        type("Wrong", (DO,), {"__annotations__": {"status": str}, "status": ""}, index=index)


async def test_a_list_wakes_nobody_and_fresh_rereads_what_matches(rt):
    for n in range(20):
        await FollowedParcel(f"p{n}").become("failed" if n % 4 == 0 else "sent")
    await rt.settle()
    for n in range(20):
        await dotdo.hibernate(FollowedParcel(f"p{n}"))
    assert await found(status="failed") == ["p0", "p12", "p16", "p4", "p8"]
    assert not [key for key in rt.host.activations if key[0] == "FollowedParcel"]
    # what the index has not heard yet is seen by `fresh`
    await dotdo.hibernate(Collection("FollowedParcel"))
    page = db.FollowedParcel.list(where={"status": "failed"}, fresh=True)
    assert {r.id for r in await page} == {"p0", "p4", "p8", "p12", "p16"}
    await rt.settle()
    assert len([key for key in rt.host.activations if key[0] == "FollowedParcel"]) == 5, "it wakes those that match, and no others"


async def test_fresh_drops_what_does_not_match_any_more(rt, monkeypatch):
    for n in range(4):
        await FollowedParcel(f"p{n}").become("failed")
    await rt.settle()
    monkeypatch.setattr(Collection, "follow", _deaf)
    Collection._do_spec_.members["follow"].function = _deaf
    try:
        await FollowedParcel("p1").become("sent")
        await FollowedParcel("p2").place("c7")
        await rt.settle()
        assert await found(status="failed") == ["p0", "p1", "p2", "p3"], "the index has not heard of it"
        page = await db.FollowedParcel.list({"status": "failed"}, fresh=True)
        assert {r.id: r.get("customer_id") for r in page} == {"p0": None, "p2": "c7", "p3": None}
    finally:
        monkeypatch.undo()
        Collection._do_spec_.members["follow"].function = Collection.follow


async def _deaf(self, id, fields):
    return None


async def agrees(ids):
    """The collection shows exactly what the entities say."""
    shown = {record.id: (record.get("status"), record.get("customer_id")) async for record in db.FollowedParcel.all()}
    there = {e["key"].partition("/")[2] for e in await dotdo.entities("FollowedParcel")}
    assert shown.keys() == there
    for id in ids:
        if id in there:
            assert shown[id][0] == await FollowedParcel(id).status
    return shown


@pytest.mark.feature(336)
async def test_it_agrees_after_a_crash_at_every_commit(rt):
    """The host dies right after each commit in turn: of an entity, of an execution's step, or of the collection."""
    number, was_killed = 1, True
    while was_killed:
        ids = [f"k{number}-{n}" for n in range(2)]

        async def work(ids=ids):
            await FollowedParcel(ids[0]).ship()
            await FollowedParcel(ids[1]).become("failed")
            await FollowedParcel(ids[1]).become("sent")
            await dotdo.flush()

        with killed_at_commit(rt, number) as commits:
            await asyncio.wait_for(work(), 20)
            await rt.settle()
            was_killed = len(commits) >= number
        shown = await agrees(ids)
        assert (shown[ids[0]][0], shown[ids[1]][0]) == ("delivered", "sent"), number
        number += 1
    assert number > 12, "commits of entities and of the collection were hit"


async def test_a_deleted_entity_leaves_the_collection_and_may_come_again(rt):
    await FollowedParcel("p1").become("failed")
    await FollowedParcel("p2").become("failed")
    await rt.settle()
    assert await dotdo.delete(FollowedParcel("p1")) is True
    assert await dotdo.delete(FollowedParcel("p1")) is False
    assert await found() == ["p2"]
    await FollowedParcel("p1").become("back")
    await rt.settle()
    assert await found(status="back") == ["p1"], "the messages of its second life are not taken for repeats of the first"


async def test_a_deletion_that_is_interrupted_at_any_commit_is_finished_or_has_not_begun(rt):
    number, was_killed = 1, True
    while was_killed:
        id = f"d{number}"
        await FollowedParcel(id).become("failed")
        await rt.settle()
        with killed_at_commit(rt, number) as commits:
            deleting = asyncio.ensure_future(dotdo.delete(FollowedParcel(id)))
            await asyncio.wait([deleting], timeout=0.5)
            await rt.settle()
            was_killed = len(commits) >= number
        if not deleting.done():
            deleting.cancel()
        await asyncio.gather(deleting, return_exceptions=True)
        for _ in range(500):
            await rt.settle()
            if await found(id=id) == [
                e["key"].partition("/")[2] for e in await dotdo.entities("FollowedParcel") if e["key"] == f"FollowedParcel/{id}"
            ]:
                break
            await asyncio.sleep(0.005)
        else:
            pytest.fail(f"collection and entities disagree after a crash at commit {number}")
        number += 1
    assert number > 2


@pytest.mark.parametrize("dies", ["awake", "asleep"])
async def test_a_deletion_nobody_asks_for_any_more_is_finished_by_the_next_host(virtual, dies):
    await FollowedParcel("p1").become("failed")
    await virtual.settle()
    activation = virtual.host.activations[("FollowedParcel", "p1")]
    activation.exclusively(lambda: activation.ledger.projection.leave(resumes=False))
    if dies == "asleep":
        await virtual.settle()
        await dotdo.hibernate(FollowedParcel("p1"))
    await virtual.crash()
    await virtual.advance("2s")
    for _ in range(200):
        if not await dotdo.entities("FollowedParcel"):
            break
        await asyncio.sleep(0.005)
    assert await dotdo.entities("FollowedParcel") == []
    assert await found() == []


async def test_an_entity_that_is_used_again_while_it_is_deleted_lives_on(rt):
    await FollowedParcel("p1").become("failed")
    await rt.settle()
    activation = rt.host.activations[("FollowedParcel", "p1")]
    activation.exclusively(lambda: activation.ledger.projection.leave(resumes=False))
    await rt.settle()
    assert await found() == []
    await FollowedParcel("p1").weigh(3)  # any commit takes the mark back, and the collection hears of it
    await rt.settle()
    assert await found(status="failed") == ["p1"]
    await rt.crash()
    assert await FollowedParcel("p1").weight == 3


@pytest.mark.parametrize("before", [(), ("status", "customer_id")])
async def test_an_entity_whose_class_has_a_new_index_tells_when_it_wakes(rt, before):
    options = FollowedParcel._do_spec_.options
    try:
        FollowedParcel._do_spec_.options = type(options)(index=before)
        await FollowedParcel("p1").become("failed")
        await rt.settle()
        await dotdo.hibernate(FollowedParcel("p1"))
        FollowedParcel._do_spec_.options = type(options)(index=("status", "weight"))
        assert await FollowedParcel("p1").weight == 0
        await rt.settle()
        record = await db.FollowedParcel.get("p1")
        assert (record.status, record.weight) == ("failed", 0)
        assert "customer_id" not in record
    finally:
        FollowedParcel._do_spec_.options = options


async def test_a_field_that_is_not_indexed_is_named_and_not_taken_for_missing(rt):
    await FollowedParcel("p1").weigh(3)
    await rt.settle()
    for ask in (
        db.FollowedParcel.list({"weight": 3}), db.FollowedParcel.find_one({"$or": [{"status": "new"}, {"weight": {"$gt": 1}}]}),
        db.FollowedParcel.count({"$not": {"weight": 1}}), db.FollowedParcel.list(order_by="-weight"), db.FollowedParcel.explain({"weight": 3}),
    ):  # fmt: skip
        with pytest.raises(QueryError, match="shows status, customer_id of its entities, not 'weight': add it to index="):
            await ask
    assert [record["$id"] for record in await db.FollowedParcel.list({"id": "p1", "$type": "FollowedParcel"}, order_by="$created")] == [
        "p1"
    ]


async def test_a_hostile_filter_is_refused_here_as_well(rt):
    await FollowedParcel("p1").place("c1")
    await rt.settle()
    with pytest.raises(QueryError):
        await db.FollowedParcel.list({"status": {"$regex": "."}}, fresh=True)


@pytest.mark.ray
@pytest.mark.feature(336)
async def test_it_agrees_on_a_cluster_whose_hosts_are_killed(ray_data):
    """Entities and collection on two hosts; each host is killed once while they work."""

    async def work(n):
        for status in ("packed", "sent", "failed" if n % 5 == 0 else "delivered"):
            await FollowedParcel(f"ray-{n}").become(status)

    async def killer():
        for host in await dotdo.hosts():
            await asyncio.sleep(0.05)
            os.kill(host["pid"], signal.SIGKILL)

    await asyncio.gather(killer(), *(work(n) for n in range(40)))
    wanted = sorted(f"ray-{n}" for n in range(0, 40, 5))
    for _ in range(600):
        if await found(status="failed") == wanted and await db.FollowedParcel.count({"status": "delivered"}) == 32:
            break
        await asyncio.sleep(0.05)
    assert await found(status="failed") == wanted
    assert await db.FollowedParcel.count({"status": "delivered"}) == 32
    await dotdo.delete(FollowedParcel("ray-0"))
    assert await db.FollowedParcel.get("ray-0") is None
