"""Every example does what its text says, and the README's program is the one that is run."""

import re
from pathlib import Path

import pytest

import dotdo
from examples import approval_by_callback, pipelining, quickstart, schedules, survives_a_kill, trip_booking

ROOT = Path(__file__).parents[2]


async def test_the_quickstart_counts_and_ships(virtual, capsys):
    await quickstart.main()
    assert capsys.readouterr().out == "6\no1 shipped, 5 left\n"


def test_the_readme_shows_the_quickstart_that_is_run():
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8").endswith(shown[1])


@pytest.mark.feature(44, 45)
@pytest.mark.parametrize("method", ["book", "book_by_hand"])
async def test_a_trip_without_a_car_is_cancelled_newest_first_each_once(virtual, method):
    agency = trip_booking.Agency("sunny")
    run = await dotdo.start(getattr(trip_booking.Journey("to-rome"), method), agency, "ann")
    with pytest.raises(trip_booking.NoCarLeft, match="no car for ann"):
        await run.result()
    assert await agency.diary == ["flight booked", "hotel booked", "hotel cancelled", "flight cancelled"]
    assert await run.status() == "failed"


@pytest.mark.feature(49)
@pytest.mark.parametrize(("method", "crash"), [("book", "undo hotel"), ("book_by_hand", "undo:cancel")])
async def test_a_trip_interrupted_between_two_cancellations_makes_each_once(virtual, method, crash):
    virtual.crash_after(crash)
    agency = trip_booking.Agency("sunny")
    with pytest.raises(trip_booking.NoCarLeft):
        await getattr(trip_booking.Journey("to-rome"), method)(agency, "ann")
    assert await agency.diary == ["flight booked", "hotel booked", "hotel cancelled", "flight cancelled"]


async def test_pipelining_takes_one_frame_for_three_entities(rt, capsys):
    await pipelining.main()
    assert capsys.readouterr().out == (
        "opens at 08:00: 1 frame for three entities\nlocker L-1 of north: 1 frame, an argument from a third entity included\n"
    )


async def _asked(virtual) -> tuple[dotdo.Execution, str]:
    """A submitted expense whose manager has taken three days so far."""
    run = await dotdo.start(approval_by_callback.Expense("taxi").submit, 120, "mia")
    await virtual.advance("3d")
    assert virtual.host.activations == {}, "whoever waits for days does not wait in memory"
    (letter,) = await approval_by_callback.Desk("mia").letters
    return run, letter["answer_to"]


async def test_an_expense_waits_for_days_and_is_approved_once(virtual):
    run, answer_to = await _asked(virtual)
    assert await run.status() == "waiting"
    assert await dotdo.complete(answer_to, {"approved": True, "by": "mia"})
    assert not await dotdo.complete(answer_to, {"approved": False, "by": "somebody later"})
    assert await run.result() == "approved by mia"
    assert await approval_by_callback.Expense("taxi").decision == "approved by mia"


async def test_an_expense_nobody_looks_at_is_refused_after_a_week(virtual):
    run, _ = await _asked(virtual)
    await virtual.advance("4d")
    assert await run.result() == "refused by nobody, for a week"


async def test_the_approval_program_runs(rt, capsys):
    await approval_by_callback.main()
    assert capsys.readouterr().out == "waiting: waiting\napproved by mia\n"


async def test_an_order_goes_on_after_a_crash_without_paying_twice(virtual):
    virtual.crash_after("pay")
    assert (await survives_a_kill.PluggedOrder("o1").process()).startswith("paid by process ")
    history = await dotdo.execution((await _only_execution()).id).history()
    assert [one["name"] for one in history if one["type"] == "step"] == ["pay", "sleep", "ship"]


async def _only_execution() -> dotdo.ExecutionInfo:
    (found,) = [one async for one in dotdo.executions(noun="PluggedOrder")]
    return found


def test_the_program_that_kills_itself_ships_in_its_second_life():
    found = re.fullmatch(r"the first life ended by signal 9\npaid by process (\d+), shipped by process (\d+)\n", survives_a_kill.main())
    assert found is not None
    assert found[1] != found[2]


@pytest.mark.feature(93, 94, 95, 98, 101, 102, 106, 434, 438)
async def test_a_week_of_a_shop_by_the_clock(capsys):
    await schedules.run()
    assert capsys.readouterr().out.splitlines() == [
        "Tue 14 23:13  to ann: did you forget something?",
        "Tue 14 23:43  to bob: did you forget something?",
        "Wed 15 17:00  daily report: 1 sold",
        "Wed 15 22:13  to ann: it is still here",
        "Thu 16 17:00  daily report: 0 sold",
        "Fri 17 22:13  a letter to ann",
        "Mon 20 09:00  weekly report: the shelves were checked 171 times",
        "clean_up: on the first Saturday of every month at 12:00; ran 0 times; next: Sat 02 December",
        "daily-report: at 18:00 every day in Europe/Paris (cron 0 18 * * *); ran 2 times; next: paused",
    ]
