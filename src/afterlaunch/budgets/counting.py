"""What gateways and telemetry counted, taken in and added up.

1. Each telling is checked by itself: the good are kept, the bad are named. 2. A row per gateway, budget, counter and
window; the later telling wins, so that a repeated or late one changes nothing; what the gateway told under its host
alone, before it had a name of its own, goes. 3. What all gateways used together is
marked down for the picture of the window's burn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Sum

from afterlaunch.budgets.models import Count, Mark
from afterlaunch.contracts.budgets import window_of
from afterlaunch.contracts.gateway_names import LONGEST, formerly
from afterlaunch.contracts.shadow import named as shadow_named
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.routes import shadow_use
from afterlaunch.routes.models import Budget

TELEMETRY = "telemetry"  # in the place of a gateway
AMOUNTS = ("used", "reserved", "refused", "overdraft", "unconfirmed")
MOST = 5_000  # counters in one body
LONGEST_COUNTER = 500
CHUNK = 400
MILLISECONDS = 1e11  # a time that is more is in milliseconds
AHEAD = 600.0  # seconds that a gateway's clock may be before ours: a later one would silence what follows
SLOTS = {"hour": 300, "day": 1_800, "week": 10_800, "month": 21_600, "quarter": 86_400, "once": 86_400}
"""Seconds of a stretch of the picture, by window."""
Key = tuple[int, str, int]  # budget, counter, window_start


@dataclass(frozen=True)
class Telling:
    """One counter as a gateway tells it. `window_start`, `at` (by the gateway's own clock): seconds since 1970."""

    budget: int
    counter: str
    window_start: int
    at: float
    used: int = 0
    reserved: int = 0
    refused: int = 0
    overdraft: int = 0
    unconfirmed: int = 0
    unpriced: int = 0

    @property
    def key(self) -> Key:
        return self.budget, self.counter, self.window_start


@dataclass(frozen=True)
class Taken:
    """`older`: known as late already. `refused`: place in the body and what is wrong."""

    taken: int
    older: int
    refused: tuple[tuple[int, str], ...] = ()


def take(actor: Actor, gateway: str, counters: Sequence[object]) -> Taken:
    """What a gateway tells. Raises NotAllowed, Invalid for a body that is none; a bad counter is named."""
    actor.require(Role.INGEST, None)
    if not gateway.strip() or len(gateway) > LONGEST or gateway == TELEMETRY:
        raise Invalid(f"A gateway tells its id, at most {LONGEST} characters.")
    if len(counters) > MOST:
        raise Invalid(f"At most {MOST:,} counters at a time.", "Send them in several bodies.")
    named = {one.get("budget") for one in counters if isinstance(one, dict)}
    ids = {int(one) for one in named if isinstance(one, str) and one.isascii() and one.isdigit() and len(one) < 19}
    budgets = {str(row.pk): row for some in _chunks(sorted(ids)) for row in Budget.objects.filter(pk__in=some)}
    good: dict[Key, Telling] = {}
    bad: list[tuple[int, str]] = []
    shadows: list[shadow_use.Counted] = []
    latest = clock.now().timestamp() + AHEAD, clock.real() + AHEAD
    for place, one in enumerate(counters):
        read = _read(one, budgets, latest)
        if isinstance(read, str):
            bad.append((place, read))
        elif isinstance(read, shadow_use.Counted):
            shadows.append(read)
        elif read.key not in good or good[read.key].at < read.at:
            good[read.key] = read
    taken = store(gateway, list(good.values()), {row.pk: row for row in budgets.values()})
    taken += shadow_use.take(gateway, shadows)
    return Taken(taken, len(good) + len(shadows) - taken, tuple(bad))


def _read(
    one: object, budgets: Mapping[str, Budget], latest: tuple[float, float]
) -> Telling | shadow_use.Counted | str:
    """What it says, or what is wrong with it. `latest`: a window's beginning, and a gateway's clock."""
    if not isinstance(one, dict):
        return "a counter is an object"
    id_ = one["budget"] if isinstance(one.get("budget"), str) else ""
    budget, shadow = budgets.get(id_), shadow_named(id_) is not None
    if not shadow and (budget is None or budget.fed == TELEMETRY):
        return "there is no such budget"
    counter, at = one.get("counter"), one.get("at")
    if not isinstance(counter, str) or len(counter) > LONGEST_COUNTER or "\0" in counter:
        return f"counter is text of at most {LONGEST_COUNTER} characters"
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at < 2**53:
        return "at is in seconds or milliseconds since 1970"
    told = at / 1000 if at > MILLISECONDS else float(at)
    if told > max(latest):
        return "at lies in the future"
    amounts: dict[str, int] = {}
    for name in ("window_start", *AMOUNTS):
        value = one.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
            return f"{name} is a whole number, not negative"
        amounts[name] = value
    start = amounts.pop("window_start")
    if shadow and start <= latest[0]:
        return shadow_use.Counted(id_, start, told, *(amounts[one] for one in ("used", "reserved", "refused")))
    if budget is None or start > latest[0] or begin_of(budget, datetime.fromtimestamp(start, UTC)) != start:
        return f"no {budget.window} of {budget.zone} begins at window_start" if budget else "it lies in the future"
    return Telling(budget.pk, counter, start, told, **amounts)


def begin_of(budget: Budget, at: datetime) -> int:
    """Seconds since 1970 at which the window of this instant begins."""
    return int(window_of(budget.window, budget.zone, at).start.timestamp())


@transaction.atomic
def store(source: str, tellings: Sequence[Telling], budgets: Mapping[int, Budget]) -> int:
    """How many were news. Rows are made and altered in the order of their keys."""
    now = clock.now()
    ordered = sorted(tellings, key=lambda one: one.key)
    known = _rows(source, ordered)
    fresh = [one for one in ordered if one.key not in known]
    Count.objects.bulk_create(
        [
            Count(gateway=source, budget_id=b, counter=c, window_start=w, told_at=now)
            for b, c, w in (one.key for one in fresh)
        ],
        batch_size=CHUNK,
        ignore_conflicts=True,  # another process of the same gateway may have told of it just now
    )
    known |= _rows(source, fresh)
    news = []
    for one in ordered:
        row = known[one.key]
        values = {name: getattr(one, name) for name in (*AMOUNTS, "unpriced")}
        if all(getattr(row, name) == value for name, value in values.items()) and row.at:
            continue
        # of one instant the later telling: two changes may have the same
        rows = Count.objects.filter(pk=row.pk, at__lte=one.at)
        if row.at <= one.at and rows.update(at=one.at, told_at=now, **values):
            news.append(one)
    if before := formerly(source):
        Count.objects.filter(pk__in=[row.pk for row in _rows(before, ordered).values()]).delete()
    _mark([one.key for one in news], budgets)
    return len(news)


def _rows(source: str, tellings: Iterable[Telling]) -> dict[Key, Count]:
    wanted = {one.key for one in tellings}
    found: dict[Key, Count] = {}
    for some in _chunks(sorted({budget for budget, _, _ in wanted})):
        starts = {start for budget, _, start in wanted if budget in set(some)}
        for row in Count.objects.filter(
            gateway=source, budget__in=some, window_start__gte=min(starts), window_start__lte=max(starts)
        ):
            found[row.budget_id, row.counter, row.window_start] = row
    return {key: row for key, row in found.items() if key in wanted}


def _mark(keys: Sequence[Key], budgets: Mapping[int, Budget]) -> None:
    if not keys:
        return
    now, wanted = clock.now().timestamp(), set(keys)
    marks = []
    for (budget, counter, start), used in _used(keys).items():
        if (budget, counter, start) in wanted:
            size = SLOTS[budgets[budget].window]
            slot = int(now) // size * size
            marks.append(Mark(budget_id=budget, counter=counter, window_start=start, slot=slot, used=used))
    marks.sort(key=lambda one: (one.budget_id, one.counter, one.window_start))
    Mark.objects.bulk_create(
        marks,
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["budget", "window_start", "counter", "slot"],
        update_fields=["used"],
    )


def _used(keys: Sequence[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for some in _chunks(sorted({budget for budget, _, _ in keys})):
        starts = {start for budget, _, start in keys if budget in set(some)}
        rows = Count.objects.filter(budget__in=some, window_start__gte=min(starts), window_start__lte=max(starts))
        for row in rows.values("budget", "counter", "window_start").annotate(sum=Sum("used")):
            found[row["budget"], row["counter"], row["window_start"]] = row["sum"]
    return found


def _chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[at : at + CHUNK] for at in range(0, len(items), CHUNK))
