"""Gathering: the rows of a month, with a fixed number of questions to the telemetry, and some for each incident."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils.module_loading import import_string

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.changes.actions import changes_seen_by
from afterlaunch.changes.models import Change
from afterlaunch.diagnosis.actions import newest, summary
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import NotAllowed, NotFound
from afterlaunch.incidents.actions import incidents_seen_by
from afterlaunch.incidents.clocks import load
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import ContactMethod
from afterlaunch.oncall.models import Schedule
from afterlaunch.reports import contents, history
from afterlaunch.reports.periods import Period, month_of, period, preceding, zone_by_name
from afterlaunch.sla.rules import judge_clock
from afterlaunch.telemetry import queries, served
from afterlaunch.telemetry.served import Place, Silence
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.models import Verdict, VerdictChange

SPEND_BY = ("model", "agent", "tenant")
Clients = frozenset[str] | None


@dataclass(frozen=True)
class Asked:
    """What somebody wants; None: the last month that is over, all that they may see, the zone of the client or of the
    reader."""

    month: str | None = None
    client: str | None = None
    system: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True)
class Question:
    """An `Asked` that has been checked against the actor."""

    actor: Actor
    clients: Clients
    scope: contents.Scope
    period: Period

    @property
    def narrowed(self) -> dict[str, str | None]:
        return {"system": self.scope.system} if self.scope.system else {}


def clients_seen_by(actor: Actor) -> list[Client]:
    """Those that the actor may read reports of. Raises NotAllowed when there can be none."""
    seen = actor.sees()
    if seen is not None and not seen:
        raise NotAllowed("Reports need the role viewer.", "Ask an administrator for the role.")
    return list(Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen))


def zone_for(client: Client | None, actor: Actor, reader_zone: str) -> str:
    """The client's; without one that of the only client the reader has; else the reader's."""
    if client is None:
        mine = clients_seen_by(actor)
        client = mine[0] if len(mine) == 1 else None
    return client.time_zone if client else reader_zone


def monthly(actor: Actor, asked: Asked, reader_zone: str) -> contents.Report:
    """The month as the actor may see it. Raises Invalid, NotAllowed, NotFound; Unavailable without telemetry."""
    return gather(question(actor, asked, reader_zone))


def question(actor: Actor, asked: Asked, reader_zone: str) -> Question:
    mine = clients_seen_by(actor)
    client = client_by_slug(actor, asked.client) if asked.client else None
    if client is not None:
        actor.require(Role.VIEWER, client.slug)
    if client is None and actor.sees() is not None and len(mine) == 1:
        client = mine[0]
    clients = frozenset({client.slug}) if client else actor.sees()
    if asked.system and not _systems(actor, clients).filter(key=asked.system).exists():
        raise NotFound(f"There is no system {asked.system!r}.", "See /api/v1/systems for the keys.")
    zone = asked.time_zone or zone_for(client, actor, reader_zone)
    zone_by_name(zone)
    now = clock.now()
    month = asked.month or _newest_over(clients, zone, now)
    scope = contents.Scope(client.slug if client else None, client.name if client else None, asked.system or None)
    return Question(actor, clients, scope, period(month, zone, now))


def _newest_over(clients: Clients, zone: str, now: datetime) -> str:
    """The last month that is over; the running one while no earlier one holds a call."""
    running, extent = month_of(now, zone), served.extent(clients)
    if extent is None or month_of(extent[0], zone) >= running:
        return running
    return preceding(running)


def _systems(actor: Actor, clients: Clients) -> Any:
    rows = systems_seen_by(actor)
    return rows if clients is None else rows.filter(client__slug__in=clients)


def gather(asked: Question) -> contents.Report:
    when = asked.period
    totals = queries.stretches([when.start, when.until], [], asked.clients, **asked.narrowed)
    last = period(preceding(when.month), when.zone, when.until)
    past_days = queries.stretches(last.bounds, [], asked.clients, **asked.narrowed)
    past = queries.stretches([last.start, last.end], [], asked.clients, **asked.narrowed)
    systems = _system_facts(asked)
    silent = served.silences(when.start, when.until, asked.clients, **asked.narrowed)
    return contents.Report(
        period=when,
        scope=asked.scope,
        total=totals[0] if totals else None,
        before=contents.Before(last.month, past[0] if past else None, len(past_days), len(last.days)),
        spend={name: spend_by(asked, name) for name in SPEND_BY},
        days=_days(asked),
        places=_places(asked, systems, silent),
        systems=systems,
        judges=_judges(asked, systems, silent),
        incidents=_incidents(asked),
        changes=_changes(asked),
    )


def _by(rows: list[Window], name: str) -> dict[str | None, Window]:
    return {row.key[name]: row for row in rows}


def spend_by(asked: Question, name: str) -> tuple[contents.SpendRow, ...]:
    """The dearest first; what only the month before had is a row without calls."""
    when = asked.period
    last = period(preceding(when.month), when.zone, when.until)
    before = _by(queries.stretches([last.start, last.end], [name], asked.clients, **asked.narrowed), name)
    rows = _by(queries.stretches([when.start, when.until], [name], asked.clients, **asked.narrowed), name)
    gone = {value: Window(when.start, when.until, {name: value}) for value in before if value not in rows}
    all_rows = [contents.SpendRow(value, row, before.get(value)) for value, row in {**rows, **gone}.items()]
    all_rows.sort(key=lambda one: (-one.window.cost_nano, -one.window.calls, one.value is None, one.value or ""))
    return tuple(all_rows)


def _days(asked: Question) -> tuple[contents.Day, ...]:
    when = asked.period
    whole = {row.start: row for row in queries.stretches(when.bounds, [], asked.clients, **asked.narrowed)}
    models: dict[datetime, dict[str | None, Window]] = defaultdict(dict)
    for row in queries.stretches(when.bounds, ["model"], asked.clients, **asked.narrowed):
        models[row.start][row.key["model"]] = row
    ends = (*when.begins[1:], when.end)
    return tuple(
        contents.Day(day, begin, end, whole.get(begin), models.get(begin, {}), begin >= when.until)
        for day, begin, end in zip(when.days, when.begins, ends, strict=True)
    )


def _system_facts(asked: Question) -> tuple[contents.SystemFacts, ...]:
    verified = ContactMethod.objects.filter(user=OuterRef("owner"), removed_at=None, verified_at__isnull=False)
    schedule = Schedule.objects.filter(client=OuterRef("client"), removed_at=None)
    rows = _systems(asked.actor, asked.clients).filter(Q(first_seen_at=None) | Q(first_seen_at__lt=asked.period.until))
    rows = rows.filter(key=asked.scope.system) if asked.scope.system else rows
    return tuple(
        contents.SystemFacts(
            pk=row.pk,
            client=row.client.slug,
            key=row.key,
            name=row.name,
            owner=str(row.owner) if row.owner else None,
            owner_reachable=row.reachable,
            has_rotation=row.rotation,
            targets_declared=row.latency_p95_ms is not None or row.latency_p99_ms is not None,
            first_seen_at=row.first_seen_at,
        )
        for row in rows.annotate(reachable=Exists(verified), rotation=Exists(schedule)).order_by("client__slug", "key")
    )


Known = tuple[contents.SystemFacts, ...]
Silent = Mapping[Place, list[Silence]]


def _places(asked: Question, systems: Known, silent: Silent) -> tuple[contents.PlaceFacts, ...]:
    when = asked.period
    known = {(one.client, one.key): one for one in systems}
    windows = {
        (row.key["client"] or "", row.key["system"], row.key["environment"]): row
        for row in queries.windows(
            when.start, when.until, ["client", "system", "environment"], asked.clients, **asked.narrowed
        )
    }
    days: dict[Place, dict[Any, contents.PlaceDay]] = defaultdict(dict)
    for one in served.served(when.bounds, asked.clients, **asked.narrowed):
        days[one.place][when.day_of(one.start)] = contents.PlaceDay(one.calls, one.unserved)
    whose = served.faults(when.start, when.until, asked.clients, **asked.narrowed)
    out = []
    for one in served.served([when.start, when.until], asked.clients, **asked.narrowed):
        system = known.get((one.place[0], one.place[1] or ""))
        out.append(
            contents.PlaceFacts(
                place=one.place,
                system_pk=system.pk if system else None,
                name=system.name if system else (one.place[1] or ""),
                calls=one.calls,
                unserved=one.unserved,
                cancelled=one.cancelled,
                minutes=one.minutes,
                minutes_down=one.minutes_down,
                faults=whose.get(one.place, {}),
                window=windows[one.place],
                days=days[one.place],
                silences=tuple(silent.get(one.place, ())),
            )
        )
    return tuple(sorted(out, key=lambda place: tuple(part or "" for part in place.place)))


def titles() -> Mapping[str, tuple[str, str]]:
    """(title, explanation) by judge; the list stands in `app`."""
    return cast("Mapping[str, tuple[str, str]]", import_string(settings.JUDGE_TITLES))


def _level(verdict: Verdict) -> str:
    if verdict.host:
        return "host"
    return "arm" if verdict.arm or verdict.route else "provider" if verdict.provider else "system"


def _where(verdict: Verdict) -> str:
    told = (("route", verdict.route), ("arm", verdict.arm), ("provider", verdict.provider), ("host", verdict.host))
    return ", ".join(f"{name} {value}" for name, value in told if value) or "the whole system"


def _judges(asked: Question, systems: Known, silent: Silent) -> tuple[contents.JudgeFacts, ...]:
    when, known = asked.period, {(one.client, one.key): one for one in systems}
    before = VerdictChange.objects.filter(verdict=OuterRef("pk"), at__lte=when.start).order_by("-at", "-pk")
    rows = Verdict.objects.annotate(began=Subquery(before.values("after")[:1]))
    rows = rows if asked.clients is None else rows.filter(client__in=asked.clients)
    rows = rows.filter(system=asked.scope.system) if asked.scope.system else rows
    steps: dict[int, list[history.Step]] = defaultdict(list)
    changed = VerdictChange.objects.filter(verdict__in=rows.values("pk"), at__gt=when.start, at__lt=when.until)
    for pk, at, after in changed.order_by("at", "pk").values_list("verdict_id", "at", "after"):
        steps[pk].append((at, after))
    groups: dict[tuple[str, ...], list[tuple[Verdict, dict[str, float]]]] = defaultdict(list)
    for row in rows:
        told = [(when.start, row.began)] if row.began else []
        quiet = silent.get((row.client, row.system, row.environment))
        quiet = [Silence(when.start, when.until)] if quiet is None else quiet
        if row.judge.startswith("infrastructure."):
            quiet = []  # these live on metrics: that no call came silences none of them
        lasted = history.durations([*told, *steps[row.pk]], when.start, when.until, row.assessed_at, quiet)
        if lasted:
            groups[row.client, row.system, row.environment, row.judge, _level(row)].append((row, lasted))
    named = titles()
    return tuple(
        _judge(key, members, named.get(key[3], (key[3], ""))[0], known.get((key[0], key[1])))
        for key, members in sorted(groups.items())
    )


def _judge(
    key: tuple[str, ...],
    members: list[tuple[Verdict, dict[str, float]]],
    title: str,
    system: contents.SystemFacts | None,
) -> contents.JudgeFacts:
    seconds: dict[str, float] = defaultdict(float)
    for _, lasted in members:
        for status, held in lasted.items():
            seconds[status] += held
    trouble = [
        contents.Trouble(_where(row), lasted.get("breach", 0.0), lasted.get("warning", 0.0))
        for row, lasted in members
        if lasted.get("breach") or lasted.get("warning")
    ]
    trouble.sort(key=lambda one: (-one.breach, -one.warning, one.scope))
    client, name, environment, judge, level = key
    pk, called = (system.pk, system.name) if system else (None, name)
    return contents.JudgeFacts(
        client, name, environment, pk, called, judge, level, title, len(members), dict(seconds), tuple(trouble)
    )


def _incidents(asked: Question) -> tuple[contents.IncidentFacts, ...]:
    """Those detected in the month, and those that came into it still open; the earliest first."""
    when = asked.period
    rows = incidents_seen_by(asked.actor).filter(detected_at__lt=when.until)
    rows = rows.filter(Q(detected_at__gte=when.start) | Q(resolved_at=None) | Q(resolved_at__gte=when.start))
    rows = rows if asked.clients is None else rows.filter(system__client__slug__in=asked.clients)
    rows = rows.filter(system__key=asked.scope.system) if asked.scope.system else rows
    found = list(rows.order_by("detected_at", "pk"))
    load(found)
    frozen = newest(found)
    return tuple(_incident(asked, one, frozen.get(one.pk)) for one in found)


def _incident(asked: Question, row: Incident, told: Mapping[str, Any] | None) -> contents.IncidentFacts:
    cause, reason = "", "not_looked_for"
    changes: tuple[tuple[int, str], ...] = ()
    if told is not None:
        cause, reason = summary(told), told["reason"]
        changes = tuple((int(one["id"]), one["title"]) for one in told["changes"] if one["link"])
    return contents.IncidentFacts(
        pk=row.pk,
        client=row.system.client.slug,
        system_pk=row.system_id,
        system=row.system.name,
        environment=row.environment,
        title=row.title,
        severity=row.peak_severity,
        phase=row.phase,
        status=row.status,
        outcome=row.outcome,
        fingerprint=row.fingerprint,
        recurrence_of=row.recurrence_of_id,
        carried=row.detected_at < asked.period.start,
        occurred_at=row.occurred_at,
        detected_at=row.detected_at,
        contained_at=row.contained_at,
        resolved_at=row.resolved_at,
        clocks=_clocks(row),
        cause=cause,
        cause_reason=reason,
        changes=changes,
    )


def _clocks(row: Incident) -> tuple[contents.ClockFacts, ...]:
    """A clock that nobody met is read against the present; one that was found late stays late."""
    now = clock.now()
    return tuple(
        contents.ClockFacts(
            severity=one.severity,
            tier=one.tier,
            started_at=one.started_at,
            deadline=one.deadline,
            met_at=one.met_at,
            verdict="breached" if one.breached_at else judge_clock(one.deadline, one.met_at, now).verdict,
            replaced=one.superseded_at is not None,
        )
        for one in row.promises
        if one.kind == "response" and one.deadline is not None
    )


def _changes(asked: Question) -> tuple[contents.ChangeFacts, ...]:
    """Those proposed, started or finished in the month; the earliest first."""
    when = asked.period
    touched = Q()
    for name in ("proposed_at", "started_at", "finished_at"):
        touched |= Q(**{f"{name}__gte": when.start, f"{name}__lt": when.until})
    rows = changes_seen_by(asked.actor).filter(touched)
    rows = rows if asked.clients is None else rows.filter(system__client__slug__in=asked.clients)
    rows = rows.filter(system__key=asked.scope.system) if asked.scope.system else rows
    return tuple(_change(row) for row in rows.order_by("proposed_at", "pk"))


def _change(row: Change) -> contents.ChangeFacts:
    return contents.ChangeFacts(
        pk=row.pk,
        client=row.system.client.slug,
        system_pk=row.system_id,
        system=row.system.name,
        environment=row.environment,
        kind=row.kind,
        title=row.title,
        author=row.author,
        state=row.state,
        share=row.share,
        parent=row.parent_id,
        proposed_at=row.proposed_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        verified_at=row.verified_at,
        verification=row.verification,
    )
