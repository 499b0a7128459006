from __future__ import annotations

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.notify.kinds import Item, Kind, Message
from afterlaunch.notify.rules import Outcome

TIMEOUT = 10.0


class Email(Kind):
    name, label = "email", "E-mail"
    address_label, example = "E-mail address", "you@example.com"
    for_people = for_channels = True

    def medium(self, address: str) -> str:
        return "email"

    def check(self, address: str) -> str:
        try:
            validate_email(address)
        except ValidationError:
            raise Invalid(f"{address!r} is no e-mail address.") from None
        return address

    def send(self, message: Message) -> Outcome:
        url = settings().text("SMTP_URL")
        if not url:
            return Outcome("permanent", "no mail server is configured: set AFTERLAUNCH_SMTP_URL")
        try:
            _deliver(url, letter(message))
        except smtplib.SMTPRecipientsRefused as problem:
            codes = [code for code, _ in problem.recipients.values()]
            return Outcome("temporary" if all(400 <= code < 500 for code in codes) else "permanent", _why(problem))
        except smtplib.SMTPResponseException as problem:
            return Outcome("permanent" if problem.smtp_code >= 500 else "temporary", _why(problem))
        except (smtplib.SMTPException, OSError) as problem:
            return Outcome("temporary", _why(problem))
        return Outcome("accepted", "accepted by the mail server", receipt=f"<{message.key}@{_domain()}>")


def _why(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"[:300]


def _domain() -> str:
    return settings().text("MAIL_FROM").rpartition("@")[2] or "localhost"


def letter(message: Message) -> EmailMessage:
    """Plain text. Line ends in a title can't make headers: the header policy refuses them, so they are folded away."""
    mail = EmailMessage()
    mail["Subject"] = message.headline
    mail["From"] = Address("Afterlaunch", addr_spec=settings().text("MAIL_FROM"))
    mail["To"] = message.to
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = f"<{message.key}@{_domain()}>"
    mail["Auto-Submitted"] = "auto-generated"
    if leave := message.data.get("unsubscribe"):  # one click, by the mail client itself (RFC 8058)
        mail["List-Unsubscribe"] = f"<{leave}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    own = Item(message.title, message.lines, message.severity, message.url, message.acknowledge_url)
    parts = _told(own)
    for number, item in enumerate(message.more, 2):
        at = f", {item.at:%Y-%m-%d %H:%M} UTC" if item.at else ""
        parts += [f"---- {number} of {len(message.more) + 1}{at}", *_told(item)]
    mail.set_content("\n".join(parts))
    return mail


def _told(item: Item) -> list[str]:
    title = " ".join(item.title.split())
    parts = [f"[{item.severity}] {title}" if item.severity else title, "", *item.lines, ""]
    if item.acknowledge_url:
        parts += ["Acknowledge (opens a page with a button):", item.acknowledge_url, ""]
    if item.url:
        parts += ["Details:", item.url, ""]
    return parts


def _deliver(url: str, mail: EmailMessage) -> None:
    parts = urlsplit(url)
    host, secure = parts.hostname or "localhost", parts.scheme == "smtps"
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if secure:
        server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT)
    with server:
        if not secure and server.ehlo()[0] == 250 and server.has_extn("starttls"):
            server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(mail)
