"""The calendar of a schedule as it is drawn: weeks of seven days in the reader's zone, a row for each layer. Pure.

A day has the same width whether it has 23, 24 or 25 hours; inside it an instant lies by its share of the day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import date_of, start_of_date
from afterlaunch.oncall.final import Shift

DAY = timedelta(days=1)
COLOURS = 8
LEAST = 0.4  # percent: the shortest bar that can be seen


@dataclass(frozen=True)
class Span:
    """Something over [start, end) to be drawn. `tone` is a colour's class."""

    start: datetime
    end: datetime
    text: str
    title: str
    tone: str


@dataclass(frozen=True)
class Bar:
    """`left` and `width` in percent of the week."""

    left: str
    width: str
    text: str
    title: str
    tone: str


@dataclass(frozen=True)
class Row:
    label: str
    kind: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Day:
    label: str
    today: bool


@dataclass(frozen=True)
class Week:
    """`now` is where the present lies, in percent; None: not in this week."""

    first: date
    days: tuple[Day, ...]
    rows: tuple[Row, ...]
    now: str | None


def monday_of(at: datetime, zone: ZoneInfo) -> date:
    day = date_of(at, zone)
    return day - timedelta(days=day.weekday())


def bounds(first: date, weeks: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return start_of_date(first, zone), start_of_date(first + timedelta(weeks=weeks), zone)


def drawn(
    first: date, weeks: int, zone: ZoneInfo, now: datetime, rows: Sequence[tuple[str, str, Sequence[Span]]]
) -> list[Week]:
    """`rows` are (label, kind, spans)."""
    today = date_of(now, zone)
    found = []
    for number in range(weeks):
        monday = first + timedelta(weeks=number)
        edges = [start_of_date(monday + timedelta(days=n), zone) for n in range(8)]
        days = tuple(
            Day((monday + timedelta(days=n)).strftime("%a %d %b"), monday + timedelta(days=n) == today)
            for n in range(7)
        )
        drawn_rows = tuple(Row(label, kind, tuple(_bars(spans, edges))) for label, kind, spans in rows)
        here = edges[0] <= now < edges[7]
        found.append(Week(monday, days, drawn_rows, f"{_place(now, edges):.2f}" if here else None))
    return found


def _place(at: datetime, edges: Sequence[datetime]) -> float:
    """Percent of the week."""
    for number in range(7):
        if at < edges[number + 1]:
            length = (edges[number + 1] - edges[number]) / DAY
            share = max(0.0, (at - edges[number]) / DAY / length) if length else 0.0
            return (number + share) * 100 / 7
    return 100.0


def _bars(spans: Iterable[Span], edges: Sequence[datetime]) -> Iterable[Bar]:
    for one in spans:
        if one.start < edges[7] and one.end > edges[0]:
            left, right = _place(max(one.start, edges[0]), edges), _place(min(one.end, edges[7]), edges)
            yield Bar(f"{left:.2f}", f"{max(right - left, LEAST):.2f}", one.text, one.title, one.tone)


def spans_of(
    shifts: Iterable[Shift], name: Callable[[Any], str], tone: Callable[[Any], str], when: Callable[[datetime], str]
) -> list[Span]:
    found = []
    for one in shifts:
        instead = ", ".join(name(absent) for absent in one.stands_in_for)
        text = name(one.person) + (f" for {instead}" if instead else "")
        title = f"{text}, {when(one.start)} to {when(one.end)}"
        found.append(Span(one.start, one.end, text, title, tone(one.person)))
    return found


def colours(people: Iterable[Any]) -> Callable[[Any], str]:
    """The same person has the same colour in every row of the page."""
    order = {person: number for number, person in enumerate(sorted(set(people), key=str))}
    return lambda person: f"who-{order.get(person, 0) % COLOURS}"


def lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """Spans that overlap lie in rows of their own."""
    found: list[list[Span]] = []
    for one in sorted(spans, key=lambda span: (span.start, span.end)):
        for lane in found:
            if lane[-1].end <= one.start:
                lane.append(one)
                break
        else:
            found.append([one])
    return found or [[]]


@dataclass(frozen=True)
class Crew:
    """Who is on call together over [start, end)."""

    start: datetime
    end: datetime
    people: tuple[Any, ...]


def crews(shifts: Sequence[Shift], start: datetime, end: datetime) -> list[Crew]:
    """[start, end) by who is on call; a handoff that changes nobody is none here."""
    cuts = sorted({start, end, *(edge for one in shifts for edge in (one.start, one.end) if start < edge < end)})
    found: list[Crew] = []
    for since, until in pairwise(cuts):
        people = tuple(one.person for one in shifts if one.start < until and one.end > since)
        if found and set(found[-1].people) == set(people):
            found[-1] = Crew(found[-1].start, until, found[-1].people)
        else:
            found.append(Crew(since, until, people))
    return found
