"""iCalendar in: events of a calendar as shifts. Pure.

1. Each UID counts once, with its largest SEQUENCE; a RECURRENCE-ID replaces or cancels one occurrence, with
RANGE=THISANDFUTURE it moves, changes or cancels all from there on that have no replacement of their own. 2. Recurrences
are expanded on the wall clock of the event's zone, so that a handoff keeps its hour, within a window of 400 days.
3. All-day events use X-WR-TIMEZONE, else the layer's zone; floating times the layer's. Windows' names of zones are
known. 4. People are the attendees that somebody knows, else the names of the summary; `[L2]` before it is a priority.
A name that nobody knows leaves a shift without people: a gap that is seen, not an event that is dropped.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar import Calendar
from icalendar.error import BrokenCalendarProperty
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from afterlaunch.calendars.wall import first_instant
from afterlaunch.ground.errors import Invalid

LIMIT = 5 * 1024 * 1024
AHEAD, BEHIND = timedelta(days=400), timedelta(days=31)
EVENTS, OCCURRENCES = 20_000, 20_000
_PRIORITY = re.compile(r"^\s*\[L(\d{1,3})\]\s*", re.I)
_SEVERAL = re.compile(r"\s*(?:,|;|&|\+|/|\band\b)\s*", re.I)
_STEPS = {"HOURLY": timedelta(hours=1), "DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}
_PARTS = {"BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE", "BYSETPOS"}
_KNOWN = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"} | _PARTS


Event = Any  # icalendar types a property as every kind that it might be; each is looked at before it is used


@dataclass(frozen=True)
class Read:
    """`shifts` as they are stored: from, to, people, priority. `unmatched`: names that nobody has."""

    shifts: list[dict[str, Any]]
    unmatched: list[str]


Who = Callable[[str], Any]


def read(body: bytes, zone: str, now: datetime, who: Who) -> Read:
    """The shifts from 31 days back to 400 ahead. `who` gives the person of an address or a name in small letters, or
    None. Raises Invalid."""
    if len(body) > LIMIT:
        raise Invalid("The calendar is larger than 5 MiB.")
    try:
        calendar: Any = Calendar.from_ical(body)
    except (ValueError, IndexError, KeyError, TypeError) as problem:
        raise Invalid(f"This is no iCalendar: {str(problem)[:120]}") from None
    if calendar.name != "VCALENDAR":
        raise Invalid("This is no iCalendar.", "It begins with BEGIN:VCALENDAR.")
    events = calendar.walk("VEVENT")
    if not events:
        raise Invalid("The calendar has no event.")
    if len(events) > EVENTS:
        raise Invalid(f"The calendar has more than {EVENTS:,} events.")
    usual = ZoneInfo(zone)
    window = _Window(now - BEHIND, now + AHEAD, usual, _named_zone(calendar.get("X-WR-TIMEZONE")) or usual)
    found: list[dict[str, Any]] = []
    unmatched: set[str] = set()
    for event, start, end in _occurrences(events, window):
        people, unknown, priority = _people(event, who)
        unmatched |= unknown
        found.append({"from": _stamp(start), "to": _stamp(end), "people": people, "priority": priority})
        if len(found) > OCCURRENCES:
            raise Invalid(f"The calendar has more than {OCCURRENCES:,} shifts within 400 days.")
    return Read(sorted(found, key=lambda one: (one["from"], one["to"])), sorted(unmatched))


@dataclass(frozen=True)
class _Window:
    since: datetime
    until: datetime
    floating: ZoneInfo
    all_day: ZoneInfo


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _named_zone(name: object) -> ZoneInfo | None:
    text = str(name or "").strip()
    try:
        return ZoneInfo(WINDOWS_TO_OLSON.get(text, text)) if text else None
    except (ValueError, OSError, KeyError):
        return None


def _occurrences(events: Iterable[Event], window: _Window) -> Iterator[tuple[Event, datetime, datetime]]:
    """Every occurrence that touches the window, with what was moved and without what was cancelled."""
    masters: dict[str, Event] = {}
    moved: dict[tuple[str, datetime], Event] = {}
    following: dict[tuple[str, datetime], Event] = {}
    for number, event in enumerate(events):
        _check_times(event, number + 1)
        uid = str(event.get("UID") or f"event {number}")
        if event.get("RECURRENCE-ID") is not None:
            at = _instant(event["RECURRENCE-ID"].dt, window)
            _newer(following if _and_future(event) else moved, (uid, at), event)
        else:
            _newer(masters, uid, event)
    of: dict[str, list[tuple[datetime, Event]]] = defaultdict(list)
    for (uid, at), event in following.items():
        of[uid].append((at, event))
    for uid, event in masters.items():
        if _cancelled(event):
            continue
        changes = sorted((_Change(at, one, window) for at, one in of.get(uid, ())), key=lambda one: one.since)
        reach = max((one.reach for one in changes), default=timedelta())
        for start, end in _expanded(event, replace(window, since=window.since - reach, until=window.until + reach)):
            if (uid, start) in moved:
                continue
            last = next((one for one in reversed(changes) if one.since <= start), None)
            told, begins, ends = last.of(start) if last is not None else (event, start, end)
            if not _cancelled(told) and begins < ends and begins < window.until and ends > window.since:
                yield told, begins, ends
    for event in (*moved.values(), *(one for (uid, _), one in following.items() if uid not in masters)):
        if not _cancelled(event):
            start = _instant(event["DTSTART"].dt, window)
            end = start + _length(event, window) if not _is_day(event["DTSTART"].dt) else _end_of_days(event, window)
            if start < end and start < window.until and end > window.since:
                yield event, start, end


def _and_future(event: Event) -> bool:
    return str(event["RECURRENCE-ID"].params.get("RANGE", "")).upper() == "THISANDFUTURE"


class _Change:
    """Of the occurrences from `since` on: by as much as the one there was moved on the wall clock."""

    def __init__(self, since: datetime, event: Event, window: _Window) -> None:
        self.since, self._event = since, event
        value = event["DTSTART"].dt
        self._zone, self._length = _zone_of(value, window), _wall_length(event, window)
        self._moved = _wall(value) - _wall(since.astimezone(self._zone))
        if abs(self._moved) > AHEAD:
            raise Invalid("An event of the calendar moves what follows by more than 400 days.")
        self.reach = abs(self._moved) + max(self._length, timedelta())

    def of(self, start: datetime) -> tuple[Event, datetime, datetime]:
        local = _wall(start.astimezone(self._zone)) + self._moved
        return self._event, _at(local, self._zone), _at(local + self._length, self._zone)


def _check_times(event: Event, number: int) -> None:
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        if event.get(name) is None and name != "DTSTART":
            continue
        try:
            good = isinstance(event[name].dt, date)
        except (BrokenCalendarProperty, AttributeError, KeyError):
            good = False
        if not good:
            raise Invalid(f"Event {number} of the calendar has no {name} that can be read.")


def _newer(into: dict[Any, Event], key: Any, event: Event) -> None:
    known = into.get(key)
    if known is None or _sequence(event) >= _sequence(known):
        into[key] = event


def _sequence(event: Event) -> int:
    text = str(event.get("SEQUENCE", 0))
    return int(text) if text.isdigit() else 0


def _cancelled(event: Event) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _is_day(value: date) -> bool:
    return not isinstance(value, datetime)


def _zone_of(value: date, window: _Window) -> tzinfo:
    if not isinstance(value, datetime):
        return window.all_day
    return value.tzinfo or window.floating


def _wall(value: date) -> datetime:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time())


def _at(local: datetime, zone: tzinfo) -> datetime:
    if isinstance(zone, ZoneInfo):
        return first_instant(local, zone)
    return local.replace(tzinfo=zone).astimezone(UTC)


def _instant(value: date, window: _Window) -> datetime:
    return _at(_wall(value), _zone_of(value, window))


def _wall_length(event: Event, window: _Window) -> timedelta:
    """On the wall clock, so that a shift from nine to nine ends at nine also when clocks change."""
    start = event["DTSTART"].dt
    if event.get("DTEND") is not None:
        end = event["DTEND"].dt
        if isinstance(start, datetime) and isinstance(end, datetime) and start.tzinfo and end.tzinfo:
            return _wall(end.astimezone(start.tzinfo)) - _wall(start)
        return _wall(end) - _wall(start)
    if event.get("DURATION") is not None:
        try:
            length = event["DURATION"].dt
        except (BrokenCalendarProperty, AttributeError):
            raise Invalid("An event of the calendar has a DURATION that can't be read.") from None
        return length if isinstance(length, timedelta) else timedelta()
    return timedelta(days=1) if _is_day(start) else timedelta()


def _length(event: Event, window: _Window) -> timedelta:
    start = event["DTSTART"].dt
    zone = _zone_of(start, window)
    return _at(_wall(start) + _wall_length(event, window), zone) - _at(_wall(start), zone)


def _end_of_days(event: Event, window: _Window) -> datetime:
    return _at(_wall(event["DTSTART"].dt) + _wall_length(event, window), window.all_day)


def _expanded(event: Event, window: _Window) -> Iterator[tuple[datetime, datetime]]:
    """Every occurrence by itself, before anything was moved."""
    value = event["DTSTART"].dt
    zone, length, first = _zone_of(value, window), _wall_length(event, window), _wall(value)
    if length <= timedelta():
        return
    left_out = {_instant(one, window) for one in _dates(event, "EXDATE")}
    starts = {first} if event.get("RRULE") is None else set(_recurring(event, first, zone, length, window))
    starts |= {_wall(one) for one in _dates(event, "RDATE") if isinstance(one, date)}
    for local in sorted(starts):
        start = _at(local, zone)
        if start not in left_out:
            yield start, _at(local + length, zone)


def _dates(event: Event, name: str) -> list[date]:
    given = event.get(name)
    rows = given if isinstance(given, list) else [given] if given is not None else []
    return [one.dt for row in rows for one in getattr(row, "dts", []) if isinstance(one.dt, date)]


def _recurring(event: Event, first: datetime, zone: tzinfo, length: timedelta, window: _Window) -> Iterator[datetime]:
    """Wall times at which it recurs and that can touch the window."""
    rules = event["RRULE"] if isinstance(event["RRULE"], list) else [event["RRULE"]]
    since = _wall(window.since.astimezone(zone)) - length - timedelta(days=1)
    until = _wall(window.until.astimezone(zone)) + timedelta(days=1)
    for rule in rules:
        told = {str(name).upper(): value for name, value in rule.items()}
        _check(told)
        ends = _until(told, zone)
        begins = _forward(told, first, since)
        text = ";".join(
            f"{name}={','.join(str(one) for one in value)}" for name, value in told.items() if name != "UNTIL"
        )
        stop = min(until, ends) if ends is not None else until
        count = 0
        for local in rrulestr(text, dtstart=begins):
            if local > stop:
                break
            if local >= since:
                yield local
                count += 1
            if count > OCCURRENCES:
                raise Invalid(f"An event of the calendar recurs more than {OCCURRENCES:,} times within 400 days.")


def _until(told: Mapping[str, Any], zone: tzinfo) -> datetime | None:
    if "UNTIL" not in told:
        return None
    value = told["UNTIL"][0]
    if not isinstance(value, datetime):
        return datetime.combine(value, time(23, 59, 59))
    return _wall(value.astimezone(zone)) if value.tzinfo else value


def _check(told: Mapping[str, Any]) -> None:
    """Only what schedules are written with, and nothing that could be looked for in vain for ever."""
    kind = str((told.get("FREQ") or [""])[0])
    monthly = kind in ("MONTHLY", "YEARLY")
    ordinals = [int(found[1]) for one in told.get("BYDAY", []) if (found := re.match(r"([+-]?\d+)", str(one)))]
    days, months = [int(one) for one in told.get("BYMONTHDAY", [])], [int(one) for one in told.get("BYMONTH", [])]
    places = [abs(int(one)) for one in told.get("BYSETPOS", [])]
    hours, minutes = ([int(one) for one in told.get(name, [])] for name in ("BYHOUR", "BYMINUTE"))
    clock = hours or minutes
    wrong = (
        set(told) - _KNOWN
        or (kind not in _STEPS and not monthly)
        or (ordinals and (not monthly or not all(1 <= abs(one) <= 5 for one in ordinals)))
        or (places and not (monthly and told.get("BYDAY") and max(places) <= 4 * len(told["BYDAY"])))
        or (days and kind not in ("MONTHLY", "YEARLY", "DAILY"))
        or not all(1 <= one <= 12 for one in months)
        or (clock and (kind == "HOURLY" or places))
        or not all(0 <= one < 24 for one in hours)
        or not all(0 <= one < 60 for one in minutes)
        or (days and not any(1 <= abs(day) <= monthrange(2028, month)[1] for day in days for month in months or [1]))
    )
    if wrong:
        text = ";".join(f"{name}={','.join(str(one) for one in value)}" for name, value in told.items())
        raise Invalid(f"The recurrence {text} is not understood.", "See docs/on-call.md for what is.")


def _forward(told: Mapping[str, Any], first: datetime, since: datetime) -> datetime:
    """The last step of the recurrence before the window, so that nobody counts the hours since 1970."""
    step = _STEPS.get(str(told["FREQ"][0]))
    interval = int((told.get("INTERVAL") or [1])[0])
    if step is None or "COUNT" in told or first >= since or interval < 1:
        return first
    return first + (since - first) // (step * interval) * step * interval


def _people(event: Event, who: Who) -> tuple[list[Any], set[str], int]:
    """(people, names that nobody has, priority)."""
    given = event.get("ATTENDEE")
    attendees = given if isinstance(given, list) else [given] if given is not None else []
    summary = str(event.get("SUMMARY", ""))
    level = _PRIORITY.match(summary)
    name = _PRIORITY.sub("", summary).strip()
    priority = int(level[1]) if level else 0
    addresses = [re.sub(r"^mailto:", "", str(one), flags=re.I).strip().lower() for one in attendees]
    known = [found for one in addresses if (found := who(one)) is not None]
    if known:
        return list(dict.fromkeys(known)), set(), priority
    parts = [name] if who(name.lower()) is not None else [one for one in _SEVERAL.split(name) if one]
    people = [found for one in parts if (found := who(one.lower())) is not None]
    unknown = {one[:100] for one in parts if who(one.lower()) is None} or (set() if people else {name[:100] or "—"})
    return list(dict.fromkeys(people)), unknown, priority
