"""What is sent now, in which order, and what goes together. Pure.

1. What waits for one destination is told in one message, if its kind bundles; the gravest leads it.
2. Messages about one thing to an ordered channel go one after another.
3. Gravest first; within a class whoever is longest without a message, then by service, then by chance.
4. A destination or kind that has had its share waits, and what waits is bundled into its next message. The first page
   about a P1 waits for its kind only, at most one such page per person and minute.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from afterlaunch.notify.throttles import ANY_MESSAGE, INTERRUPTING, LONGEST, PER_KIND, limits_of, next_allowed

GRAVE_FIRST, FIRST, VERIFY, TEST, NOTICE, REPEATED, STATUS, EDIT = range(8)
EXEMPT_EVERY = timedelta(minutes=1)


def rank_of(purpose: str, severity: str, first: bool) -> int:
    """The class of a message; smaller goes sooner."""
    if purpose == "page":
        return REPEATED if not first else GRAVE_FIRST if severity == "P1" else FIRST
    return {"verify": VERIFY, "test": TEST, "notice": NOTICE, "status": STATUS}.get(purpose, EDIT)


@dataclass(frozen=True)
class Waiting:
    """A page that is due. `destination` names a contact method or a channel, `person` the reader, if it is one's own.
    `begun`: it was tried before, so its message is what it was."""

    pk: int
    destination: str
    person: int | None
    kind: str
    medium: str
    purpose: str
    topic: str
    service: str
    rank: int
    created_at: datetime
    bundles: bool = True
    ordered: bool = False
    begun: bool = False


@dataclass(frozen=True)
class Sent:
    """A message of the last hours."""

    destination: str
    person: int | None
    kind: str
    purpose: str
    rank: int
    at: datetime


@dataclass(frozen=True)
class Send:
    """One message: the page that leads it and those that are told in it."""

    leader: int
    carried: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Pages that wait until an instant, and why, in words."""

    pages: tuple[int, ...]
    until: datetime
    why: str


@dataclass
class Plan:
    sends: list[Send] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)


class History:
    """Who was sent what, and when; grows while a plan is made."""

    def __init__(self, sent: Iterable[Sent], now: datetime) -> None:
        self._rows: dict[tuple[str, ...], list[datetime]] = defaultdict(list)
        self._last: dict[str, datetime] = {}
        self._exempt: dict[int | None, datetime] = {}
        for row in sorted((one for one in sent if one.at > now - LONGEST), key=lambda one: one.at):
            self.add(row)

    def add(self, row: Sent) -> None:
        for key in (("kind", row.kind), ("to", row.destination), ("to", row.destination, row.purpose)):
            self._rows[key].append(row.at)
        self._last[_reader(row)] = row.at
        if row.rank == GRAVE_FIRST:
            self._exempt[row.person] = row.at

    def of(self, *key: str) -> Sequence[datetime]:
        return self._rows.get(key, ())

    def last(self, one: Waiting) -> datetime | None:
        return self._last.get(_reader(one))

    def may_be_exempt(self, one: Waiting, now: datetime) -> bool:
        before = self._exempt.get(one.person)
        return one.rank == GRAVE_FIRST and (before is None or now - before >= EXEMPT_EVERY)


def _reader(one: Waiting | Sent) -> str:
    return f"person {one.person}" if one.person is not None else one.destination


def plan(
    waiting: Iterable[Waiting],
    sent: Iterable[Sent],
    now: datetime,
    room: int,
    blocked: Mapping[tuple[str, str], int] | None = None,
) -> Plan:
    """`room`: how many messages may begin now. `blocked`: by (destination, topic) the first page that has to be told
    before the others, for channels that keep their order."""
    history, made = History(sent, now), Plan()
    groups = _grouped(waiting, blocked or {})
    groups.sort(key=lambda group: _order(group[0], history))
    for group in groups:
        if len(made.sends) >= room:
            break
        head = group[0]
        until, why = _allowed(head, history, now)
        if until > now:
            made.holds.append(Hold(tuple(one.pk for one in group), until, why))
            continue
        made.sends.append(Send(head.pk, tuple(one.pk for one in group[1:])))
        if not head.begun:
            history.add(Sent(head.destination, head.person, head.kind, head.purpose, head.rank, now))
    return made


def _grouped(waiting: Iterable[Waiting], blocked: Mapping[tuple[str, str], int]) -> list[list[Waiting]]:
    alone: list[list[Waiting]] = []
    together: dict[tuple[str, bool], list[Waiting]] = defaultdict(list)
    heads: dict[tuple[str, str], Waiting] = {}
    for one in waiting:
        if one.ordered:
            key = (one.destination, one.topic)
            if blocked.get(key, one.pk) >= one.pk and (key not in heads or one.pk < heads[key].pk):
                heads[key] = one
        elif one.begun or not one.bundles or one.purpose in ("verify", "test"):
            alone.append([one])
        else:
            together[one.destination, one.purpose == "page"].append(one)
    for group in together.values():
        group.sort(key=lambda one: (one.rank, one.created_at, one.pk))
    return [*alone, *([one] for one in heads.values()), *together.values()]


def _order(head: Waiting, history: History) -> tuple[object, ...]:
    last = history.last(head)
    chance = zlib.crc32(str(head.pk).encode())
    return (head.rank, last is not None, last.timestamp() if last else 0.0, head.service, chance)


def _allowed(head: Waiting, history: History, now: datetime) -> tuple[datetime, str]:
    if head.begun or head.medium == "machine":
        return now, ""  # a retry has its own times; programs take what they can and say so with 429
    until, limit = next_allowed(PER_KIND, history.of("kind", head.kind), now)
    if limit is not None:
        return until, f"{head.kind}: {limit.words}"
    if head.person is None or history.may_be_exempt(head, now):
        return now, ""
    checks = [(limits_of(head.medium, head.purpose), history.of("to", head.destination, head.purpose))]
    if head.medium in INTERRUPTING:
        checks.append((ANY_MESSAGE, history.of("to", head.destination)))
    for limits, before in checks:
        at, by = next_allowed(limits, before, now)
        if by is not None and at > until:
            until, limit = at, by
    return until, f"at most {limit.words} here" if limit else ""
