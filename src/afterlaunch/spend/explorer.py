"""The spend explorer: tokens and cost of a time by any one or two dimensions, beside the time before it, and why it
differs. The same for the page, the API and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import start_of_date
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.spend import comparing
from afterlaunch.spend.drivers import FACTORS, Drivers
from afterlaunch.telemetry import attribution
from afterlaunch.telemetry.attribution import PURPOSE, Breakdown, Share
from afterlaunch.telemetry.called import PEOPLE
from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS
from afterlaunch.telemetry.queries import minute_of, stretches
from afterlaunch.telemetry.ranked import Ranked, Row, layers, ranked
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, MANY, SHARE, TEXT, USD, Column, Grid
from afterlaunch.telemetry.views.sheets import step_minutes, to_calls
from afterlaunch.telemetry.windows import Window

BY = (
    *("model", "agent", "route", "tenant", "version", "system", "environment", "provider", "client", "arm"),
    *("service", PURPOSE, *PEOPLE),
)
MEASURES = {"cost": "USD", "tokens": "tokens", "calls": "calls"}
MANY_DAYS = timedelta(days=120)
LAYERS, MOST = 7, 1_000
OTHER = "others"
UNTOLD = "not told"
UNKNOWN, ESTIMATED, EXTRAPOLATED = "calls_with_unknown_cost", "cost_estimated_usd", "cost_extrapolated_usd"
COLUMNS = (
    Column("share", SHARE, "Share", "of the known cost"),
    Column("cost_usd", USD, "Cost"),
    Column("cost_before_usd", USD, "Before", "in the same length of time before"),
    Column("calls", COUNT, "Calls"),
    Column("cost_per_call_usd", USD, "Per call", "mean of the calls whose cost is known"),
    Column("input_tokens", MANY, "In", "tokens of the input"),
    Column("output_tokens", MANY, "Out", "tokens of the output"),
    Column("prompt_cache_share", SHARE, "Cached", "of the input tokens, read from the prompt cache"),
    Column(UNKNOWN, COUNT, "Unknown", "calls of unknown cost, not in the sum"),
    Column(ESTIMATED, USD, "Estimated", "part of the cost, of calls whose tokens nobody told"),
    Column(EXTRAPOLATED, USD, "Stands for", "with what samplers left out, which is in no other figure"),
    Column("calls_extrapolated", COUNT, "Calls stand for", shown=False),
    Column("calls_sampled", COUNT, "Calls of samples", shown=False),
    Column("calls_estimated", COUNT, "Calls estimated", shown=False),
    Column("tokens_estimated", COUNT, "Tokens estimated", shown=False),
    *(Column(name, COUNT, name, shown=False) for name in BUCKETS),
)
DRIVER_COLUMNS = (
    *(Column(name, TEXT, name.capitalize()) for name in comparing.GROUPED),
    Column("before_usd", USD, "Before"),
    Column("now_usd", USD, "Now"),
    Column("difference_usd", USD, "Difference"),
    *(Column(f"{name}_usd", USD, name) for name in FACTORS),
)


def chosen(ask: Asked) -> list[str]:
    """The one or two dimensions that `group_by` names. Raises Invalid."""
    names = [name.strip() for name in ask.kept.get("group_by", "model").split(",") if name.strip()]
    for name in names:
        if name not in BY:
            raise Invalid(f"{name!r} is no dimension of spend.", "Dimensions: " + ", ".join(BY))
    if not names or len(names) > 2 or len(set(names)) < len(names):
        raise Invalid("Spend is grouped by one dimension, or by two different ones.", "For example agent,model")
    if len(names) == 2 and any(name not in DIMENSIONS for name in names):
        raise Invalid(
            "Users, sessions, transactions and purposes are shown alone.", "Group by one of them, or by two others."
        )
    return names


@dataclass(frozen=True)
class Explorer:
    """One question; what it costs to answer is paid where it is looked at. `most`: so many rows are asked for."""

    ask: Asked
    names: Sequence[str]
    most: int | None = None

    @cached_property
    def _equals(self) -> Mapping[str, str | None]:
        return self.ask.search.equals()

    @property
    def before(self) -> datetime:
        return self.ask.start - (self.ask.end - self.ask.start)

    @cached_property
    def found(self) -> Ranked:
        """Dearest first; what only the time before had is a row without calls. Totals are of all rows."""
        if self.names[0] in (*DIMENSIONS, *PEOPLE):
            return ranked(
                self.ask.start, self.ask.end, self.names, self.ask.clients, self._equals,
                most=self.most, before=self.before,
            )  # fmt: skip
        now, past = self._of(self.ask.start, self.ask.end), self._of(self.before, self.ask.start)
        was = {_value_of(one): one for one in past.rows}
        told = {_value_of(one) for one in now.rows}
        rows = [Row((_value_of(one),), one, was.get(_value_of(one))) for one in now.rows]
        rows += [Row((key,), Share(None), one) for key, one in was.items() if key not in told and one.cost_nano]
        return Ranked(rows[: self.most], len(rows), now.total, past.total)

    def _of(self, start: datetime, end: datetime) -> Breakdown:
        return attribution.breakdown(start, end, self.names[0], self.ask.clients, MOST, **self._equals)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        whole = self.found.total.cost_nano
        return [self._row(one.key, one.now, one.was, whole) for one in self.found.rows]

    def _row(self, key: Any, now: Share, was: Share | None, whole: int) -> dict[str, Any]:
        known = now.calls - now.calls_unknown_cost
        inputs = now.input_tokens
        told = known > 0 or now.cost_nano > 0 or not now.calls
        return {
            **dict(zip(self.names, key, strict=True)),
            "share": now.cost_nano / whole if whole and told else None,
            "cost_usd": now.cost_nano if told else None,
            "cost_before_usd": _known(was),
            "calls": now.calls,
            "cost_per_call_usd": now.cost_nano // known if known > 0 else None,
            "input_tokens": inputs,
            "output_tokens": now.output_tokens,
            "prompt_cache_share": now.buckets["in_cache_read"] / inputs if inputs else None,
            "calls_with_unknown_cost": now.calls_unknown_cost,
            ESTIMATED: now.cost_estimated_nano,
            EXTRAPOLATED: now.cost_extrapolated_nano if told else None,
            "calls_extrapolated": now.calls_extrapolated,
            "calls_sampled": now.calls_sampled,
            "calls_estimated": now.calls_estimated,
            "tokens_estimated": now.tokens_estimated,
            **now.buckets,
        }

    @property
    def grid(self) -> Grid:
        columns = [Column(name, TEXT, name.capitalize()) for name in self.names]
        links = to_calls(self.ask, self.names) if self.names[0] in (*DIMENSIONS, *PEOPLE) else {}
        whole = self.found.total
        asked = {
            UNKNOWN: whole.calls_unknown_cost,
            ESTIMATED: whole.cost_estimated_nano,
            EXTRAPOLATED: whole.calls_sampled,
        }
        empty = {name for name, told in asked.items() if not told}
        figures = [replace(one, shown=False) if one.name in empty else one for one in COLUMNS]
        return Grid([*columns, *figures], self.rows, links)

    @cached_property
    def drivers(self) -> Drivers:
        return comparing.drivers(self.ask.start, self.ask.end, self.ask.clients, self._equals)

    @property
    def drivers_grid(self) -> Grid:
        names = comparing.told_apart(self._equals)
        rows = [
            {
                **{name: self._equals[name] for name in comparing.GROUPED if name not in names},
                **dict(zip(names, one.key, strict=True)),
                "before_usd": one.before_nano,
                "now_usd": one.now_nano,
                "difference_usd": one.difference,
                **{f"{name}_usd": part for name, part in one.parts.items()},
            }
            for one in self.drivers.groups
        ]
        return Grid(DRIVER_COLUMNS, rows)

    def over_time(self, zone: ZoneInfo, measure: str) -> list[tuple[datetime, dict[str, float | None]]]:
        """Of each step the known cost in USD (or tokens, or calls) by the first dimension; those after the dearest
        seven are one. What has no rollup of its own (users, sessions, transactions, purposes) is not told apart."""
        bounds, scale = self._bounds(zone), 1e9 if measure == "cost" else 1.0
        name = self.names[0]
        if name not in DIMENSIONS:
            rows = stretches(bounds, [], self.ask.clients, **self._equals)
            sums = {row.start: _amount(row, measure) / scale for row in rows}
            return [(at, {measure: sums.get(at, 0.0)}) for at in bounds[:-1]]
        found = layers(bounds, name, measure, LAYERS, self.ask.clients, self._equals)
        labels = [value or UNTOLD for value in found.values]
        points: list[tuple[datetime, dict[str, float | None]]] = []
        for number, at in enumerate(bounds[:-1]):
            told = dict(zip(labels, (amount / scale for amount in found.steps[number]), strict=True))
            points.append((at, {**told, **({OTHER: found.rest[number] / scale} if found.rest else {})}))
        return points

    def _bounds(self, zone: ZoneInfo) -> list[datetime]:
        """Days on the reader's wall clock where the time is long, weeks (from Monday) where it is longer than bars of
        days can be told apart, else whole steps of minutes: what is added up by the hour answers for them."""
        start, end = self.ask.start, self.ask.end
        if end - start >= MANY_DAYS:
            first = start.astimezone(zone).date()
            return self._dates(zone, first + timedelta(days=7 - first.weekday()), 7)
        if end - start >= timedelta(days=10):
            return self._dates(zone, start.astimezone(zone).date() + timedelta(days=1), 1)
        step = step_minutes(start, end)
        numbers = range(minute_of(start) // step + 1, -(-minute_of(end) // step))
        return [start, *(clock.from_ns(number * step * MINUTE_NS) for number in numbers), end]

    def _dates(self, zone: ZoneInfo, first: date, days: int) -> list[datetime]:
        """The beginnings of every so many dates within the time, from `first` on, and its own bounds."""
        out, day = [self.ask.start], first
        while (begin := start_of_date(day, zone)) < self.ask.end:
            out.append(begin)
            day += timedelta(days=days)
        return [*out, self.ask.end]


def _known(was: Share | None) -> int | None:
    if was is None:
        return 0
    return was.cost_nano if was.calls > was.calls_unknown_cost or was.cost_nano else None


def _value_of(one: Share) -> str | None:
    return OTHER if one.other else one.value


def _amount(row: Window, measure: str) -> int:
    if measure == "calls":
        return row.calls
    return row.cost_nano if measure == "cost" else sum(row.buckets.values())
