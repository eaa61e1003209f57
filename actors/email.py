"""Mail over SMTP: one entity per address, which remembers what it was sent.

    send.Email(to="ann@example.org", template="welcome", data={"name": "Ann"})
    await Email("ann@example.org").deliver(subject="Your order", text="It has left.")
    send.Email.schedule(to="ann@example.org", template="checkin-week1", send_at=in_a_week)

The server is `env["SMTP_URL"]` of `dotdo.init(env=...)`, as `smtp://user:password@mail.example.org:587` (STARTTLS where the
server offers it) or `smtps://...`; the sender is `env["MAIL_FROM"]`. `memory:` is no server at all: every message is taken
and none leaves, as in a test runtime, which keeps what was sent in `rt.emails`.

A message is handed over in a step, under a Message-ID that stays the same whatever crashes. SMTP has no way to ask a server
whether it has taken a message: killed between the end of the message and the server's "250", nobody can know, and the
message goes again, under the same Message-ID, by which mailboxes drop repeats. At any other moment it goes once.
"""

from __future__ import annotations

import json
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pydantic

from dotdo import DO, Event, Permanent, RetryPolicy, on

KEPT_MAX = 100
_FIELDS = frozenset({"template", "subject", "text", "html", "data", "reply_to"})
PATIENCE = RetryPolicy(max_attempts=6, initial_delay="5s", max_delay="5m")


class MailRefused(Permanent):
    """The server, or the address itself, says that this message will never arrive."""


class Receipt(pydantic.BaseModel):
    """One message that a server has taken."""

    message_id: str
    subject: str
    template: str | None = None
    at: datetime


class Template(pydantic.BaseModel):
    """Subject and text with {names} of the data."""

    subject: str
    text: str


class Email(DO):
    """What goes to one address; the id is the address."""

    sent: list[Receipt] = []
    templates: ClassVar[dict[str, Template]] = {}

    @on.Email.send(key="to")
    @on.Email.schedule(key="to")
    async def requested(self, event: Event) -> Receipt:
        """Whoever sends `Email.send` need not know this class; what else is in the payload is the template's data."""
        request = {name: value for name, value in dict(event.data).items() if name != "to"}
        given = {name: request.pop(name) for name in _FIELDS & request.keys()}
        given["data"] = {**request, **(given.get("data") or {})}
        return await self.deliver(**given)

    async def deliver(
        self,
        template: str | None = None,
        *,
        subject: str | None = None,
        text: str | None = None,
        html: str | None = None,
        data: dict[str, Any] | None = None,
        reply_to: str | None = None,
    ) -> Receipt:
        """Send one message; returns when a server has taken it.

        Args:
            template: a name in `Email.templates`; one that is not there becomes the subject, the data the text.
            subject, text, html: the message itself, instead or beside it.
            data: for the template.
            reply_to: where answers go.

        Raises:
            MailRefused: it will never arrive (a permanent answer of the server, or no address at all).
        """
        if "@" not in parseaddr(self.id)[1] or "\n" in self.id:
            raise MailRefused(f"{self.id!r} is not a mail address: Email('ann@example.org')")
        filled = _filled(template, data or {})
        subject, text = subject or filled.subject, text or (filled.text if html is None else None)
        now = self.now()
        message_id = f"<{self.uuid4()}@dotdo.{_domain(self._sender())}>"
        await self.do(self._hand_over, message_id, subject, text, html, reply_to, now, step_id="hand over", retry=PATIENCE)
        receipt = Receipt(message_id=message_id, subject=subject, template=template, at=now)
        self.sent = [*self.sent[-KEPT_MAX + 1 :], receipt]
        return receipt

    def _sender(self) -> str:
        return str(getattr(self.env, "MAIL_FROM", None) or "dotdo@localhost")

    async def _hand_over(
        self, message_id: str, subject: str, text: str | None, html: str | None, reply_to: str | None, at: datetime
    ) -> str:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender(), self.id, subject
        message["Date"], message["Message-ID"] = format_datetime(at), message_id
        if reply_to is not None:
            message["Reply-To"] = reply_to
        if text is not None:
            message.set_content(text)
        if html is not None:
            (message.add_alternative if text is not None else message.set_content)(html, subtype="html")
        return await _deliver(message, getattr(self.env, "SMTP_URL", None))


async def _deliver(message: EmailMessage, url: str | None) -> str:
    """Give a message to the server; its answer."""
    if not url:
        raise MailRefused("no mail server is known: give dotdo.init(env={'SMTP_URL': 'smtp://mail.example.org:587', 'MAIL_FROM': ...})")
    server = urlsplit(url)
    if server.scheme == "memory":
        return "kept here"
    try:
        import aiosmtplib
    except ImportError:
        raise MailRefused("mail needs aiosmtplib: pip install 'dotdo[actors]'") from None
    try:
        _, answer = await aiosmtplib.send(
            message,
            hostname=server.hostname,
            port=server.port,
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            timeout=60,
        )
    except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as error:
        refused = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
        if 500 <= refused.code < 600:
            raise MailRefused(f"{message['To']}: the server refuses: {refused.code} {refused.message}") from None
        raise ConnectionError(f"the mail server cannot take it now: {refused.code} {refused.message}") from None
    except aiosmtplib.SMTPException as error:
        raise ConnectionError(f"the mail server could not be reached: {error}") from None
    return answer


def _filled(template: str | None, data: dict[str, Any]) -> Template:
    if template is None:
        return Template(subject="(no subject)", text="")
    found = Email.templates.get(template)
    if found is None:
        return Template(subject=template.replace("-", " "), text=json.dumps(data, indent=1, default=str, ensure_ascii=False))
    try:
        return Template(subject=found.subject.format_map(data), text=found.text.format_map(data))
    except (KeyError, ValueError) as error:
        raise MailRefused(f"the mail template {template!r} needs {error}, and the data have {', '.join(data) or 'nothing'}") from None


def _domain(address: str) -> str:
    return parseaddr(address)[1].rpartition("@")[2] or "localhost"
