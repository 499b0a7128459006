"""A row of the outbox as a message. Only frozen facts, so a retry says the same."""

from __future__ import annotations

from datetime import timedelta

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.notify import links
from afterlaunch.notify.kinds import Item, Message
from afterlaunch.notify.models import ContactMethod, Page, Thread
from afterlaunch.notify.rules import Outcome
from afterlaunch.notify.sealed import unseal

LATE = timedelta(minutes=2)


def message_of(page: Page) -> Message | Outcome:
    """The message, or why there can be none."""
    head = item_of(page)
    channel, place, callback = page.channel, {}, ""
    options: dict[str, str] = {}
    if channel is not None:
        try:
            options = {**channel.config, **unseal(channel.secrets)}
        except Invalid as problem:
            return Outcome("permanent", problem.message)
        thread = Thread.objects.filter(channel=channel, topic=page.topic).first()
        place, callback = (thread.place, thread.callback) if thread else ({}, "")
    return Message(
        key=page.key,
        purpose=page.purpose,
        to=channel.address if channel else page.contact.address if page.contact else "",
        secret=options.get("secret", "") if channel else page.contact.secret if page.contact else "",
        title=head.title,
        lines=head.lines,
        severity=head.severity,
        url=head.url,
        acknowledge_url=head.acknowledge_url,
        type=page.type or "test",
        topic=page.topic,
        data=_data(page),
        more=_more(page),
        options=options,
        place=place,
        callback=callback,
    )


def item_of(page: Page) -> Item:
    facts = page.facts
    said = [str(facts["said"])] if facts.get("said") else []
    lines = [*said, *(str(line) for line in facts.get("lines", []))]
    if page.purpose == "page" and page.taken_at and page.taken_at - page.created_at > LATE:
        lines.append(f"Decided at {page.created_at:%Y-%m-%d %H:%M} UTC, sent late.")
    return Item(
        title=str(facts.get("title", "")),
        lines=lines,
        severity=str(facts.get("severity", "")),
        url=settings().public_url + facts["path"] if facts.get("path") else "",
        acknowledge_url=links.address(page) if page.purpose == "page" and page.person_id else "",
        at=page.created_at,
    )


def _more(page: Page) -> list[Item]:
    """What else is told in it; the same topic once, as its oldest row says it."""
    seen, items = {page.topic}, list[Item]()
    if not page.carries:
        return items
    for one in Page.objects.filter(carrier=page).order_by("created_at", "pk"):
        if one.topic not in seen:
            seen.add(one.topic)
            items.append(item_of(one))
    return items


def _data(page: Page) -> dict[str, object]:
    told = dict(page.facts.get("data", {}))
    if page.facts.get("said"):
        told["said"] = page.facts["said"]
    person = page.person.email if page.person else None
    return {**told, "id": page.topic, "sequence": page.pk, **({"person": person} if person else {})}


def retest(contact: ContactMethod) -> dict[str, object]:
    """That nobody knows any more whether this method works."""
    since = contact.proved_at or contact.verified_at
    last = f"It was last known to work on {since:%Y-%m-%d}. " if since else ""
    return {
        "type": "contact.retest",
        "title": "Does this still reach you?",
        "lines": [f"{last}Send yourself a test under Settings, Your contact methods, and type in its code."],
        "path": "/settings/contacts",
    }
