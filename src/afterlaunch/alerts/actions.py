"""Verdicts to alerts, alerts to incidents. Everything is read from rows, so that a crash loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.alerts.fingerprints import cleaned, fingerprint
from afterlaunch.alerts.models import Alert, Occurrence, Withdrawal
from afterlaunch.alerts.occurring import due
from afterlaunch.alerts.rules import Firing, ends, fires, page_again, tell
from afterlaunch.alerts.suppression import Rules, mark
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.actions import open_incident, page_once_more, recovered, relapsed, timeline
from afterlaunch.incidents.judges import kind_of_judge
from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict

JUDGES = automation("judges")
Titles = Mapping[str, str]  # judge name -> title


def rejoin_window() -> timedelta:
    return timedelta(minutes=settings().number("REJOIN_MINUTES"))


def work(now: datetime, titles: Titles) -> None:
    """One pass over all verdicts that breach and all alerts that fire."""
    places: dict[tuple[str, str, str], list[Verdict]] = {}
    firing = Alert.objects.filter(resolved_at=None).values_list("verdict_id", flat=True)
    rows = Verdict.objects.filter(status="breach") | Verdict.objects.filter(pk__in=list(firing))
    for verdict in rows:
        places.setdefault((verdict.client, verdict.system, verdict.environment), []).append(verdict)
    for place, verdicts in places.items():
        _work_place(place, verdicts, now, titles)


@transaction.atomic
def _work_place(place: tuple[str, str, str], verdicts: list[Verdict], now: datetime, titles: Titles) -> None:
    """Alerts, incident, pages and evidence of one system and environment, all or none."""
    client, key, environment = place
    system = System.objects.select_related("client", "owner").filter(client__slug=client, key=key).first()
    if system is None:
        return  # its telemetry is noticed within seconds; the verdict row waits
    rows = Alert.objects.select_for_update(of=("self",)).select_related("incident")
    known = {alert.verdict_id: alert for alert in rows.filter(resolved_at=None, verdict__in=verdicts)}
    withdrawn = _withdrawals(place)
    fresh = [one for one in verdicts if one.pk not in known and _fires(one, now, withdrawn)]
    loud = [_new(system, verdict, now) for verdict in fresh]
    loud += _follow([(alert, verdict) for verdict in verdicts if (alert := known.get(verdict.pk))], now, titles)
    loud = _without_silenced(system, loud, now)
    if loud:
        _raise(system, environment, loud, now, titles)
    _settle(system, environment, now)


def _withdrawals(place: tuple[str, str, str]) -> dict[tuple[str, str], datetime]:
    """(route, arm) -> since when it serves nobody."""
    client, key, environment = place
    rows = Withdrawal.objects.filter(client=client, system=key, environment=environment, returned_at=None)
    return {(row.route, row.arm): row.at for row in rows.order_by("at", "pk")}


def _fires(verdict: Verdict, now: datetime, withdrawn: Mapping[tuple[str, str], datetime]) -> bool:
    at = withdrawn.get((verdict.route, verdict.arm))
    return fires(verdict.status, verdict.since, now, at) == "breach_holds"


def _new(system: System, verdict: Verdict, now: datetime) -> Alert:
    labels = labels_of_verdict(verdict)
    alert = Alert.objects.create(
        system=system,
        environment=verdict.environment,
        verdict=verdict,
        source="judges",
        fingerprint=fingerprint(f"judges/{verdict.client}", labels),
        name=verdict.judge,
        labels=labels,
        explanation=verdict.explanation,
        severity=verdict.severity,
        started_at=verdict.since,
        fired_at=now,
        told_at=now,
    )
    _happens(alert, "firing", verdict.explanation, now)
    return alert


def labels_of_verdict(verdict: Verdict) -> dict[str, str]:
    """A judge's finding under the names that matchers know."""
    scope = {name: str(getattr(verdict, name)) for name in ("client", "system", "environment", *SCOPE)}
    return cleaned({"alertname": verdict.judge, **scope})


SCOPE = ("route", "arm", "provider", "host")


def _happens(alert: Alert, kind: str, text: str, now: datetime) -> None:
    Occurrence.objects.create(alert=alert, fingerprint=alert.fingerprint, at=now, kind=kind, text=text[:500])


def _follow(pairs: list[tuple[Alert, Verdict]], now: datetime, titles: Titles) -> list[Alert]:
    """End what is ok again, note what went silent; returns those that raised no incident yet, being silenced."""
    waiting = []
    for alert, verdict in pairs:
        reason = ends(verdict.status, verdict.since, now)
        if reason == "ok_long_enough":
            _end(alert, reason, now)
        elif reason == "no_data" and alert.silent_since is None:
            _silent(alert, verdict, titles)
        elif reason != "no_data" and alert.silent_since is not None:
            alert.silent_since = None
            alert.save(update_fields=["silent_since"])
        if verdict.status == "breach" and alert.incident is None:
            waiting.append(alert)
        elif verdict.status == "breach" and alert.rejoined_at is not None and alert.incident is not None:
            _page_if_it_stays(alert, now)
    return waiting


def _silent(alert: Alert, verdict: Verdict, titles: Titles) -> None:
    alert.silent_since = verdict.since
    alert.save(update_fields=["silent_since"])
    if alert.incident is not None and alert.incident.status == "open":
        said = f"{said_of(verdict, titles)}: no data since {verdict.since:%H:%M} UTC. The alert stays open."
        timeline(JUDGES, alert.incident, "alert.silent", said, {"verdict": verdict.pk})


def _page_if_it_stays(alert: Alert, now: datetime) -> None:
    if alert.rejoined_at is None or page_again(alert.rejoined_at, now, rejoin_window()) != "still_firing":
        return
    if alert.incident is not None:
        page_once_more(JUDGES, alert.incident, "It came back, and did not go away by itself.")
    alert.rejoined_at = None
    alert.save(update_fields=["rejoined_at"])


def _end(alert: Alert, reason: str, now: datetime) -> None:
    alert.resolved_at, alert.ended_because = now, reason
    alert.save(update_fields=["resolved_at", "ended_because"])
    _happens(alert, "resolved", ENDED.get(reason, reason), now)


ENDED = {
    "ok_long_enough": "Its judge found ok for ten minutes.",
    "scope_withdrawn": "The arm serves nobody any more.",
    "by_person": "A person ended it.",
}


def said_of(verdict: Verdict, titles: Titles) -> str:
    where = " ".join(part for part in (verdict.route, verdict.arm, verdict.provider, verdict.host) if part)
    return f"{titles.get(verdict.judge, verdict.judge)}{f' ({where})' if where else ''}"


def _without_silenced(system: System, alerts: list[Alert], now: datetime) -> list[Alert]:
    """Every alert is kept; those that a rule suppresses now raise nothing until it ends."""
    rules, loud = Rules(system.client.slug, now), []
    for alert in alerts:
        by = rules.of(alert)
        if mark(alert, by, now):
            alert.save(update_fields=["suppressed_as", "suppressed_by", "loud_at"])
            _happens(alert, "suppressed" if by else "loud", f"By {by.by}." if by else "", now)
        if by is None:
            loud.append(alert)
    return loud


def _raise(system: System, environment: str, loud: list[Alert], now: datetime, titles: Titles) -> None:
    told = [
        Firing(v.judge, titles.get(v.judge, v.judge), v.severity, v.explanation, v.route, v.arm, v.since)
        for v in (alert.verdict for alert in loud)
        if v is not None
    ]
    story = tell(system.name, environment, told)
    flapping = all(alert.verdict is not None and _ended_lately(alert.verdict, now) for alert in loud)
    incident = open_incident(
        JUDGES,
        system=system,
        environment=environment,
        title=story.title,
        severity=story.severity,
        summary=story.summary,
        fingerprint=f"{system.client.slug}/{system.key}/{environment}",
        detected_at=now,
        occurred_at=story.since,
        route=story.route,
        arm=story.arm,
        quietly=flapping,
        kind=kind_of_judge(*(one.judge for one in sorted(told, key=lambda one: one.severity))),
    )
    if incident.recovered_at is not None:
        relapsed(JUDGES, incident, story.summary)
    for alert in loud:
        alert.incident = incident
        alert.rejoined_at = now if flapping else None
        alert.save(update_fields=["incident", "rejoined_at"])
        verdict = alert.verdict
        if verdict is not None:
            text = f"{said_of(verdict, titles)}: {alert.explanation}"
            timeline(JUDGES, incident, "alert", text, {"verdict": verdict.pk, "judge": verdict.judge})


def _ended_lately(verdict: Verdict, now: datetime) -> bool:
    """It fired before, and ended so lately that this may be the same trouble, flapping."""
    return Alert.objects.filter(
        verdict=verdict, incident__isnull=False, resolved_at__gt=now - rejoin_window(), ended_because="ok_long_enough"
    ).exists()


def _settle(system: System, environment: str, now: datetime) -> None:
    """When no alert of an open incident fires any more, it has recovered; of one that went silent nothing is known."""
    fingerprint = f"{system.client.slug}/{system.key}/{environment}"
    incident = Incident.objects.filter(fingerprint=fingerprint, status="open", recovered_at=None).first()
    if incident is None or not incident.alerts.exists():
        return
    if not incident.alerts.filter(resolved_at=None).exists():
        recovered(JUDGES, incident, now)


def scope_withdrawn(
    actor: Actor, system: System, environment: str, route: str, arm: str, why: str, at: datetime | None = None
) -> int:
    """A verified change took all traffic from an arm: its alerts end, named so, and what judges still find in its last
    calls raises nothing. In the transaction of the deed that verified it; returns how many alerts ended."""
    now = at or clock.now()
    place = {"client": system.client.slug, "system": system.key, "environment": environment, "route": route, "arm": arm}
    Withdrawal.objects.create(**place, at=now)
    firing = (
        Alert.objects.select_for_update(of=("self",))
        .select_related("incident", "verdict")
        .filter(resolved_at=None, **{f"verdict__{name}": value for name, value in place.items()})
    )
    ended = 0
    for alert in firing:
        _end(alert, "scope_withdrawn", now)
        ended += 1
        if alert.incident is not None and alert.incident.status == "open":
            text = f"{alert.name}: the alert ended because the {arm} arm of {route} serves nobody. {why}"
            timeline(actor, alert.incident, "alert.withdrawn", text, {"verdict": alert.verdict_id})
    if ended:
        _settle(system, environment, now)
    return ended


def scope_returned(system: System, environment: str, route: str, arm: str) -> None:
    """The arm gets traffic again: from now on its breaches fire."""
    rows = Withdrawal.objects.filter(client=system.client.slug, system=system.key, environment=environment)
    rows.filter(route=route, arm=arm, returned_at=None).update(returned_at=clock.now())


def alerts_seen_by(actor: Actor) -> QuerySet[Alert]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = Alert.objects.select_related("system__client", "verdict", "incident", "integration")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def alert_by_id(actor: Actor, pk: int) -> Alert:
    row = alerts_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no alert {pk}.")
    return row


@transaction.atomic
def end_alert(actor: Actor, row: Alert, reason: str) -> Alert:
    """A person ends what tells nothing any more, or what another tool forgot to end. What is in breach still can't be
    ended, only silenced."""
    rows = Alert.objects.select_for_update(of=("self",)).select_related("system__client", "verdict", "incident")
    alert = rows.get(pk=row.pk)
    client = alert.system.client.slug
    actor.require(Role.RESPONDER, client)
    if alert.resolved_at is not None:
        return alert
    if not reason.strip():
        raise Invalid("Ending an alert needs a reason.")
    if alert.verdict is not None and alert.verdict.status == "breach":
        raise Conflict("It is in breach.", "Silence it, or mend what is wrong.")
    now = clock.now()
    _end(alert, "by_person", now)
    record(actor, "alert.ended", f"alert/{alert.pk}", client, {"alert": alert.name, "reason": reason[:300]})
    due(alert.group_id, now)
    incident = alert.incident
    if incident is not None and incident.status == "open":
        text = f"{actor.name} ended the alert of {alert.name}: {reason.strip()[:300]}"
        timeline(actor, incident, "alert.ended", text, {"alert": alert.pk})
        if alert.verdict is not None:
            _settle(incident.system, incident.environment, now)
    return alert


def move_alerts(twin: Incident, kept: Incident) -> int:
    """In the transaction that calls `twin` a duplicate of `kept`."""
    return Alert.objects.filter(incident=twin).update(incident=kept)
