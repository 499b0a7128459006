"""Subscribers and their mails. Double opt-in: nothing but the question goes out before it was confirmed."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, NotFound, RateLimited
from afterlaunch.ground.settings import settings
from afterlaunch.notify.kinds import Message, kind_named
from afterlaunch.status_pages.models import Letter, Maintenance, Post, Publication, StatusPage, Subscriber

LEASE_SECONDS = 60.0
WAITS = (30, 120, 600, 3_600, 14_400)  # seconds before each further attempt
AT_ONCE = 50
ASKED_AN_HOUR = 60  # questions that one page sends
ASK_AGAIN = timedelta(hours=1)
UNCONFIRMED = timedelta(days=2)
MOST = 100_000


@transaction.atomic
def subscribe(page: StatusPage, email: str) -> None:
    """Ask by mail whether they want this. What is answered does not tell whether the address is known."""
    plain = email.strip().lower()
    try:
        validate_email(plain)
    except ValidationError:
        raise Invalid("This is no e-mail address.") from None
    now = clock.now()
    known = Subscriber.objects.filter(page=page, email=plain).first()
    if known is not None and (known.confirmed_at or now - known.asked_at < ASK_AGAIN):
        return
    lately = Subscriber.objects.filter(page=page, asked_at__gt=now - ASK_AGAIN).count()
    if lately >= ASKED_AN_HOUR or Subscriber.objects.filter(page=page).count() >= MOST:
        raise RateLimited("Too many people asked just now.", "Try again later.", retry_after=3_600)
    row = known or Subscriber(page=page, email=plain, token=secrets.token_urlsafe(24))
    row.asked_at = now
    row.save()
    text = (
        f"Somebody asked that this address gets news of {page.title}.\nIf it was you, confirm it here:\n"
        f"{_address(row, 'confirm')}\n\nIf not, do nothing: you get no further mail."
    )
    _put(row, f"confirm-{row.pk}-{int(now.timestamp())}", f"Confirm: news of {page.title}", text, now)


def subscriber_by(token: str) -> Subscriber:
    row = Subscriber.objects.select_related("page").filter(token=token).first() if token else None
    if row is None:
        raise NotFound("This link is not valid, or did its work already.")
    return row


@transaction.atomic
def confirm(token: str) -> Subscriber:
    row = subscriber_by(token)
    if row.confirmed_at is None:
        row.confirmed_at = clock.now()
        row.save(update_fields=["confirmed_at"])
    return row


@transaction.atomic
def unsubscribe(token: str) -> str:
    """At once, whatever was planned; returns the page's title. The address is forgotten."""
    row = subscriber_by(token)
    title = row.page.title
    row.delete()
    return title


def _address(row: Subscriber, deed: str) -> str:
    return f"{settings().public_url}/status/{deed}/{row.token}"


def announce(publication: Publication, post: Post, now: datetime) -> None:
    """In the transaction that told it: a mail for everybody who confirmed."""
    page = publication.page
    text = f"{post.phase.capitalize()}: {post.text}\n\n{settings().public_url}{page.get_absolute_url()}"
    _to_all(page, f"post-{post.pk}", f"{page.title}: {publication.title}", text, now)


def announce_work(work: Maintenance, now: datetime) -> None:
    page = work.page
    when = f"{work.starts_at:%Y-%m-%d %H:%M} to {work.ends_at:%Y-%m-%d %H:%M} UTC"
    text = f"{when}\n\n{work.about}\n\n{settings().public_url}{page.get_absolute_url()}"
    _to_all(page, f"work-{work.pk}", f"{page.title}: maintenance, {work.title}", text, now)


def _to_all(page: StatusPage, key: str, title: str, text: str, now: datetime) -> None:
    everybody = page.subscribers.exclude(confirmed_at=None)
    rows = [
        Letter(subscriber=one, key=f"{key}-{one.pk}", title=title[:300], text=text, due_at=now)
        for one in everybody.iterator(2_000)
    ]
    Letter.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)


def _put(row: Subscriber, key: str, title: str, text: str, now: datetime) -> None:
    Letter.objects.get_or_create(
        key=key, defaults={"subscriber": row, "title": title[:300], "text": text, "due_at": now}
    )


def send(now: datetime) -> int:
    """Send what is due, each under a lease that a conditional update takes; returns how many went out."""
    Subscriber.objects.filter(confirmed_at=None, asked_at__lt=now - UNCONFIRMED).delete()
    Letter.objects.filter(Q(state="sent") | Q(state="failed"), due_at__lt=now - timedelta(days=7)).delete()
    sent = 0
    due = Letter.objects.filter(state="pending", due_at__lte=now).select_related("subscriber__page")
    for row in due.order_by("due_at", "pk")[:AT_ONCE]:
        leased = now + clock.lease(LEASE_SECONDS)
        taken = Letter.objects.filter(pk=row.pk, state="pending", due_at=row.due_at).update(
            due_at=leased, attempts=row.attempts + 1
        )
        sent += bool(taken) and _send(row, leased, now)
    return sent


def _send(row: Letter, leased: datetime, now: datetime) -> bool:
    leave = _address(row.subscriber, "unsubscribe")
    message = Message(
        key=f"status-{row.key}",
        purpose="status",
        to=row.subscriber.email,
        secret="",
        title=row.title,
        lines=[row.text, "", "To get no more mails:", leave],
        data={"unsubscribe": leave},
    )
    outcome = kind_named("email").send(message)
    mine = Letter.objects.filter(pk=row.pk, state="pending", due_at=leased)
    if outcome.result == "accepted":
        return bool(mine.update(state="sent", error=""))
    if outcome.result == "permanent" or row.attempts >= len(WAITS):
        mine.update(state="failed", error=outcome.why[:300])
    else:
        mine.update(due_at=now + clock.lease(WAITS[row.attempts]), error=outcome.why[:300])
    return False
