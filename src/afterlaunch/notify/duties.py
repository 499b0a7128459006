"""The sender: lease a few, send them outside of any transaction, settle each."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.notify import links
from afterlaunch.notify.kinds import Message, kind_named
from afterlaunch.notify.models import Page
from afterlaunch.notify.outbox import claim, settle
from afterlaunch.notify.rules import Outcome

log = logging.getLogger(__name__)
BATCH = 8  # all at once, each with a time-out of a third of the lease
ROUNDS = 5


def send_pages(now: datetime) -> None:
    """Send what is due, a few batches at most, so that other duties get their turn."""
    for _ in range(ROUNDS):
        pages = claim(clock.now(), BATCH)
        if not pages:
            return
        messages = [message_of(page) for page in pages]
        with ThreadPoolExecutor(max_workers=BATCH) as pool:  # its threads touch no database
            outcomes = list(pool.map(attempt, [page.contact.kind for page in pages], messages))
        for page, outcome in zip(pages, outcomes, strict=True):
            if not settle(page, outcome, clock.now()):
                log.warning("page %s: the lease was lost; its new holder decides", page.key)


def attempt(kind: str, message: Message) -> Outcome:
    """One attempt. A fault of ours counts as temporary, is logged, and retried like any other."""
    try:
        return kind_named(kind).send(message)
    except Invalid as problem:
        return Outcome("permanent", problem.message)
    except Exception as problem:
        log.exception("sending %s failed", message.key)
        return Outcome("temporary", f"{type(problem).__name__}: {problem}")


def message_of(page: Page) -> Message:
    """The row as a message: only frozen facts, so a retry says the same."""
    facts, base = page.facts, settings().public_url
    return Message(
        key=page.key,
        purpose=page.purpose,
        to=page.contact.address,
        secret=page.contact.secret,
        title=str(facts.get("title", "")),
        lines=[str(line) for line in facts.get("lines", [])],
        severity=str(facts.get("severity", "")),
        url=base + facts["path"] if facts.get("path") else "",
        acknowledge_url=links.address(page) if page.purpose == "page" else "",
        type=str(facts.get("type", "test")),
        data={"id": page.topic, "sequence": page.pk, "person": page.person.email},
    )
