"""What an incident's telemetry and records tell about its causes, as one document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.diagnosis import changed
from afterlaunch.diagnosis.causes import Cause, Changed, Dimension, Part, explain, rank
from afterlaunch.diagnosis.components import Step, compare, totals
from afterlaunch.diagnosis.measures import LEAST_CALLS, Measure, Worse, worst
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Unavailable
from afterlaunch.incidents.models import Incident
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.windows import Window

BEFORE, LONGEST, LATE = timedelta(hours=6), timedelta(hours=6), timedelta(minutes=10)
EARLY = timedelta(hours=2)  # before an alert fires, its trouble may have lasted so long
STEP = timedelta(minutes=1)
DIMENSIONS = ("arm", "version", "model", "provider", "route", "agent", "tenant", "service")
SAMPLE = 20_000  # spans of traces on either side
_SPAN = "trace_id, span_id, parent_span_id, name, op_kind, duration_ns, failed, tool, data_source, agent, workflow"
Place = Mapping[str, str | None]


@dataclass(frozen=True)
class Found:
    """`onset`: the first minute of the worse time, else when the incident occurred."""

    reason: str
    explanation: str
    onset: datetime
    start: datetime
    end: datetime
    worse: Worse | None = None
    dimensions: tuple[Dimension, ...] = ()
    steps: tuple[Step, ...] = ()
    changes: tuple[Changed, ...] = ()
    causes: tuple[Cause, ...] = ()


def diagnose(incident: Incident) -> Found:
    """The caller has checked that the actor may see the incident."""
    began = incident.occurred_at or incident.detected_at
    start, end = _span_of(incident, began)
    try:
        return _asked(incident, began, start, end)
    except Unavailable as problem:  # the incident's page must open all the same, and says so
        return Found("telemetry_unavailable", f"Not assessed: {problem}", began, start, end)


def _span_of(incident: Incident, began: datetime) -> tuple[datetime, datetime]:
    ends = incident.contained_at or incident.resolved_at or clock.now()
    end = min(max(ends, began) + STEP, began + LONGEST)
    return _minute(began - BEFORE), _minute(end) + STEP


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _asked(incident: Incident, began: datetime, start: datetime, end: datetime) -> Found:
    clients = frozenset({incident.system.client.slug})
    place: dict[str, str | None] = {"system": incident.system.key}
    if incident.environment:
        place["environment"] = incident.environment
    series = queries.series(start, end, 1, clients, **place)
    first = max(int((_minute(began) - EARLY - start) / STEP), 1)
    last = int((_minute(began) + LATE - start) / STEP)
    worse = worst(series, first, last)
    if worse is None:
        return _nothing_worse(incident, began, start, end, sum(row.calls for row in series))
    onset = series[worse.place].start
    dimensions = _dimensions(worse.measure, (start, onset, end), clients, place)
    before, after = _sample(incident, start, onset, "desc"), _sample(incident, onset, end, "asc")
    steps = tuple(compare(totals(before), totals(after), worse.measure.name))
    changes = tuple(changed.before(incident, onset, clock.now()))
    causes = tuple(rank(onset.timestamp(), STEP.total_seconds(), changes, dimensions))
    return Found("ranked", said_of(worse), onset, start, end, worse, dimensions, steps, changes, causes)


def _nothing_worse(incident: Incident, began: datetime, start: datetime, end: datetime, calls: int) -> Found:
    """Changes are ranked by their instants alone."""
    changes = tuple(changed.before(incident, began, clock.now()))
    causes = tuple(rank(began.timestamp(), STEP.total_seconds(), changes, []))
    if calls < 2 * LEAST_CALLS:
        reason, said = "too_few_calls", f"Only {calls} calls around it: too few to tell what became worse."
    else:
        reason, said = "nothing_worse", f"No measure of the {calls} calls around it became worse beyond chance."
    return Found(reason, said, began, start, end, changes=changes, causes=causes)


def said_of(worse: Worse) -> str:
    measure = worse.measure
    if measure.unit == "share":
        return f"{measure.words.capitalize()} rose from {worse.before:.1%} to {worse.after:.1%}."
    if measure.unit == "s":
        return f"Mean latency rose from {worse.before:.2f} s to {worse.after:.2f} s."
    return f"Mean cost of a call rose from {worse.before:.4f} to {worse.after:.4f} USD."


def _dimensions(
    measure: Measure, bounds: tuple[datetime, datetime, datetime], clients: frozenset[str], place: Place
) -> tuple[Dimension, ...]:
    """Each dimension's values before and after the onset. Two questions a dimension, one more where a value is new."""
    start, onset, end = bounds
    empty = Window(start, end, {})
    found = []
    for name in DIMENSIONS:
        before = {row.key[name]: row for row in queries.answered(start, onset, [name], clients, **place)}
        after = {row.key[name]: row for row in queries.answered(onset, end, [name], clients, **place)}
        new = {one for one in after if one not in before and one is not None} if before else set[str]()
        seen = _first_seen(name, new, (onset - EARLY, end), clients, place) if new else {}
        parts = []
        for value in sorted(before.keys() | after.keys(), key=lambda one: one or ""):
            was, now = before.get(value, empty), after.get(value, empty)
            amounts = float(measure.amount(was)), float(measure.amount(now))
            first_seen = seen.get(value) if value else None
            parts.append(Part(name, value, was.calls, amounts[0], now.calls, amounts[1], first_seen))
        one = explain(name, parts)
        if one is not None:
            found.append(one)
    return tuple(found)


def _first_seen(
    name: str, values: set[str], bounds: tuple[datetime, datetime], clients: frozenset[str], place: Place
) -> dict[str, float]:
    """The minute of each value's first call."""
    start, end = bounds
    minutes = [start + STEP * number for number in range(int((end - start) / STEP) + 1)]
    out: dict[str, float] = {}
    for row in queries.stretches(minutes, [name], clients, **place):
        value = row.key[name]
        if value in values and row.calls:
            out[value] = min(out.get(value, row.start.timestamp()), row.start.timestamp())
    return out


def _sample(incident: Incident, start: datetime, end: datetime, order: str) -> list[dict[str, Any]]:
    """The spans nearest to the onset."""
    where = "client = ? and system = ? and start_ns >= ? and start_ns < ?"
    told: list[Any] = [incident.system.client.slug, incident.system.key, clock.to_ns(start), clock.to_ns(end)]
    if incident.environment:
        where += " and environment = ?"
        told.append(incident.environment)
    return current().query(
        f"select {_SPAN}, coalesce(model_answered, model_requested) as model from spans where {where}"
        f" order by start_ns {order} limit {SAMPLE}",
        told,
    )


def document(incident: Incident, found: Found) -> dict[str, Any]:
    """All of it as JSON; `slices`, `changes`, `onset` and `step_seconds` are what `rca rank` ranks again."""
    worse = found.worse
    return {
        "incident": incident.pk,
        "client": incident.system.client.slug,
        "system": incident.system.key,
        "environment": incident.environment,
        "detected_at": incident.detected_at.isoformat(),
        "reason": found.reason,
        "explanation": found.explanation,
        "onset": found.onset.isoformat(),
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "step_seconds": STEP.total_seconds(),
        "measure": worse.measure.name if worse else None,
        "unit": worse.measure.unit if worse else None,
        "before": worse.before if worse else None,
        "after": worse.after if worse else None,
        "deviation": worse.deviation if worse else None,
        "slices": [asdict(part.part) for dimension in found.dimensions for part in dimension.parts],
        "steps": [asdict(one) for one in found.steps[:20]],
        "changes": [asdict(one) | {"touches": dict(one.touches)} for one in found.changes],
        "causes": [{"rank": place, **asdict(one)} for place, one in enumerate(found.causes, 1)],
    }
