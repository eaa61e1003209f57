"""Mail against a real SMTP server, webhooks against a real HTTP server, both while the runtime is killed."""

from __future__ import annotations

import asyncio
import json
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.smtp import SMTP

import dotdo
from actors import Email, MailRefused, Notification
from actors.email import Template
from actors.notification import signature
from dotdo import clock, send
from dotdo.testing import runtime
from tests.crashes import killed_at_commit

MINE = ["actors.email", "actors.notification"]


class Mailbox:
    """A mail server that keeps what it takes; `answers` are what it says instead of yes, first to last."""

    def __init__(self):
        self.taken = []
        self.answers = []
        self.on_taken = None

    async def handle_DATA(self, server, session, envelope):
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self.taken.append(message_from_bytes(envelope.content))
            if self.on_taken is not None:
                self.on_taken()
        return answer


@pytest.fixture
def mailbox():
    box = Mailbox()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = server.sockets[0].getsockname()[1]
    box.env = {"SMTP_URL": f"smtp://127.0.0.1:{port}", "MAIL_FROM": "Shop <shop@example.org>"}
    yield box
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture
async def shop(mailbox):
    async with runtime(clock="virtual", env=mailbox.env, modules=MINE) as running:
        yield running


@pytest.mark.feature(77)
async def test_a_mail_that_somebody_sends_by_event_arrives_filled_in(shop, mailbox, monkeypatch):
    welcome = Template(subject="Welcome, {name}", text="Dear {name}, this is yours.")
    monkeypatch.setitem(Email.templates, "welcome", welcome)
    await send.Email(to="ann@example.org", template="welcome", name="Ann")
    (mail,) = mailbox.taken
    assert (mail["To"], mail["From"], mail["Subject"]) == ("ann@example.org", "Shop <shop@example.org>", "Welcome, Ann")
    assert "Dear Ann" in mail.get_payload()
    (receipt,) = await Email("ann@example.org").sent
    assert receipt.message_id == mail["Message-ID"]
    await Email("ann@example.org").deliver(subject="plain", text="a", html="<p>b</p>", reply_to="help@example.org")
    assert [part.get_content_type() for part in mailbox.taken[1].walk()] == ["multipart/alternative", "text/plain", "text/html"]


@pytest.mark.feature(84)
async def test_a_scheduled_mail_leaves_at_its_time(shop, mailbox):
    at = clock.to_datetime(shop.clock.now() + 7 * 86400)
    await send.Email.schedule(to="ann@example.org", template="checkin-week1", send_at=at).queued()
    await shop.advance("6d")
    assert mailbox.taken == []
    await shop.crash()
    await shop.advance("25h")
    (mail,) = mailbox.taken
    assert mail["Subject"] == "checkin week1"


async def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(shop, mailbox, monkeypatch):
    mailbox.answers = ["451 later", "451 later"]
    await Email("bob@example.org").deliver(subject="hello", text="x")
    assert len(mailbox.taken) == 1
    mailbox.answers = ["554 no"]
    with pytest.raises(MailRefused, match="554"):
        await Email("bob@example.org").deliver(subject="spam", text="x")
    with pytest.raises(MailRefused, match="not a mail address"):
        await Email("bob").deliver(subject="x")
    monkeypatch.setitem(Email.templates, "named", Template(subject="Hello {name}", text=""))
    with pytest.raises(MailRefused, match="'named' needs 'name'"):
        await Email("bob@example.org").deliver("named")
    with pytest.raises(MailRefused, match="not a mail address"):
        await Email("bob@example.org\nBcc: all@example.org").deliver(subject="x")


async def test_without_a_server_it_says_how_to_name_one(virtual):
    virtual.host.env = {}
    with pytest.raises(MailRefused, match="SMTP_URL"):
        await Email("ann@example.org").deliver(subject="x")


@pytest.mark.parametrize("commit", range(1, 8))
async def test_killed_at_any_commit_a_mail_arrives_once(mailbox, commit):
    async with runtime(env=mailbox.env, modules=MINE) as rt:
        with killed_at_commit(rt, commit) as commits:
            receipt = await Email("ann@example.org").deliver(
                subject="your order",
                text="left",
            )
        assert [mail["Message-ID"] for mail in mailbox.taken] == [receipt.message_id]
        assert [one.message_id for one in await Email("ann@example.org").sent] == [receipt.message_id]
        assert len(commits) >= 2


async def test_killed_between_the_servers_yes_and_its_record_it_goes_again_under_the_same_id(mailbox):
    """SMTP cannot say whether a message was taken, so this is the one moment that can make two of it."""
    async with runtime(env=mailbox.env, modules=MINE) as rt:
        mailbox.on_taken = lambda: (
            setattr(mailbox, "on_taken", None),
            rt._loop.call_soon_threadsafe(rt.crash_now),
            threading.Event().wait(0.2),
        )
        receipt = await Email("ann@example.org").deliver(subject="your order", text="left")
        assert {mail["Message-ID"] for mail in mailbox.taken} == {receipt.message_id}
        assert len(mailbox.taken) == 2
        assert len(await Email("ann@example.org").sent) == 1


@pytest.fixture
async def hooked():
    async with runtime(clock="virtual", modules=MINE) as running:
        yield running


class _Hook(BaseHTTPRequestHandler):
    calls: list[tuple[dict, bytes]] = []
    answers: list[int] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append((dict(self.headers), body))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def hook():
    _Hook.calls.clear()
    _Hook.answers.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}/hooks/ann"
    running.shutdown()
    running.server_close()


@pytest.mark.feature(271)
async def test_a_notification_is_kept_and_its_hook_is_called_signed_until_it_answers(hooked, hook):
    ann = Notification("ann")
    await ann.subscribe(hook, secret="s3cret")
    _Hook.answers.extend([503, 500])
    await send.Notification(to="ann", type="approval-required", task=7)
    assert len(_Hook.calls) == 3
    headers, body = _Hook.calls[-1]
    assert len({tuple(h["Idempotency-Key"] for h, _ in _Hook.calls)}) == 1
    at = int(headers["Dotdo-Signature"].split(",")[0].removeprefix("t="))
    assert headers["Dotdo-Signature"] == signature("s3cret", body, at)
    assert json.loads(body)["data"]["task"] == 7
    (note,) = await ann.unread()
    assert note.type == "approval-required"
    assert await ann.read(note.id)
    assert await ann.unread() == []


async def test_a_hook_that_will_never_take_it_is_not_asked_again(virtual, hook):
    await Notification("bob").subscribe(hook)
    _Hook.answers.append(410)
    with pytest.raises(dotdo.Permanent, match="410"):
        await Notification("bob").notify("hello")
    assert len(_Hook.calls) == 1
    with pytest.raises(ValueError, match="address of a webhook"):
        await Notification("bob").subscribe("file:///etc/passwd")
    await asyncio.sleep(0)


async def test_who_has_to_decide_an_approval_is_told_by_the_ready_made_notification(shop):
    await dotdo.approvals.request(title="PO 7", approvers=["ann", "vp"], priority="high")
    await shop.settle()
    [note] = await Notification("ann").notes
    assert (note.type, note.message, note.priority) == ("approval-required", "PO 7", "high")
    assert note.data["data"].approvers == ["ann", "vp"]
    assert await Notification("vp").notes == []
    assert await dotdo.dead_letters.list() == []
