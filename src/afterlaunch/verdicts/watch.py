"""Run the judges over the rollups: a fixed number of questions for the whole estate, never one per scope.

1. For each kind of scope ask for the recent minutes (5, 15, 60) and the day before them. 2. For each scope take the
narrowest recent window with enough calls. 3. Let each judge of that kind of scope assess it. 4. Write what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.estate.models import System
from afterlaunch.telemetry.queries import stretches, windows
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.models import Verdict, VerdictChange
from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, Judge, Scope, Targets, View

RECENT = (timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))
PAST = timedelta(hours=24)
PLACE = ("client", "system", "environment")
KINDS: tuple[tuple[str, ...], ...] = ((), ("route", "arm"), ("provider",))
HOURS = 7 * 24
Hourly = Callable[[Sequence[datetime], Sequence[str]], list[Window]]
Ask = Callable[[datetime, datetime, Sequence[str]], list[Window]]
Key = tuple[str | None, ...]


def hours_before(start: datetime, names: Sequence[str], hourly: Hourly) -> dict[Key, dict[int, Window]]:
    """The last week in hours that ended a whole number of hours before `start`."""
    bounds = [start - timedelta(hours=back) for back in range(HOURS + 1, 0, -1)]
    out: dict[Key, dict[int, Window]] = {}
    for row in hourly(bounds, names):
        back = round((start - row.end) / timedelta(hours=1))
        out.setdefault(tuple(row.key.values()), {})[back] = row
    return out


def views(
    now: datetime,
    per: tuple[str, ...],
    targets: dict[Key, Targets],
    ask: Ask = windows,
    hourly: Hourly = stretches,
) -> list[View]:
    """A view for each scope that had calls in the last hour or the day before it."""
    names = (*PLACE, *per)
    start = now.replace(second=0, microsecond=0)
    recent = [_by_key(ask(start - width, start + timedelta(minutes=1), names)) for width in RECENT]
    past = _by_key(ask(start - PAST, start - RECENT[-1], names))
    hours = {} if per else hours_before(start, names, hourly)  # only judges of whole systems ask for them
    out = []
    for key in {**past, **recent[-1]}:
        chosen = _enough(key, recent, now)
        rival = None
        if "arm" in per and key[-1] == "candidate":
            width = next((one for one in recent if one.get(key) is chosen), recent[-1])
            rival = width.get((*key[:-1], "baseline"))
        told = dict(zip(per, key[3:], strict=True))
        place = (str(key[0]), str(key[1]), str(key[2]))
        scope = Scope(*place, route=told.get("route"), arm=told.get("arm"), provider=told.get("provider"))
        if per and not any(key[3:]):
            continue  # calls that tell no route or provider are judged with the system
        before = past.get(key) or Window(start - PAST, start, {})
        out.append(View(scope, chosen, before, rival, targets.get(key[:3], Targets()), hours.get(key, {})))
    return out


def _by_key(rows: Iterable[Window]) -> dict[Key, Window]:
    return {tuple(row.key.values()): row for row in rows}


def _enough(key: Key, recent: list[dict[Key, Window]], now: datetime) -> Window:
    for rows in recent:
        if (row := rows.get(key)) is not None and row.calls >= MINIMUM_CALLS:
            return row
    return recent[-1].get(key) or Window(now - RECENT[-1], now, {})


def run(judges: Sequence[Judge], now: datetime, ask: Ask = windows, hourly: Hourly = stretches) -> int:
    """Assess everything; returns how many statuses changed."""
    targets = _targets()
    findings: list[tuple[Scope, Judge, Finding]] = []
    for per in KINDS:
        mine = [judge for judge in judges if judge.per == per]
        if mine:
            seen = views(now, per, targets, ask, hourly)
            findings += [(view.scope, judge, judge.assess(view)) for view in seen for judge in mine]
    return _write(findings, now)


def _targets() -> dict[Key, Targets]:
    rows = System.objects.values_list("client__slug", "key", "environments__name", "latency_p95_ms", "latency_p99_ms")
    return {(client, key, environment): Targets(p95, p99) for client, key, environment, p95, p99 in rows}


@transaction.atomic
def _write(findings: list[tuple[Scope, Judge, Finding]], now: datetime) -> int:
    known = {
        (v.judge, v.client, v.system, v.environment, v.route, v.arm, v.provider): v
        for v in Verdict.objects.select_for_update()
    }
    fresh: list[Verdict] = []
    touched: list[Verdict] = []
    changes: list[VerdictChange] = []
    for scope, judge, finding in findings:
        place = (
            scope.client,
            scope.system,
            scope.environment,
            scope.route or "",
            scope.arm or "",
            scope.provider or "",
        )
        verdict = known.get((judge.name, *place))
        before = verdict.status if verdict else ""
        if verdict is None:
            names = ("client", "system", "environment", "route", "arm", "provider")
            verdict = Verdict(judge=judge.name, **dict(zip(names, place, strict=True)))
            fresh.append(verdict)
        else:
            touched.append(verdict)
        _fill(verdict, judge, finding, now, changed=before != finding.status.value)
        if before != finding.status.value:
            changes.append(
                VerdictChange(
                    verdict=verdict, at=now, before=before, after=finding.status.value, explanation=finding.explanation
                )
            )
    Verdict.objects.bulk_create(fresh)
    Verdict.objects.bulk_update(touched, FILLED, batch_size=200)
    VerdictChange.objects.bulk_create(changes)
    return len(changes)


FILLED = (
    "severity",
    "status",
    "reason",
    "explanation",
    "value",
    "threshold",
    "unit",
    "count",
    "evidence",
    "since",
    "assessed_at",
)


def _fill(verdict: Verdict, judge: Judge, finding: Finding, now: datetime, changed: bool) -> None:
    verdict.severity, verdict.status = judge.severity, finding.status.value
    verdict.reason, verdict.explanation = finding.reason, finding.explanation
    verdict.value, verdict.threshold, verdict.unit = finding.value, finding.threshold, finding.unit
    verdict.count, verdict.evidence, verdict.assessed_at = finding.count, dict(finding.evidence), now
    if changed:
        verdict.since = now
