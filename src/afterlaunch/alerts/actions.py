"""Verdicts to alerts, alerts to incidents. Everything is read from rows, so that a crash loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.alerts.models import Alert, Silence
from afterlaunch.alerts.rules import Firing, ends, fires, tell
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import open_incident, recovered, relapsed, timeline
from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict

JUDGES = automation("judges")
LONGEST_SILENCE = timedelta(days=7)


@transaction.atomic
def silence(actor: Actor, system: System, until: datetime, comment: str, judge: str = "") -> Silence:
    """Nobody is paged for this system (or this judge of it) until then; alerts are recorded and shown all the same."""
    actor.require(Role.RESPONDER, system.client.slug)
    now = clock.now()
    if not comment.strip() or not now < until <= now + LONGEST_SILENCE:
        raise Invalid("A silence needs a comment and an end within seven days.")
    row = Silence.objects.create(
        client=system.client.slug,
        system=system.key,
        judge=judge,
        starts_at=now,
        ends_at=until,
        author=actor.name,
        comment=comment.strip()[:300],
    )
    details = {"system": system.key, "judge": judge, "until": until.isoformat(), "comment": row.comment}
    record(actor, "silence.made", f"silence/{row.pk}", system.client.slug, details)
    return row


def work(now: datetime, titles: Mapping[str, str]) -> None:
    """One pass over all verdicts that breach and all alerts that fire. `titles`: judge name -> title."""
    places: dict[tuple[str, str, str], list[Verdict]] = {}
    firing = Alert.objects.filter(resolved_at=None).values_list("verdict_id", flat=True)
    rows = Verdict.objects.filter(status="breach") | Verdict.objects.filter(pk__in=list(firing))
    for verdict in rows:
        places.setdefault((verdict.client, verdict.system, verdict.environment), []).append(verdict)
    for place, verdicts in places.items():
        _work_place(place, verdicts, now, titles)


@transaction.atomic
def _work_place(place: tuple[str, str, str], verdicts: list[Verdict], now: datetime, titles: Mapping[str, str]) -> None:
    """Alerts, incident, pages and evidence of one system and environment, all or none."""
    client, key, environment = place
    system = System.objects.select_related("client", "owner").filter(client__slug=client, key=key).first()
    if system is None:
        return  # its telemetry is noticed within seconds; the verdict row waits
    known = {
        alert.verdict_id: alert
        for alert in Alert.objects.select_for_update().filter(resolved_at=None, verdict__in=verdicts)
    }
    fresh = [v for v in verdicts if v.pk not in known and fires(v.status, v.since, now) == "breach_holds"]
    for verdict in verdicts:
        alert = known.get(verdict.pk)
        if alert and ends(verdict.status, verdict.since, now) == "healthy_long_enough":
            alert.resolved_at = now
            alert.save(update_fields=["resolved_at"])
    if fresh:
        _raise(system, environment, fresh, now, titles)
    _settle(system, environment, now)


def _raise(system: System, environment: str, fresh: list[Verdict], now: datetime, titles: Mapping[str, str]) -> None:
    silences = Silence.objects.filter(client=system.client.slug, system=system.key, starts_at__lte=now, ends_at__gt=now)
    quiet = {row.judge: row for row in silences}
    loud: list[Alert] = []
    for verdict in fresh:
        by = quiet.get(verdict.judge) or quiet.get("")
        alert = Alert.objects.create(
            verdict=verdict,
            explanation=verdict.explanation,
            severity=verdict.severity,
            fired_at=now,
            suppressed_by=f"silence {by.pk} of {by.author}" if by else "",
        )
        if not by:
            loud.append(alert)
    if not loud:
        return
    told = [
        Firing(v.judge, titles.get(v.judge, v.judge), v.severity, v.explanation, v.route, v.arm, v.since)
        for v in (alert.verdict for alert in loud)
    ]
    story = tell(system.name, environment, told)
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
    )
    if incident.recovered_at is not None:
        relapsed(JUDGES, incident, story.summary)
    for alert in loud:
        alert.incident = incident
        alert.save(update_fields=["incident"])
        verdict = alert.verdict
        where = " ".join(part for part in (verdict.route, verdict.arm, verdict.provider) if part)
        text = f"{titles.get(verdict.judge, verdict.judge)}{f' ({where})' if where else ''}: {alert.explanation}"
        timeline(JUDGES, incident, "alert", text, {"verdict": verdict.pk, "judge": verdict.judge})


def _settle(system: System, environment: str, now: datetime) -> None:
    """When no alert of an open incident fires any more, it has recovered."""
    fingerprint = f"{system.client.slug}/{system.key}/{environment}"
    incident = Incident.objects.filter(fingerprint=fingerprint, status="open", recovered_at=None).first()
    if incident is None or not incident.alerts.exists():
        return
    if not incident.alerts.filter(resolved_at=None).exists():
        recovered(JUDGES, incident, now)
