"""Run the judges over the rollups: a fixed number of questions for the whole estate, never one per scope.

1. For each kind of scope ask for the recent minutes (5, 15, 60) and the day before them. 2. For each scope take the
narrowest recent window with enough calls. 3. For whole systems ask once what their senders told lately and before.
4. Let each judge of that kind of scope assess it. 5. For hosts ask once for the last half hour of everything known of
infrastructure, minute by minute. 6. Write what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.estate.limits import in_force
from afterlaunch.estate.models import System
from afterlaunch.telemetry.queries import judged, judged_stretches
from afterlaunch.telemetry.signals.questions import by_minute
from afterlaunch.telemetry.signals.readings import Minute, Place, Reading, readings
from afterlaunch.telemetry.told import Told, told
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.models import Verdict, VerdictChange
from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, Judge, Named, Scope, Status, Targets, View

RECENT = (timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))
PAST = timedelta(hours=24)
PLACE = ("client", "system", "environment")
KINDS: tuple[tuple[str, ...], ...] = ((), ("route", "arm"), ("provider",))
HOST = ("host",)
SCOPE = ("client", "system", "environment", "route", "arm", "provider", "host")
LOOK, ALIVE = timedelta(minutes=30), timedelta(minutes=10)
HOURS = 7 * 24
Hourly = Callable[[Sequence[datetime], Sequence[str]], list[Window]]
Ask = Callable[[datetime, datetime, Sequence[str]], list[Window]]
Read = Callable[[datetime], list[Minute]]
Tell = Callable[[datetime], Mapping[tuple[str, str, str], Told]]
Explain = Callable[[View, Finding], Finding]
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
    ask: Ask = judged,
    hourly: Hourly = judged_stretches,
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


def infrastructure(now: datetime) -> list[Minute]:
    """The last half hour of whatever told something in the last ten minutes."""
    return by_minute(now - LOOK, now + timedelta(minutes=1), alive=ALIVE)


def run(
    judges: Sequence[Judge],
    now: datetime,
    ask: Ask = judged,
    hourly: Hourly = judged_stretches,
    read: Read = infrastructure,
    tell: Tell = told,
    explain: Explain = lambda _, finding: finding,
) -> int:
    """Assess everything; returns how many statuses changed. `explain` may add to a finding what stands behind it."""
    targets = _targets()
    findings: list[tuple[Scope, Judge, Finding]] = []
    whole: list[View] = []
    for per in KINDS:
        mine = [judge for judge in judges if judge.per == per]
        if mine:
            seen = views(now, per, targets, ask, hourly)
            if not per:
                whole = seen = _with_told(seen, tell(now))
            findings += [(view.scope, one, explain(view, one.assess(view))) for view in seen for one in mine]
    hosts = [judge for judge in judges if judge.per == HOST]
    if hosts:
        seen = host_views(now, targets, whole, readings(read(now)))
        findings += [(view.scope, one, one.assess(view)) for view in seen for one in hosts if _concerns(one, view)]
    return write(findings, now, hosts)


def _with_told(seen: Iterable[View], found: Mapping[tuple[str, str, str], Told]) -> list[View]:
    places = ((view, (view.scope.client, view.scope.system, view.scope.environment)) for view in seen)
    return [replace(view, told=found.get(place, view.told)) for view, place in places]


def host_views(
    now: datetime, targets: Mapping[Key, Targets], whole: Sequence[View], found: Mapping[Place, Mapping[str, Reading]]
) -> list[View]:
    """A view for each host, and each system, that told something of its infrastructure lately. Systems with calls have
    a reading of them; their view holds the window that judges of calls got."""
    moment = Window(now - timedelta(minutes=1), now, {})
    places = {place: dict(read) for place, read in found.items()}
    calls = {(view.scope.client, view.scope.system, view.scope.environment): view.recent for view in whole}
    for place in calls:
        places.setdefault((*place, ""), {})["calls"] = Reading("calls")
    out = []
    for (client, system, environment, host), read in places.items():
        key = (client, system, environment)
        recent = calls[key] if "calls" in read else moment
        scope = Scope(*key, host=host or None)
        out.append(View(scope, recent, moment, None, targets.get(key, Targets()), {}, read))
    return out


def _concerns(judge: Judge, view: View) -> bool:
    """A judge of infrastructure looks where one of its readings is told, and something is declared if it must be."""
    reads, needs = getattr(judge, "reads", ()), getattr(judge, "needs", ())
    declared = not needs or any(view.targets.limits[name] is not None for name in needs)
    return declared and any(name in view.readings for name in reads)


def _targets() -> dict[Key, Targets]:
    rows = System.objects.values_list(
        "client__slug", "key", "environments__name", "latency_p95_ms", "latency_p99_ms", "infrastructure"
    )
    return {
        (client, key, environment): Targets(p95, p99, in_force(limits))
        for client, key, environment, p95, p99, limits in rows
    }


@transaction.atomic
def write(findings: Sequence[tuple[Scope, Named, Finding]], now: datetime, silent: Sequence[Named] = ()) -> int:
    """Findings become verdicts; returns how many statuses changed. `silent`: judges whose verdicts on scopes that told
    nothing any more are taken back."""
    known = {(v.judge, *(getattr(v, name) for name in SCOPE)): v for v in Verdict.objects.select_for_update()}
    findings = [*findings, *_gone(known, findings, silent)]
    fresh: list[Verdict] = []
    touched: list[Verdict] = []
    changes: list[VerdictChange] = []
    for scope, judge, finding in findings:
        place = _place(scope)
        verdict = known.get((judge.name, *place))
        before = verdict.status if verdict else ""
        if verdict is None:
            verdict = Verdict(judge=judge.name, **dict(zip(SCOPE, place, strict=True)))
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


def _place(scope: Scope) -> tuple[str, ...]:
    return tuple(getattr(scope, name) or "" for name in SCOPE)


def _gone(
    known: Mapping[tuple[str, ...], Verdict], findings: Sequence[tuple[Scope, Named, Finding]], silent: Sequence[Named]
) -> list[tuple[Scope, Named, Finding]]:
    """A host that is no more tells nothing: its last word must not stand as the present."""
    found = {(judge.name, *_place(scope)) for scope, judge, _ in findings}
    by_name = {judge.name: judge for judge in silent}
    out: list[tuple[Scope, Named, Finding]] = []
    for key, verdict in known.items():
        judge = by_name.get(verdict.judge)
        if judge is not None and key not in found and verdict.status != Status.NOT_ASSESSED.value:
            narrow = (getattr(verdict, name) or None for name in SCOPE[3:])
            scope = Scope(verdict.client, verdict.system, verdict.environment, *narrow)
            said = "Nothing was told for ten minutes."
            out.append((scope, judge, Finding(judge.name, Status.NOT_ASSESSED, "no_data", said)))
    return out


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


def _fill(verdict: Verdict, judge: Named, finding: Finding, now: datetime, changed: bool) -> None:
    verdict.severity, verdict.status = judge.severity, finding.status.value
    verdict.reason, verdict.explanation = finding.reason, finding.explanation
    verdict.value, verdict.threshold, verdict.unit = finding.value, finding.threshold, finding.unit
    verdict.count, verdict.evidence, verdict.assessed_at = finding.count, dict(finding.evidence), now
    if changed:
        verdict.since = now
