"""`db.DeadLetter`: what the runtime gave up, beside what users keep there."""

import pytest

import dotdo
from dotdo import N, UseTheEntity, db, on, send

failing = True


@on("Dunning.started")
async def dun(data):
    if failing:
        raise ValueError(f"no address for {data['customer']}")


@pytest.mark.feature(362)
async def test_the_runtimes_letters_and_own_ones_are_one_collection(virtual):
    global failing
    failing = True
    send("Dunning.started", {"customer": "c1", "n.o": 1})
    await dotdo.flush()
    await virtual.advance("1h")
    own = await db.create(N.DeadLetter, {"type": "mine", "payload": {"n": 1}, "error": "none", "attempts": 3})
    (letter,) = await db.DeadLetter.list(where={"type": "Dunning.started", "attempts": {"$gte": 5}})
    assert letter.payload == {"customer": "c1", "n.o": 1}
    assert "no address for c1" in letter.error
    assert await db.DeadLetters.count() == 2
    (known,) = await dotdo.dead_letters.list()
    assert (known.id, known.attempts) == (letter.id, letter.attempts)
    with pytest.raises(UseTheEntity, match="dead_letters"):
        await db.DeadLetter.delete(letter.id)
    failing = False
    await dotdo.dead_letters.replay(letter.id)
    await virtual.advance("1m")
    assert await db.DeadLetter.list() == [own]
    assert await db.DeadLetter.delete(own.id) is True


async def test_a_letter_that_is_deleted_goes_from_the_collection(virtual):
    global failing
    failing = True
    send("Dunning.started", {"customer": "c2", "large": "x" * 500_000})
    await dotdo.flush()
    await virtual.advance("1h")
    (letter,) = await db.DeadLetter.list()
    assert letter.payload is None, "a large payload stays with the letter"
    assert (await dotdo.dead_letters.get(letter.id)).data["customer"] == "c2"
    assert await dotdo.dead_letters.delete(letter.id)
    await virtual.settle()
    assert await db.DeadLetter.list() == []
