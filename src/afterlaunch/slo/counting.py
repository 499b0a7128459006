"""How many events each SLO had in each of its windows: a fixed number of questions for all of them together.

1. The windows of all SLOs are put as bounds on one line of minutes. The last six hours are asked in one piece, to the
minute; what is older in one piece between each two bounds, aligned to ten minutes, and remembered until it moves.
2. Calls are grouped by place, and each SLO takes the groups that it is about. 3. What no rollup counts comes from
tallies (`tallies`), verdicts from their history (`judged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

from afterlaunch.slo import periods, tallies
from afterlaunch.slo.burning import Counts
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import MINUTE
from afterlaunch.slo.events import Labelled, slices, with_probes
from afterlaunch.slo.judged import buckets as judged
from afterlaunch.slo.measures import AVAILABILITY, FRESHNESS, LATENCY, QUALITY, VERDICT, Measure
from afterlaunch.slo.models import Slo, SloVersion
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import Rollups, minute_of, step_of
from afterlaunch.telemetry.store import Store, current
from afterlaunch.telemetry.tables import MEASURES
from afterlaunch.telemetry.tiers import grain_of

FINE = 6 * 60
STEP = 10
DIMENSIONS = ("client", "system", "environment", "route", "model", "service")
PROBE_SERVICE = "afterlaunch-probes"
"""Calls of this service are synthetic: they are no events of users."""
QUIET = {minutes * MINUTE for minutes in (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360)}
"""Windows in which silence is looked for."""
OUTCOME_COLUMNS = {name: name for name in ("failed", "timeouts", "provider_faults", "refused", "truncated")}
TIMES = {"latency": profiles.LATENCY, "ttft": profiles.TTFT}
Group = tuple[str | None, ...]


@dataclass(frozen=True)
class Bucket:
    """Events that began in the minutes from `start` to the next bucket. `of`: those that could have a label."""

    start: int
    total: int = 0
    bad: int = 0
    final: int = 0
    final_bad: int = 0
    of: int = 0


@dataclass
class Seen:
    """What is known of one SLO now; `starts`: window in seconds -> the minute at which it begins. `probes`: buckets of
    its synthetic events."""

    definition: Definition
    end: int
    starts: Mapping[int, int]
    period_start: int
    first_data: int | None
    buckets: list[Bucket] = field(default_factory=list)
    probes: list[Bucket] = field(default_factory=list)

    def _since(self, start: int) -> list[Bucket]:
        return [one for one in self.buckets if one.start >= start]

    def read(self, window: int) -> Counts:
        """The counts of the window of so many seconds; one that is not known raises KeyError."""
        return self._counts(self.starts[window], window)

    def period(self) -> Counts:
        return self._counts(self.period_start, (self.end - self.period_start) * MINUTE)

    def _counts(self, start: int, seconds: int) -> Counts:
        before = self.first_data is not None and self.first_data <= start
        partial = not before and not any(one.total for one in self.buckets if one.start < start)
        found = self._since(start)
        definition = self.definition
        if definition.slice_length:
            each = [Counts.of(one.total, one.bad) for one in found]
            sliced = slices(each, max(1, seconds // definition.slice_length), definition.slice_target)
            return Counts(sliced.total, sliced.bad, partial)
        user = Counts.of(sum(one.total for one in found), sum(one.bad for one in found), partial)
        measure = definition.measure
        synthetic = [one for one in self.probes if one.start >= start]
        probe = Counts.of(sum(one.total for one in synthetic), sum(one.bad for one in synthetic), partial)
        return with_probes(user, probe, measure.probes, measure.probe_floor, measure.probe_weight)

    def labelled(self, window: int | None = None) -> Labelled | None:
        """Of quality alone; None window: the period."""
        if self.definition.measure.kind != QUALITY:
            return None
        found = self._since(self.period_start if window is None else self.starts[window])
        total, bad, final, final_bad, of = (
            sum(getattr(one, name) for one in found) for name in ("total", "bad", "final", "final_bad", "of")
        )
        return Labelled(of, final, final_bad, total - final, bad - final_bad, self.definition.measure.sampling)

    def silence(self) -> int:
        """The longest of the windows that hold no event at all, in seconds; 0: the shortest one holds one."""
        empty = [window for window, start in self.starts.items() if not any(one.total for one in self._since(start))]
        return max(empty, default=0)


def starts_of(definition: Definition, now: datetime, end: int) -> tuple[dict[int, int], int]:
    """(window -> its first minute, that of the period)."""
    starts = {window: _start(end, window) for window in definition.windows(now) | QUIET}
    begins, _ = periods.bounds(definition.period, now)
    first = minute_of(begins)
    return starts, first // STEP * STEP if end - first > FINE else first


def _start(end: int, window: int) -> int:
    minutes = window // MINUTE
    return end - minutes if minutes <= FINE else (end - minutes) // STEP * STEP


def count(
    versions: Sequence[SloVersion], now: datetime, first_seen: Mapping[tuple[str, str, str], int]
) -> dict[int, Seen]:
    """By version. `first_seen`: (client, system, environment) -> the minute of its first telemetry."""
    end = minute_of(now) + 1
    out: dict[int, Seen] = {}
    for version in versions:
        definition, slo = version.definition, version.slo
        starts, period = starts_of(definition, now, end)
        place = (slo.client.slug, definition.measure.system, definition.measure.environment)
        out[version.pk] = Seen(definition, end, starts, period, first_seen.get(place))
    calls = [one for one in versions if one.definition.measure.kind in (AVAILABILITY, LATENCY, QUALITY)]
    _count_calls([one for one in calls if not one.definition.sliced], out, end)
    _count_slices([one for one in calls if one.definition.sliced], out, end)
    told = [one for one in versions if one.definition.measure.kind in (QUALITY, FRESHNESS)]
    for pk, buckets in tallies.buckets(told, now, {pk: sorted(_bounds([seen])) for pk, seen in out.items()}).items():
        of = {one.start: one.of for one in out[pk].buckets}
        out[pk].buckets = _with_calls([Bucket(*one) for one in buckets], of)
    for version in versions:
        if version.definition.measure.kind == VERDICT:
            out[version.pk].buckets = [Bucket(*one) for one in judged(version, out[version.pk].period_start, end)]
    return out


def _with_calls(told: list[Bucket], of: Mapping[int, int]) -> list[Bucket]:
    """Labelled answers beside the calls that could have had a label: two lists of buckets in one."""
    return sorted([*told, *(Bucket(start, of=many) for start, many in of.items())], key=lambda one: one.start)


def _bounds(seen: Iterable[Seen]) -> set[int]:
    return {minute for one in seen for minute in (*one.starts.values(), one.period_start)}


# -- calls, from the rollups -------------------------------------------------------------------------------------

Sums = Mapping[str, int]
Spread = Mapping[int, list[tuple[int, int]]]
Rows = dict[Group, tuple[Sums, Spread]]
_older: WeakKeyDictionary[Store, dict[tuple[int, int, bool], Rows]] = WeakKeyDictionary()


def _count_calls(versions: Sequence[SloVersion], out: Mapping[int, Seen], end: int) -> None:
    if not versions:
        return
    latencies = any(one.definition.measure.kind == LATENCY for one in versions)
    bounds = _bounds(out[one.pk] for one in versions)
    for start, rows in segments(bounds, end, latencies):
        by_place: dict[Group, list[tuple[Group, Sums, Spread]]] = {}
        for key, (sums, spread) in rows.items():
            by_place.setdefault(key[:3], []).append((key, sums, spread))
        for version in versions:
            measure, seen = version.definition.measure, out[version.pk]
            if start < seen.period_start:
                continue
            place = (version.slo.client.slug, measure.system, measure.environment)
            user, probe = fold(by_place.get(place, ()), measure)
            if measure.kind == QUALITY:
                seen.buckets.append(Bucket(start, of=user[0]))
            else:
                seen.buckets.append(Bucket(start, *user))
                seen.probes.append(Bucket(start, *probe))


def fold(groups: Iterable[tuple[Group, Sums, Spread]], measure: Measure) -> tuple[tuple[int, int], tuple[int, int]]:
    """((total, bad) of users, (total, bad) of probes) over the groups that the measure is about."""
    totals = [[0, 0], [0, 0]]
    for key, sums, spread in groups:
        if (measure.route and key[3] != measure.route) or (measure.model and key[4] != measure.model):
            continue
        total, bad = outcome(measure, sums, spread)
        side = totals[key[5] == PROBE_SERVICE]
        side[0] += total
        side[1] += bad
    return (totals[0][0], totals[0][1]), (totals[1][0], totals[1][1])


def outcome(measure: Measure, sums: Sums, spread: Spread) -> tuple[int, int]:
    """(total, bad). What a user cancelled is no event of availability."""
    if measure.kind == LATENCY:
        steps = spread.get(TIMES[measure.time], [])
        line = profiles.bucket(int((measure.value or 0) * 1000))
        return sum(calls for _, calls in steps), sum(calls for step, calls in steps if step > line)
    calls = sums.get("calls", 0)
    if measure.kind == QUALITY:
        return calls, 0
    cancelled = sums.get("cancelled", 0)
    bad = sums.get(OUTCOME_COLUMNS[measure.outcome], 0)
    return calls - cancelled, bad - cancelled if measure.outcome == "failed" else bad


def judged_at_ms(measure: Measure) -> float:
    """The line that latencies are held against: the upper end of the bucket that holds the declared one."""
    return profiles.upper(profiles.bucket(int((measure.value or 0) * 1000))) / 1000


def segments(bounds: set[int], end: int, latencies: bool) -> list[tuple[int, Rows]]:
    """(first minute, what was told until the next bound), oldest first."""
    middle = _start(end, FINE * MINUTE)
    seam = middle // STEP * STEP
    older = sorted({bound for bound in bounds if bound < seam} | {seam})
    fine = sorted({seam, *(bound for bound in bounds if seam <= bound < end)})
    out = [(first, _remembered(first, last, latencies)) for first, last in pairwise(older)]
    return [*out, *_between([*fine, end], latencies)]


def _remembered(first: int, last: int, latencies: bool) -> Rows:
    known = _older.setdefault(current(), {})
    key = (first, last, latencies)
    if key not in known:
        if len(known) > 200:
            known.clear()
        known[key] = dict(_between([first, last], latencies)).get(first, {})
    return known[key]


def _between(begins: Sequence[int], latencies: bool) -> list[tuple[int, Rows]]:
    """Two questions for any number of pieces; one, if no latency is asked for."""
    single = len(begins) == 2
    rollups = Rollups(begins[0], begins[-1], None, {}, grain_of(() if single else begins), mirrored=False)
    step = "" if single else step_of(begins)
    found: dict[int, Rows] = {number: {} for number in range(len(begins) - 1)}
    for row in rollups.sums(DIMENSIONS, step):
        key = tuple(row[name] for name in DIMENSIONS)
        found[row["step"] if step else 0][key] = ({name: row[name] for name in MEASURES}, {})
    if latencies:
        measures = tuple(TIMES.values())
        for place, spread in rollups.profile(DIMENSIONS, measures, step).items():
            rows, key = (found[place[0]], place[1:]) if step else (found[0], place)
            rows[key] = (rows.get(key, ({}, {}))[0], spread)
    return [(begins[number], rows) for number, rows in found.items()]


# -- slices of time ----------------------------------------------------------------------------------------------


def _count_slices(versions: Sequence[SloVersion], out: Mapping[int, Seen], end: int) -> None:
    """One question for each length of slice, over the longest period that has it."""
    by_length: dict[int, list[SloVersion]] = {}
    for version in versions:
        by_length.setdefault((version.definition.slice_seconds or MINUTE) // MINUTE, []).append(version)
    for minutes, some in by_length.items():
        first = min(out[one.pk].period_start for one in some) // minutes * minutes
        latencies = any(one.definition.measure.kind == LATENCY for one in some)
        for start, rows in _sliced(first, end, minutes, latencies):
            for version in some:
                measure, seen = version.definition.measure, out[version.pk]
                if start < seen.period_start:
                    continue
                place = (version.slo.client.slug, measure.system, measure.environment)
                groups = [(key, *values) for key, values in rows.items() if key[:3] == place]
                user, _ = fold(groups, measure)
                if user[0]:
                    seen.buckets.append(Bucket(start, *user))


_slices: WeakKeyDictionary[Store, dict[tuple[int, int, int, bool], list[tuple[int, Rows]]]] = WeakKeyDictionary()


def _sliced(first: int, end: int, minutes: int, latencies: bool) -> list[tuple[int, Rows]]:
    seam = max(first, (end - FINE) // (STEP * minutes) * STEP * minutes)
    known = _slices.setdefault(current(), {})
    key = (first, seam, minutes, latencies)
    if key not in known:
        known.clear()
        known[key] = _pieces(first, seam, minutes, latencies)
    return [*known[key], *_pieces(seam, end, minutes, latencies)]


def _pieces(first: int, last: int, minutes: int, latencies: bool) -> list[tuple[int, Rows]]:
    if first >= last:
        return []
    begins = [*range(first, last, minutes), last]
    return [(start, rows) for start, rows in _between(begins, latencies) if rows]


def slo_place(slo: Slo, measure: Measure) -> dict[str, Any]:
    """The values of dimensions that questions of one SLO are narrowed to."""
    wanted: dict[str, Any] = {"system": measure.system, "environment": measure.environment}
    wanted |= {"route": measure.route} if measure.route else {}
    return wanted | ({"model": measure.model} if measure.model else {})
