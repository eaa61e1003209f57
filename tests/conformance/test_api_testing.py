"""What section 10 of the public page says, as a user would write it."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import AsyncMock

import pytest

import dotdo
from dotdo import DO, N, Permanent, db, on, send, sleep, step, workflow
from dotdo.testing import runtime

handled: list[str] = []


async def charge_the_card(order):
    raise RuntimeError("a test must not charge a card")


async def ship(order):
    return f"shipped {order['id']}"


async def note(order):
    handled.append(order["id"])


@workflow("api-testing-order")
async def order_workflow(order):
    paid = await step("process-payment", charge_the_card, order)
    await step("note", note, order)
    await sleep("3d")
    shipped = await step("ship", ship, order)
    send("ApiTested.shipped", order)
    send.Email(to=order["to"], template="shipped")
    return {"paid": paid, "shipped": shipped}


class ApiTested(DO):
    done: list[str] = []

    async def process(self, order: dict) -> str:
        self.done.append(await self.do(charge_the_card, order, step_id="charge", retry=1))
        self.send("ApiTested.processed", order)
        self.send.Email(to="ann@example.org", template="thanks", order=order["id"])
        return self.done[-1]

    async def fails(self) -> None:
        send("ApiTested.lost", {})
        raise ValueError("no")

    async def refuses_later(self) -> None:
        async with self.storage.transaction():
            send("ApiTested.lost", {})
            raise ValueError("no")


ORDER = {"id": "o1", "to": "ann@example.org"}


@pytest.mark.feature(391, 392)
@pytest.mark.parametrize("name", ["process-payment", "charge_the_card"])
async def test_a_workflow_runs_with_mocks_by_step_or_function_name(name):
    async with runtime(clock="virtual") as rt:
        run = await rt.execute(order_workflow, ORDER, mocks={name: lambda order: {"id": "ch_1"}})
        assert await run.status() == "completed"
        assert await run.result() == {"paid": {"id": "ch_1"}, "shipped": "shipped o1"}
        assert [mail.to for mail in rt.emails] == ["ann@example.org"]
        assert rt.emails == [{"to": "ann@example.org", "template": "shipped"}]
        assert [event.name for event in rt.events] == ["ApiTested.shipped", "Email.send"]


@pytest.mark.feature(392)
async def test_a_method_runs_with_an_async_mock():
    async def fake(order):
        return "paid"

    async with runtime(clock="virtual") as rt:
        run = await rt.execute(ApiTested("a").process, ORDER, mocks={"charge": fake})
        assert await run.result() == "paid"
        assert (rt.emails[0]["template"], rt.emails[0].order) == ("thanks", "o1")
        assert [(event.noun, event.verb, event.source) for event in rt.events] == [
            ("ApiTested", "processed", "ApiTested/a"),
            ("Email", "send", "ApiTested/a"),
        ]


@pytest.mark.feature(385, 388)
async def test_an_asyncmock_is_a_mock_as_well_and_says_what_it_was_given():
    charge = AsyncMock(side_effect=[ConnectionError("busy"), {"id": "ch_1"}])
    async with runtime(clock="virtual", modules=[__name__]) as rt:
        run = await rt.execute(order_workflow, ORDER, mocks={"process-payment": charge})
        assert (await run.result())["paid"] == {"id": "ch_1"}
    charge.assert_awaited_with(ORDER)
    assert charge.await_count == 2, "what fails once is tried again without being asked to"


@pytest.mark.feature(387)
async def test_a_payment_that_fails_for_good_fails_the_run_with_its_own_error():
    charge = AsyncMock(side_effect=Permanent("Payment failed"))
    async with runtime(clock="virtual", modules=[__name__]) as rt:
        run = await rt.execute(order_workflow, ORDER, mocks={"process-payment": charge})
        with pytest.raises(Permanent, match="Payment failed"):
            await run.result()
        assert await run.status() == "failed"
        assert rt.emails == []


@pytest.mark.feature(393)
async def test_a_crash_after_a_step_runs_it_no_second_time():
    handled.clear()
    async with runtime(clock="virtual") as rt:
        rt.crash_after("note")
        run = await rt.execute(order_workflow, ORDER, mocks={"process-payment": lambda order: "paid"})
        assert (await run.result())["shipped"] == "shipped o1"
        assert handled == ["o1"]
        assert [event.name for event in rt.events] == ["ApiTested.shipped", "Email.send"]
        assert len(rt.emails) == 1


async def test_events_stand_in_the_order_they_were_sent():
    async with runtime(clock="virtual") as rt:
        for number in range(10):
            send(N[f"ApiTested{number}"].happened, number=number)
        await rt.settle()
        assert [event.data["number"] for event in rt.events] == list(range(10))


async def test_what_a_failed_turn_sent_was_never_published():
    async with runtime(clock="virtual") as rt:
        with pytest.raises(ValueError):
            await ApiTested("b").fails()
        with pytest.raises(ValueError):
            await ApiTested("b").refuses_later()
        await rt.settle()
        assert rt.events == []


async def test_an_awaited_mail_is_answered_though_nobody_handles_it():
    async with runtime(clock="virtual", modules=[__name__]) as rt:
        assert await send.Email(to="ann@example.org", template="welcome") is None
        assert len(rt.emails) == 1


async def test_a_delayed_mail_is_there_when_it_is_due():
    async with runtime(clock="virtual") as rt:
        send.Email.schedule(to="ann@example.org", template="checkin", send_at=rt.now() + timedelta(days=7))
        await rt.advance("6d")
        assert rt.emails == []
        await rt.advance("2d")
        assert [mail.template for mail in rt.emails] == ["checkin"]


async def test_a_mail_is_kept_whoever_handles_it_and_an_event_about_mail_is_none():
    async with runtime(modules=[__name__]) as rt:
        await send.Email(to="ann@example.org", template="welcome")
        await send("Email.bounced", {"to": "bob@example.org"})
        assert [mail.to for mail in rt.emails] == ["ann@example.org"]
        assert [event.name for event in rt.events] == ["Email.send", "Email.bounced"]


async def test_handlers_of_a_program_get_mails_as_ever():
    taken = []

    @on.Email.send
    async def deliver(mail):
        taken.append(mail["to"])
        return "delivered"

    async with runtime(clock="virtual", modules=[__name__]) as rt:
        assert await send.Email(to="ann@example.org") == "delivered"
        assert taken == [mail.to for mail in rt.emails]


async def test_time_moves_and_documents_are_seeded_and_reset_forgets():
    async with runtime(clock="virtual") as rt:
        before = rt.now()
        await rt.advance("3d")
        assert rt.now() - before == timedelta(days=3)
        await rt.seed("products", [{"name": "lamp", "stock": 3}])
        assert [record.name for record in await db.Products.list(where={"stock": 3})] == ["lamp"]
        await send("ApiTested.happened", {})
        await rt.reset()
        assert await db.Products.list() == []
        assert rt.events == [] and rt.emails == []
        await send("ApiTested.happened", {})
        assert len(rt.events) == 1


async def test_the_fixtures_belong_to_one_runtime(dotdo_runtime, dotdo_clock, dotdo_mailbox):
    run = await dotdo_runtime.execute(ApiTested("c").process, ORDER, mocks={"charge": lambda order: "paid"})
    assert await run.status() == "completed"
    assert len(dotdo_mailbox) == 1
    assert dotdo_mailbox[0].to == "ann@example.org"
    assert dotdo_mailbox.emails == dotdo_runtime.emails and dotdo_mailbox.events == dotdo_runtime.events
    before = dotdo_clock.now()
    await dotdo_clock.advance("2h")
    assert dotdo_clock.now() - before == timedelta(hours=2) == dotdo_runtime.now() - before


async def test_with_the_mailbox_alone(dotdo_mailbox):
    send.Email(to="ann@example.org", template="welcome")
    await dotdo.flush()
    assert [mail.template for mail in dotdo_mailbox] == ["welcome"]
