"""Questions to the rollups. `clients` None means all; otherwise only theirs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any

from afterlaunch.contracts.labels import PROBE_AGENT, SHADOW_ARM
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS
from afterlaunch.telemetry.quantiles import Quantiles, of_histogram
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tables import MEASURES, MINUTE_NS
from afterlaunch.telemetry.tiers import ANY, DAY, Stretch, apart, grain_of
from afterlaunch.telemetry.windows import Window

Clients = frozenset[str] | None
CALL_KINDS = ("inference", "embedding", "rerank")
TOLD = "sum(calls) > 0 or sum(in_uncached) > 0 or sum(out_visible) > 0"  # tokens may be known before their call is
NOT_MIRRORED = f"(arm is null or arm <> '{SHADOW_ARM}')"
OF_USERS = f"((agent is null or agent <> '{PROBE_AGENT}') and {NOT_MIRRORED})"
PROFILED = (profiles.LATENCY, profiles.TTFT)
_beside = ThreadPoolExecutor(4, thread_name_prefix="telemetry-ask")


def minute_of(instant: datetime) -> int:
    """Whole minutes since 1970."""
    return clock.to_ns(instant) // MINUTE_NS


def _check(names: Sequence[str]) -> None:
    for name in names:
        if name not in DIMENSIONS:
            raise Invalid(f"{name!r} is no dimension.", "Dimensions: " + ", ".join(DIMENSIONS))


def narrowed(clients: Clients, equals: Mapping[str, str | None]) -> tuple[str, list[Any]]:
    """SQL and parameters that narrow to the clients and to the given values."""
    _check(list(equals))
    parts: list[str] = ["true"]
    parameters: list[Any] = []
    if clients is not None:
        parts.append("client in (select unnest(?))")
        parameters.append(sorted(clients))
    for name, value in equals.items():
        if value is None:
            parts.append(f'"{name}" is null')
        else:
            parts.append(f'"{name}" = ?')
            parameters.append(value)
    return " and ".join(parts), parameters


class Rollups:
    """What the rollups hold of the whole minutes [first, last), for some clients and values. `operations`: of spans
    that are no model calls as well. `grain`: a number of minutes that divides every bound the question cares for; 0
    where it cares for none, and asks for no steps. `users`: without golden prompts and without what was mirrored;
    `mirrored`: False: without the latter alone. `among`: dimensions with the values that count.
    `bounds`: minutes, first and last among them, between which alone sums are told apart, whatever their grain."""

    def __init__(
        self,
        first: int,
        last: int,
        clients: Clients,
        equals: Mapping[str, str | None],
        grain: int,
        operations: bool = False,
        users: bool = False,
        mirrored: bool = True,
        among: Mapping[str, Sequence[str | None]] | None = None,
        bounds: Sequence[int] = (),
    ) -> None:
        where, self.wanted = narrowed(clients, equals)
        for name, values in (among or {}).items():
            _check([name])
            untold = f' or "{name}" is null' if None in values else ""
            where += f' and ("{name}" in (select unnest(?)){untold})'
            self.wanted.append([value for value in values if value is not None])
        where += f" and {OF_USERS}" if users else "" if mirrored else f" and {NOT_MIRRORED}"
        kinds = "true" if operations else f"op_kind in {CALL_KINDS}"
        self._chosen = f"(select * from series where {kinds} and {where})"
        self._stretches = _planned(first, last, grain, bounds)

    @property
    def any(self) -> bool:
        """Whether there is a minute to ask for."""
        return bool(self._stretches)

    def grouped(self, summed: Collection[str], keys: Sequence[str], having: str) -> str:
        """SQL from `from` on, with the parameters `wanted`: rows of `minute` and of these sums, with every dimension,
        grouped by keys."""
        names = [name for name in MEASURES if name in summed]
        return f"from {self._joined(self._rows('sums', names))}{_grouped(keys)} having {having}"

    def _joined(self, rows: str) -> str:
        return f"({rows}) as told join {self._chosen} as chosen on chosen.id = told.series"

    def _rows(self, table: str, summed: Sequence[str], keys: str = "", also: str = "") -> str:
        plain, less = ", ".join(summed), ", ".join(f"-{name} as {name}" for name in summed)
        return " union all ".join(
            f"select minute, series, {keys}{plain if one.sign > 0 else less} from {table}_{one.tier}"
            f" where minute >= {one.first} and minute < {one.last}{also}"
            for one in self._stretches
        )

    def sums(self, group_by: Sequence[str], step: str = "") -> list[dict[str, Any]]:
        """Sums of all measures by dimensions and, if given, by a step: SQL over `minute`."""
        if not self._stretches:
            return []
        keys = [*([f"{step} as step"] if step else []), *(f'"{name}"' for name in group_by)]
        groups = [*(["step"] if step else []), *keys[1 if step else 0 :]]
        return current().query(
            f"select {''.join(key + ', ' for key in keys)}{_SUMMED},"
            " coalesce(sum(calls) filter (where model is null), 0)::bigint as calls_unknown_model"
            f" {self.grouped(MEASURES, groups, TOLD)}",
            self.wanted,
        )

    def both(
        self, group_by: Sequence[str], measures: Sequence[int] = PROFILED, step: str = ""
    ) -> tuple[list[dict[str, Any]], dict[tuple[Any, ...], dict[int, list[tuple[int, int]]]]]:
        """(`sums`, `profile`), asked at the same time: a third of each is the planning, which uses one core."""
        spread = _beside.submit(self.profile, group_by, measures, step)
        try:
            return self.sums(group_by, step), spread.result()
        finally:
            wait([spread])  # a store that is closed next is not asked any more

    def profile(
        self, group_by: Sequence[str], measures: Sequence[int] = PROFILED, step: str = ""
    ) -> dict[tuple[Any, ...], dict[int, list[tuple[int, int]]]]:
        """Group -> measure -> (bucket, calls) in order."""
        if not self._stretches:
            return {}
        wanted = ", ".join(str(int(one)) for one in measures)
        keys = [*([f"{step} as step"] if step else []), *(f'"{name}"' for name in group_by), "measure", "bucket"]
        groups = [*(["step"] if step else []), *keys[1 if step else 0 :]]
        rows = self._rows("profile", ("calls",), "measure, bucket, ", f" and measure in ({wanted})")
        found = current().query(
            f"select {', '.join(keys)}, sum(calls)::bigint as calls"
            f" from {self._joined(rows)}{_grouped(groups)} having sum(calls) > 0 order by bucket",
            self.wanted,
        )
        out: dict[tuple[Any, ...], dict[int, list[tuple[int, int]]]] = {}
        names = [*(["step"] if step else []), *group_by]
        for row in found:
            measured = out.setdefault(tuple(row[name] for name in names), {})
            measured.setdefault(row["measure"], []).append((row["bucket"], row["calls"]))
        return out


def _planned(first: int, last: int, grain: int, bounds: Sequence[int]) -> list[Stretch]:
    engine = current().engine
    if bounds and grain % DAY:
        pieces = [engine.stretches(since, until, DAY) for since, until in pairwise(bounds)]
        found = apart(pieces)
        if found is None and not engine.whole_since(first):
            found = apart(pieces, ANY)
        if found is not None:
            return found
    return engine.stretches(first, last, grain)


_SUMMED = ", ".join(f"sum({name})::bigint as {name}" for name in MEASURES)


def _grouped(keys: Sequence[str]) -> str:
    return f" group by {', '.join(keys)}" if keys else ""


def windows(
    start: datetime, end: datetime, group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """Sums over the whole minutes of [start, end), one row per combination; two statements."""
    return _windows(start, end, group_by, clients, equals, operations=False)


def judged(
    start: datetime, end: datetime, group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """The same of what users got, without golden prompts, and with the costliest call of each combination."""
    return _windows(start, end, group_by, clients, equals, False, (*PROFILED, profiles.COST), users=True)


def answered(
    start: datetime, end: datetime, group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """The same as `windows` without copies that a shadow answered for nobody."""
    return _windows(start, end, group_by, clients, equals, operations=False, mirrored=False)


def operations(
    start: datetime, end: datetime, group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """The same with tools, retrievals and agents' runs, which have no tokens and no cost."""
    return _windows(start, end, group_by, clients, equals, operations=True)


def _windows(
    start: datetime,
    end: datetime,
    group_by: Sequence[str],
    clients: Clients,
    equals: Mapping[str, str | None],
    operations: bool,
    measures: Sequence[int] = PROFILED,
    users: bool = False,
    mirrored: bool = True,
) -> list[Window]:
    _check(group_by)
    rollups = Rollups(minute_of(start), minute_of(end), clients, equals, grain_of(()), operations, users, mirrored)
    found, spread = rollups.both(group_by, measures)
    return [_window(row, start, end, group_by, spread.get(tuple(row[n] for n in group_by), {})) for row in found]


_SAME = (
    "calls",
    "failed",
    "timeouts",
    "provider_faults",
    "refused",
    "truncated",
    "cache_known_calls",
    "cache_known_input",
    "cost_nano",
    "calls_unknown_cost",
    "calls_unknown_model",
    "calls_estimated",
    "tokens_estimated",
    "cost_estimated_nano",
    "calls_sampled",
    "calls_unsent_milli",
    "input_unsent",
    "output_unsent",
    "cost_unsent_nano",
)
Spread = Mapping[int, list[tuple[int, int]]]


def quantiles(spread: Spread, measure: int) -> Quantiles | None:
    """In milliseconds, for a measure that is kept in microseconds."""
    steps = spread.get(measure)
    if not steps:
        return None
    return of_histogram([profiles.middle(step) / 1000 for step, _ in steps], [calls for _, calls in steps])


def _window(row: dict[str, Any], start: datetime, end: datetime, group_by: Sequence[str], spread: Spread) -> Window:
    latency, ttft = quantiles(spread, profiles.LATENCY), quantiles(spread, profiles.TTFT)
    costs = spread.get(profiles.COST, [])
    buckets = {name: row[name] for name in BUCKETS}
    return Window(
        start=start,
        end=end,
        key={name: row[name] for name in group_by},
        **{name: row[name] for name in _SAME},
        input_tokens=sum(buckets[name] for name in BUCKETS[:6]),
        output_tokens=sum(buckets[name] for name in BUCKETS[6:]),
        cache_read=buckets["in_cache_read"],
        top_cost_nano=min(profiles.upper(costs[-1][0]), row["cost_nano"]) if costs else 0,
        top_cost_calls=1 if costs else 0,
        total_ms=sum(profiles.middle(step) * calls for step, calls in spread.get(profiles.LATENCY, [])) / 1000,
        p50_ms=latency.p50 if latency else None,
        p95_ms=latency.p95 if latency else None,
        p99_ms=latency.p99 if latency else None,
        p95_low_ms=latency.p95_low if latency else None,
        p99_low_ms=latency.p99_low if latency else None,
        ttft_p50_ms=ttft.p50 if ttft else None,
        ttft_p95_ms=ttft.p95 if ttft else None,
        ttft_calls=sum(calls for _, calls in spread.get(profiles.TTFT, [])),
        buckets=buckets,
    )


def series(
    start: datetime, end: datetime, step_minutes: int, clients: Clients = None, **equals: str | None
) -> list[Window]:
    """One window per step of [start, end), empty ones included, in order; without copies that a shadow answered."""
    first, last = minute_of(start), minute_of(end)
    rollups = Rollups(first, last, clients, equals, grain_of((first, step_minutes)), mirrored=False)
    step = f"((minute - {first}) // {int(step_minutes)})"
    found, spread = rollups.both([], step=step)
    rows = {row["step"]: row for row in found}
    out = []
    for number in range(max(0, -(-(last - first) // step_minutes))):
        begins = clock.from_ns((first + number * step_minutes) * MINUTE_NS)
        ends = clock.from_ns(min(first + (number + 1) * step_minutes, last) * MINUTE_NS)
        row = rows.get(number)
        out.append(_window(row, begins, ends, [], spread.get((number,), {})) if row else Window(begins, ends, {}))
    return out


def stretches(
    bounds: Sequence[datetime], group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """Sums between each two consecutive `bounds`, one row per stretch and combination that holds a call; without
    latencies. One statement for any number of stretches, which may be of different lengths (days of a zone)."""
    return _stretches(bounds, group_by, clients, equals, users=False)


def answered_stretches(
    bounds: Sequence[datetime], group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """The same without copies that a shadow answered for nobody."""
    return _stretches(bounds, group_by, clients, equals, users=False, mirrored=False)


def judged_stretches(
    bounds: Sequence[datetime], group_by: Sequence[str], clients: Clients = None, **equals: str | None
) -> list[Window]:
    """The same of what users got, without golden prompts."""
    return _stretches(bounds, group_by, clients, equals, users=True)


def _stretches(
    bounds: Sequence[datetime],
    group_by: Sequence[str],
    clients: Clients,
    equals: Mapping[str, str | None],
    users: bool,
    mirrored: bool = True,
) -> list[Window]:
    _check(group_by)
    begins = [minute_of(bound) for bound in bounds]
    grain = grain_of(begins)
    rollups = Rollups(begins[0], begins[-1], clients, equals, grain, users=users, mirrored=mirrored, bounds=begins)
    rows = rollups.sums(group_by, step_of(begins))
    rows.sort(key=lambda row: (row["step"], *((row[name] is None, row[name] or "") for name in group_by)))
    return [_window(row, bounds[row["step"]], bounds[row["step"] + 1], group_by, {}) for row in rows]


def step_of(begins: Sequence[int]) -> str:
    """SQL: the number of the stretch that holds `minute`. Stretches of one length are counted, not compared."""
    lengths = [later - earlier for earlier, later in pairwise(begins)]
    runs = [(length, len(list(same))) for length, same in groupby(lengths)]
    parts, number, minute = [], 0, begins[0]
    for length, count in runs:
        until = minute + length * count
        if length > 0:
            parts.append(f"when minute < {until} then {number} + (minute - {minute}) // {length}")
        number, minute = number + count, until
    return f"(case {' '.join(parts)} end)"
