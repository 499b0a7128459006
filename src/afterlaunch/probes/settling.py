"""What becomes of a try: kept, counted, judged, and written to the telemetry as a point of a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from afterlaunch.ground import clock
from afterlaunch.probes import judging, rules
from afterlaunch.probes.models import Probe, ProbeDay, ProbeHour, ProbeLocation, ProbeResult
from afterlaunch.probes.outcomes import Outcome, Result
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.signals.points import POINTS, series_id
from afterlaunch.telemetry.store import current

KEPT_RESULTS = 200  # of a probe
KEPT_HOURS, KEPT_DAYS = timedelta(days=10), timedelta(days=400)
SUCCESS, DURATION = "afterlaunch_probe_success", "afterlaunch_probe_duration_seconds"
SERVICE = "afterlaunch-probes"


@transaction.atomic
def settle(place: ProbeLocation, outcome: Outcome, at: datetime, now: datetime) -> ProbeResult | None:
    """`place` as it was leased. None: the lease was lost meanwhile, or the probe is another now; nothing is changed."""
    probe = Probe.objects.filter(pk=place.probe_id).first()
    if probe is None or probe.paused or probe.revision != place.probe.revision:
        return None
    probe = judging.locked(place.probe_id)
    fresh = ProbeLocation.objects.filter(pk=place.pk, fence=place.fence).exclude(held_until=None).first()
    if fresh is None:
        return None
    tries = fresh.tries
    done = rules.after(
        fresh.seen, outcome.result, outcome.reason, probe.plan, at, rules.regular(now, probe.interval, probe.pk)
    )
    fresh.state, fresh.tries, fresh.failures = done.seen.state.value, done.seen.tries, done.seen.failures
    fresh.heard_at, fresh.reason, fresh.said = done.seen.heard, outcome.reason, outcome.said[:500]
    fresh.tried_at, fresh.milliseconds, fresh.held_until = at, outcome.milliseconds, None
    fresh.next_due = _tomorrow(now) if outcome.reason == "cap" else done.next_due
    fresh.recent = rules.marked(fresh.recent, done.counts, tries)
    fresh.save()
    row = _keep(probe, fresh.location, outcome, done.counts, at)
    for table, begins in ((ProbeHour, at.replace(minute=0, second=0, microsecond=0)), (ProbeDay, at.date())):
        _count(table, probe, fresh.location, begins, outcome, done.counts)
    _spend(probe, outcome, at)
    judging.assess(probe, now)
    return row


def _tomorrow(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _keep(probe: Probe, location: str, outcome: Outcome, counted: str, at: datetime) -> ProbeResult:
    return ProbeResult.objects.create(
        probe=probe,
        location=location,
        at=at,
        result=outcome.result.value,
        counted=counted,
        reason=outcome.reason,
        said=outcome.said[:500],
        milliseconds=outcome.milliseconds,
        checks=[asdict(check) for check in outcome.checks],
        facts=dict(outcome.facts),
        answer=outcome.answer.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        cost_nano=outcome.cost_nano,
    )


def _count(table: Any, probe: Probe, location: str, begins: Any, outcome: Outcome, counted: str) -> None:
    row, _ = table.objects.get_or_create(probe=probe, location=location, begins=begins)
    changes: dict[str, Any] = {counted: F(counted) + 1}
    if outcome.milliseconds is not None and outcome.result is Result.OK:
        changes |= {"timed": F("timed") + 1, "milliseconds": F("milliseconds") + outcome.milliseconds}
        changes["slowest"] = Greatest(F("slowest"), outcome.milliseconds)
    if outcome.cost_nano is None:
        changes["unpriced"] = F("unpriced") + 1
    elif outcome.cost_nano:
        changes["cost_nano"] = F("cost_nano") + outcome.cost_nano
    table.objects.filter(pk=row.pk).update(**changes)


def _spend(probe: Probe, outcome: Outcome, at: datetime) -> None:
    """`probe` is saved by the judgement that follows."""
    if probe.spent_on != at.date():
        probe.spent_on, probe.spent_nano, probe.spent_runs = at.date(), 0, 0
    probe.spent_nano += outcome.cost_nano or 0
    probe.spent_runs += outcome.cost_nano != 0


def land(rows: Sequence[ProbeResult]) -> None:
    """Rounds that ended as points: 1 or 0, and how long it took. What could not be tried is a gap, not a zero."""
    points = [point for row in rows if row.counted != "retried" for point in _points(row)]
    if points:
        tables.Lander(current(), tables.METRICS).commit([pa.Table.from_pylist(points, schema=POINTS)])


def _points(row: ProbeResult) -> list[dict[str, Any]]:
    probe = row.probe
    labels = {"kind": probe.kind, "location": row.location, "probe": probe.name, "source": "probe"}
    tried = row.result != Result.NOT_RUN.value
    success = float(row.result == Result.OK.value) if tried else None
    told: list[tuple[str, float | None]] = [(SUCCESS, success)]
    if row.milliseconds is not None:
        told.append((DURATION, row.milliseconds / 1_000))
    place = (probe.system.client.slug, probe.system.key, probe.environment)
    return [
        {
            "series": series_id(*place, None, name, "", labels),
            "client": place[0],
            "system": place[1],
            "environment": place[2],
            "service": SERVICE,
            "name": name,
            "unit": "",
            "kind": "gauge",
            "cumulative": False,
            "labels": list(labels.items()),
            "at_ns": clock.to_ns(row.at),
            "value": value,
        }
        for name, value in told
    ]


def tidy(now: datetime) -> None:
    """Forget tries beyond the newest of each probe, and old hours and days."""
    for pk in list(Probe.objects.values_list("pk", flat=True)):
        last = ProbeResult.objects.filter(probe=pk).values_list("pk", flat=True)[KEPT_RESULTS : KEPT_RESULTS + 1]
        if last:
            ProbeResult.objects.filter(probe=pk, pk__lte=last[0]).delete()
    ProbeHour.objects.filter(begins__lt=now - KEPT_HOURS).delete()
    ProbeDay.objects.filter(begins__lt=(now - KEPT_DAYS).date()).delete()
