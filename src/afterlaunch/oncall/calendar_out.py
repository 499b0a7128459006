"""iCalendar out: final shifts as events. Pure; the same shifts give the same bytes.

A UID is made from person, schedule and the shift's end, since a running shift's start may lie before the window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from icalendar import Alarm, Calendar, Event, vText

PRODID = "-//Afterlaunch//On-call//EN"
BEHIND, AHEAD = timedelta(days=15), timedelta(days=180)


@dataclass(frozen=True)
class Entry:
    """One shift of one person; `changed` is when what it rests on was edited last."""

    person: int
    schedule: int
    start: datetime
    end: datetime
    summary: str
    description: str
    changed: datetime


def uid_of(entry: Entry) -> str:
    told = f"{entry.person}|{entry.schedule}|{entry.end.astimezone(UTC).isoformat()}"
    return hashlib.sha256(told.encode()).hexdigest()[:32] + "@afterlaunch"


def calendar_text(name: str, zone: str, entries: Iterable[Entry], reminders: Sequence[int] = ()) -> bytes:
    """The feed, with CRLF and lines of at most 75 octets. `reminders`: minutes before each shift."""
    made = Calendar()
    for field, value in (
        ("version", "2.0"),
        ("prodid", PRODID),
        ("method", "PUBLISH"),
        ("x-wr-calname", vText(name)),
        ("x-wr-timezone", zone),
    ):
        made.add(field, value)
    made.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for entry in sorted(entries, key=lambda one: (one.start, one.end, one.schedule, one.person)):
        made.add_component(_event(entry, reminders))
    return bytes(made.to_ical())


def _event(entry: Entry, reminders: Sequence[int]) -> Event:
    event = Event()
    event.add("uid", uid_of(entry))
    event.add("dtstamp", entry.changed.astimezone(UTC).replace(microsecond=0))
    event.add("last-modified", entry.changed.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", entry.start.astimezone(UTC).replace(microsecond=0))
    event.add("dtend", entry.end.astimezone(UTC).replace(microsecond=0))
    event.add("summary", entry.summary)
    event.add("description", entry.description)
    event.add("transp", "TRANSPARENT")
    for minutes in reminders:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", entry.summary)
        alarm.add("trigger", timedelta(minutes=-minutes))
        event.add_component(alarm)
    return event


def etag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
