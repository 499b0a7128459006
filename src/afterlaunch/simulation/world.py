"""The world outside: it holds the clock, tells alerts until they are taken, runs the providers, sleeps and wakes.

Time goes from event to event: what the plan says, what people decide, and when the product wants to be woken. After
every answer the product says that; once in four hours it performs all of its duties whatever it said.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count, islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.simulation import people
from afterlaunch.simulation.child import Answer, Child, Killed, Product
from afterlaunch.simulation.plan import DAY, HOUR, HOUSE, AlertPlan, Plan
from afterlaunch.simulation.providers import Delivery, Providers

BEAT = 4 * HOUR
AT_ONCE = 20  # tellings of one delivery
REACH = 60  # a kill comes within so many statements
BEHIND = 2  # with so many kills too few they come within a quarter of that, and wait for no message
LAST = 12 * HOUR  # so long may it take to come to rest


@dataclass
class Telling:
    """`attempts`: when it was tried; `taken_at`: when the product said that it has it, None: never."""

    alert: AlertPlan
    at: datetime
    status: str
    severity: str
    attempts: list[datetime] = field(default_factory=list)
    taken_at: datetime | None = None
    row: int | None = None
    reason: str = ""


@dataclass
class Deed:
    """What a person tried. `done`: the product said so; None: it died over it."""

    at: datetime
    what: str
    incident: int
    person: str
    done: bool | None


@dataclass
class Kill:
    at: datetime
    during: str
    where: str
    up_again: datetime


@dataclass
class Record:
    """What the world knows, from its own side."""

    tellings: list[Telling] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    overrides: list[tuple[datetime, int]] = field(default_factory=list)
    silences: list[tuple[datetime, int]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    busy: list[tuple[datetime, datetime]] = field(default_factory=list)
    previews: int = 0
    ended_at: datetime | None = None
    rested: bool = False


Action = Callable[[], None]


class World:
    """`begin` starts a life of the product."""

    def __init__(
        self,
        plan: Plan,
        broken: Sequence[str] = (),
        progress: Callable[[datetime], None] = lambda at: None,
        begin: Callable[[Plan, Sequence[str], Answer], Product] = Child,
    ) -> None:
        self.plan, self.record = plan, Record()
        self.providers = Providers(plan.seed, plan.outages)
        self.now = plan.start
        self._broken, self._progress, self._begin = broken, progress, begin
        self._events: list[tuple[datetime, int, Action]] = []
        self._number = count()
        self._wake_at: datetime | None = None
        self._child: Product | None = None
        self._sending: list[Delivery] = []
        self._queues: dict[str, deque[Telling]] = defaultdict(deque)
        self._delivering: set[str] = set()
        self._refusals: Counter[str] = Counter()
        self._rng = Random(f"{plan.seed} kills")
        self._armed = ""
        self._ending = False

    def play(self) -> Record:
        self._start()
        self._ask("furnish")
        self._schedule()
        while self._events or self._wake_at is not None:
            if not self._step():
                break
        self._finish()
        return self.record

    # Time

    def _at(self, at: datetime, action: Action) -> None:
        heapq.heappush(self._events, (at, next(self._number), action))

    def _step(self) -> bool:
        """One event, or one cycle of the product; False when all has come to rest."""
        event = self._events[0][0] if self._events else None
        if self._wake_at is not None and (event is None or self._wake_at < event):
            self.now = max(self.now, self._wake_at)
            self._cycle()
        elif event is not None:
            self.now = max(self.now, event)
            heapq.heappop(self._events)[2]()
        return self.now < self.plan.end + LAST

    def _schedule(self) -> None:
        plan = self.plan
        for alert in plan.alerts:
            for at, status, severity in alert.tellings():
                self._at(at, self._teller(Telling(alert, at, status, severity)))
        for number, override in enumerate(plan.overrides):
            self._at(override.made_at, self._insistent("override", self.record.overrides, number))
        for number, silence in enumerate(plan.silences):
            self._at(silence.at, self._insistent("silence", self.record.silences, number))
        self._at(plan.start + BEAT, self._beat)
        for client in (*plan.clients, HOUSE):
            self._next_round(client.slug, plan.start)

    def _beat(self) -> None:
        """All duties, whatever the product said."""
        rare = (self.now - self.plan.start) % max(DAY, (self.plan.end - self.plan.start) / 30) < BEAT
        self._cycle(whole=True, rare=rare)
        self._progress(self.now)
        if self.now < self.plan.end + 2 * HOUR:
            self._at(self.now + BEAT, self._beat)

    # The product

    def _start(self) -> None:
        self._child, self._armed = self._begin(self.plan, self._broken, self._provider), ""

    def _ask(self, do: str, **given: Any) -> dict[str, Any] | None:
        """What the product did; None: it is down, or it died over it."""
        if self._child is None:
            return None
        self._sending = []
        kill = self._kill() if do not in ("furnish", "wake") else None
        self.record.asked[do] += 1
        try:
            told = self._child.ask(do, self.now, kill, **given)
        except Killed as killed:
            self._died(do, killed.where)
            return None
        until = datetime.fromisoformat(told["now"])
        if until > self.now:
            self.record.busy.append((self.now, until))
            self.now = until
        self._wake_at = datetime.fromisoformat(told["next"]) if told["next"] else None
        done: dict[str, Any] = told["done"]
        return done

    def _kill(self) -> tuple[str, int] | None:
        """As many as the share of the days that have passed says. A kill that has waited long for its message, or
        statement, is planned anew, and comes at one of the next statements."""
        missing = self._missing()
        soon = missing >= BEHIND or (missing > 0 and self._ending)
        if missing <= 0 or self._armed == "soon" or (self._armed and not soon):
            return None
        self._armed = "soon" if soon else "planned"
        if soon:
            return self._rng.choice(("before", "after")), self._rng.randint(1, REACH // 4)
        how = self._rng.choices(("before", "after", "unsent", "answered"), (45, 35, 8, 12))[0]
        return how, self._rng.randint(1, REACH if how in ("before", "after") else 2)

    def _missing(self) -> float:
        """Kills that should have been by now: all of them in the end."""
        passed = min((self.now - self.plan.start) / (self.plan.end - self.plan.start), 1.0)
        return self.plan.kills * passed - len(self.record.kills)

    def _died(self, do: str, where: str) -> None:
        for delivery in self._sending:
            delivery.heard = False
        down = self._rng.choices(
            (self._rng.uniform(1, 20), self._rng.uniform(60, 300), self._rng.uniform(600, 2400)), (75, 20, 5)
        )[0]
        up = self.now + timedelta(seconds=round(down, 3))
        self.record.kills.append(Kill(self.now, do, where, up))
        self._child, self._wake_at = None, None
        self._at(up, self._wake)

    def _wake(self) -> None:
        """A start is a replay: it does what is due, whatever the hour."""
        self._start()
        self._ask("wake")
        self._cycle(whole=True)

    def _cycle(self, whole: bool = False, rare: bool = False) -> None:
        done = self._ask("cycle", whole=whole, rare=rare)
        if done is not None:
            self.record.failures.update(done["failed"])

    def _provider(self, message: dict[str, Any]) -> dict[str, Any]:
        at = datetime.fromisoformat(message["at"])
        answer, row = self.providers.answer(message, at)
        self._sending.append(row)
        if row.took and row.purpose == "page":
            self._arrives(row, at + timedelta(seconds=answer["took"]))
        return answer

    # Senders of alerts

    def _teller(self, telling: Telling) -> Action:
        def tell() -> None:
            client = telling.alert.system.client
            self.record.tellings.append(telling)
            self._queues[client].append(telling)
            if client not in self._delivering:
                self._deliver_at(client, self.now)  # with all that is told at this moment

        return tell

    def _deliver_at(self, client: str, at: datetime) -> None:
        self._delivering.add(client)
        self._at(at, lambda: self._deliver(client))

    def _deliver(self, client: str) -> None:
        """What waits, in order, until the product says that it has it. Now and then a second replica tells it, too."""
        self._delivering.discard(client)
        waiting = list(islice(self._queues[client], AT_ONCE))
        for one in waiting:
            one.attempts.append(self.now)
        rows = [_row(one) for one in waiting]
        if Random(f"{self.plan.seed} {waiting[0].alert.number} replica").random() < 0.05:
            rows += rows[:1]
        done = self._ask("take", client=client, tellings=rows)
        if done is None:
            self._refusals[client] += 1
            wait = timedelta(seconds=min(5 * 2 ** (self._refusals[client] - 1), 60))
            self._deliver_at(client, self.now + wait)
            return
        self._refusals[client] = 0
        for one, (row, reason) in zip(waiting, done["taken"], strict=False):
            one.taken_at, one.row, one.reason = self.now, row, reason
            self._queues[client].popleft()
        if self._queues[client]:
            self._deliver_at(client, self.now)

    # People

    def _arrives(self, row: Delivery, at: datetime) -> None:
        email = row.to.partition(":")[2]
        person = next(one for one in self.plan.people if one.email == email)
        if people.previews(self.plan.seed, row.key):
            self._at(at, lambda: self._preview(row))
        after = people.reaction(self.plan.seed, person, row.key, row.severity, at)
        if after is None:
            return
        for topic, link in row.links.items():
            token = link.rpartition("/")[2]
            again = people.presses_twice(self.plan.seed, row.key)
            for _ in range(2 if again else 1):
                self._at(at + after, self._presser(int(topic), person.name, token))

    def _preview(self, row: Delivery) -> None:
        for link in row.links.values():
            if self._ask("look", token=link.rpartition("/")[2]) is not None:
                self.record.previews += 1

    def _presser(self, incident: int, person: str, token: str) -> Action:
        def press() -> None:
            done = self._ask("acknowledge", token=token)
            if done is None:
                self.record.deeds.append(Deed(self.now, "acknowledge", incident, person, None))
                self._at(self.now + timedelta(seconds=20), press)
                return
            if "incident" in done:
                self.record.deeds.append(Deed(self.now, "acknowledge", done["incident"], person, True))
            else:
                self.record.refused["acknowledge"] += 1
            self._resolves(incident, person)

        return press

    def _resolves(self, incident: int, person: str) -> None:
        def resolve() -> None:
            done = self._ask("resolve", incident=incident, person=person)
            self.record.deeds.append(
                Deed(self.now, "resolve", incident, person, None if done is None else "incident" in done)
            )
            if done is None:
                self._at(self.now + timedelta(seconds=30), resolve)

        self._at(self.now + people.repair(self.plan.seed, incident), resolve)

    def _next_round(self, client: str, after: datetime) -> None:
        """At nine in the morning of every day."""
        zone = ZoneInfo(self.plan.of(client).zone)
        day = after.astimezone(zone).date() + DAY
        at = datetime.combine(day, time(9), zone).astimezone(UTC)
        if at <= self.plan.end + LAST:
            self._at(at, lambda: self._round(client))

    def _round(self, client: str) -> None:
        person = self.plan.of(client).lead
        done = self._ask("round", client=client, person=person, since=(self.now - 8 * HOUR).isoformat())
        if done is None:
            self.record.deeds.append(Deed(self.now, "round", 0, person, None))
            self._at(self.now + timedelta(minutes=5), lambda: self._round(client))
            return
        for what in ("acknowledged", "resolved"):
            self.record.deeds += [Deed(self.now, what.removesuffix("d"), pk, person, True) for pk in done[what]]
        self._next_round(client, self.now)

    def _insistent(self, do: str, kept: list[tuple[datetime, int]], number: int) -> Action:
        """Tried until it is done; done twice does no harm."""

        def action() -> None:
            kept.append((self.now, number))
            if self._ask(do, number=number) is None:
                self._at(self.now + timedelta(seconds=15), action)

        return action

    def _finish(self) -> None:
        self.record.rested = not any(self._queues.values()) and self._child is not None
        self._ending = True
        while self._child is None or self._missing() > 0:
            if self._child is None:
                self.now += timedelta(seconds=20)
                self._start()
                self._ask("wake")
            self._cycle(whole=True, rare=True)
        self._cycle(whole=True, rare=True)
        self.record.ended_at = self.now
        if self._child is not None:
            self._child.stop()


def _row(one: Telling) -> list[str]:
    alert = one.alert
    return [alert.system.key, alert.name, alert.instance, one.status, one.severity, alert.start.isoformat()]
