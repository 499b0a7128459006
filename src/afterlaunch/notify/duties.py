"""The sender: lease what is due, send it outside of any transaction, settle each as its answer comes."""

from __future__ import annotations

import logging
import time
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.kinds import Message, kind_named
from afterlaunch.notify.messages import message_of, retest
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.notify.outbox import Notice, enqueue_to
from afterlaunch.notify.rules import Outcome
from afterlaunch.notify.sending import claim, settle

log = logging.getLogger(__name__)
AT_ONCE = 16  # messages under way, each with a time-out of a third of the lease
RETEST = timedelta(days=30)
MOST_REMINDED = 200  # in one run
BUDGET = 20.0  # real seconds in which new ones are begun; a provider that hangs holds up its own messages only


def send_pages(now: datetime, pool: Executor | None = None) -> None:
    """Send what is due, until nothing is or the time is up; in threads, or as `pool` does it."""
    began = time.monotonic()
    under_way: dict[Future[Outcome], Page] = {}
    with pool or ThreadPoolExecutor(max_workers=AT_ONCE) as workers:  # its threads touch no database
        while True:
            if time.monotonic() - began < BUDGET and len(under_way) < AT_ONCE:
                for page in claim(clock.now(), AT_ONCE - len(under_way)):
                    under_way[workers.submit(attempt, page.kind, message_of(page))] = page
            if not under_way:
                return
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: under_way[one].pk):
                page = under_way.pop(future)
                if not settle(page, future.result(), clock.now()):
                    log.warning("page %s: the lease was lost; its new holder decides", page.key)


def remind(now: datetime) -> None:
    """Whoever has a contact method that nobody has seen working for a month is told so through it."""
    old = now - RETEST
    stale = Q(proved_at__lt=old) | Q(proved_at=None, verified_at__lt=old)
    fresh = Q(reminded_at=None) | Q(reminded_at__lt=old)
    rows = ContactMethod.objects.filter(stale, fresh, removed_at=None, verified_at__isnull=False, user__is_active=True)
    for contact in rows.select_related("user").order_by("pk")[:MOST_REMINDED]:
        with transaction.atomic():
            if ContactMethod.objects.filter(fresh, pk=contact.pk).update(reminded_at=now):
                notice = Notice(f"contact/{contact.pk}", f"r{now:%Y%m%d}", "", retest(contact), "notice")
                enqueue_to(contact, notice, now)


def attempt(kind: str, message: Message | Outcome) -> Outcome:
    """One attempt. A fault of ours counts as temporary, is logged, and retried like any other."""
    if isinstance(message, Outcome):
        return message
    try:
        return kind_named(kind).send(message)
    except Invalid as problem:
        return Outcome("permanent", problem.message)
    except Exception as problem:
        log.exception("sending %s failed", message.key)
        return Outcome("temporary", f"{type(problem).__name__}: {problem}")
