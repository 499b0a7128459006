"""Groups that are due become incidents, or news of one. Each in a transaction of its own, from rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from afterlaunch.alerts.grouping import Decision, Told, needs_telling
from afterlaunch.alerts.models import Alert, Group, Occurrence
from afterlaunch.alerts.rules import GRAVEST
from afterlaunch.alerts.suppression import Rules, Suppression, ends_first, mark
from afterlaunch.alerts.told import FLAP_WINDOW
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import open_incident, recovered, relapsed, timeline
from afterlaunch.incidents.models import Incident

ALERTS = automation("alerts")
AT_ONCE = 500  # groups of one run
LOOK_AGAIN = timedelta(seconds=30)  # at what is suppressed by something whose end nobody knows
NAMED = 10  # alerts that a telling names one by one
REPEAT = timedelta(hours=4)


def raise_due(now: datetime) -> None:
    """One pass: what is over by itself ends, then every group that is due is looked at."""
    expire(now)
    calm(now)
    for pk in list(
        Group.objects.filter(next_at__lte=now).order_by("next_at", "pk").values_list("pk", flat=True)[:AT_ONCE]
    ):
        _look_at(pk, now)


def expire(now: datetime) -> None:
    """Firing alerts that were not told again in time end, named so: nobody said that they recovered."""
    late = Alert.objects.filter(resolved_at=None, expires_at__lte=now).order_by("pk")
    for alert in list(late[:2000]):
        with transaction.atomic():
            won = Alert.objects.filter(pk=alert.pk, resolved_at=None, expires_at=alert.expires_at).update(
                resolved_at=now, ended_because="expired"
            )
            if won:
                text = "It was not told again in time; nobody said that it recovered."
                _happens([alert], "expired", text, now)
                due(alert.group_id, now)


def calm(now: datetime) -> None:
    """What was held open because it flapped is let go after a quiet while."""
    since = now - FLAP_WINDOW
    for alert in list(Alert.objects.filter(resolved_at=None, flapping_since__lte=since).order_by("pk")[:2000]):
        moves = Occurrence.objects.filter(fingerprint=alert.fingerprint, kind__in=("firing", "resolved"), at__gt=since)
        if moves.exists():
            continue
        with transaction.atomic():
            over = alert.told_resolved_at is not None
            values = {"resolved_at": now, "ended_because": "resolved"} if over else {}
            rows = Alert.objects.filter(pk=alert.pk, resolved_at=None, flapping_since=alert.flapping_since)
            if rows.update(flapping_since=None, told_resolved_at=None, **values):
                _happens([alert], "calm", "Quiet for 15 min: it is over." if over else "Quiet for 15 min.", now)
                due(alert.group_id, now)


def due(group: int | None, now: datetime) -> None:
    """Look at this group in the next pass."""
    if group is not None:
        Group.objects.filter(pk=group).update(next_at=now)


def _happens(alerts: Sequence[Alert], kind: str, text: str, now: datetime) -> None:
    Occurrence.objects.bulk_create(
        [Occurrence(alert=one, fingerprint=one.fingerprint, at=now, kind=kind, text=text[:500]) for one in alerts]
    )


@transaction.atomic
def _look_at(pk: int, now: datetime) -> None:
    """The conditional update decides which process looks at it; a crash takes the update back with the rest."""
    if not Group.objects.filter(pk=pk, next_at__lte=now).update(next_at=None):
        return
    rows = Group.objects.select_related("system__client", "system__owner", "integration", "incident")
    group = rows.get(pk=pk)
    held = group.alerts.filter(resolved_at=None).select_related("system__client").order_by("fired_at", "pk")
    if connection.features.has_select_for_update:
        held = held.select_for_update(of=("self",))
    firing = [one for one in held if one.severity]
    found = _suppress(group, firing, now)
    loud = [one for one in firing if not one.suppressed_as]
    last = Told(frozenset(group.sent_firing), frozenset(group.sent_resolved), group.sent_at) if group.sent_at else None
    over = frozenset(group.sent_firing) - {one.pk for one in loud}
    decision = needs_telling(last, frozenset(one.pk for one in loud), over, _repeat(group), True, now)
    if decision.yes:
        _tell(group, loud, decision, now)
        group.sent_at, group.sent_firing, group.sent_resolved = now, [one.pk for one in loud], sorted(over)
    group.suppressed = len(found)
    _settle(group, firing, now)
    following = _next(group, bool(loud), found, now)
    Group.objects.filter(pk=pk).update(
        sent_at=group.sent_at,
        sent_firing=group.sent_firing,
        sent_resolved=group.sent_resolved,
        suppressed=group.suppressed,
        incident=group.incident,
        next_at=following,
    )


def _suppress(group: Group, firing: Sequence[Alert], now: datetime) -> list[Suppression]:
    """Ask the rules of every firing alert; write what altered. Returns what suppresses, one for each alert that is."""
    rules, found, altered = Rules(group.system.client.slug, now), [], []
    for alert in firing:
        by = rules.of(alert)
        if by is not None:
            found.append(by)
        if mark(alert, by, now):
            altered.append(alert)
    Alert.objects.bulk_update(altered, ("suppressed_as", "suppressed_by", "loud_at"), batch_size=400)
    quiet = [one for one in altered if one.suppressed_as]
    for by_text in dict.fromkeys(one.suppressed_by for one in quiet):
        _happens([one for one in quiet if one.suppressed_by == by_text], "suppressed", f"By {by_text}.", now)
    _happens([one for one in altered if not one.suppressed_as], "loud", "Nothing suppresses it any more.", now)
    return found


def _repeat(group: Group) -> timedelta:
    return timedelta(seconds=group.integration.repeat_interval) if group.integration is not None else REPEAT


def _next(group: Group, loud: bool, found: Sequence[Suppression], now: datetime) -> datetime | None:
    """When it is looked at again though nothing new is told."""
    when = []
    if loud and group.sent_at is not None:
        when.append(group.sent_at + _repeat(group) + timedelta(seconds=1))
    if found:
        first = ends_first(found)
        when.append(max(first, now) if first is not None else now + LOOK_AGAIN)
        if any(one.ends_at is None for one in found):
            when.append(now + LOOK_AGAIN)
    return min(when, default=None)


def detected(alert: Alert) -> datetime:
    """When the clock of its incident begins: when it was stored, or when its suppression ended."""
    return max(alert.fired_at, alert.loud_at) if alert.loud_at else alert.fired_at


def gravest_first(alerts: Sequence[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda one: (GRAVEST.index(one.severity), one.started_at, one.pk))


def _tell(group: Group, loud: Sequence[Alert], decision: Decision, now: datetime) -> None:
    """What fires is told to its incident, which opens when there is none."""
    if not loud:
        return  # what is over is told by `_settle`
    fresh = [one for one in loud if one.pk not in set(group.sent_firing)]
    incident = group.incident
    if decision.reason in ("repeat", "more_resolved") and incident is not None and incident.status == "open":
        timeline(ALERTS, incident, "alert", _still(group, loud), {"group": group.pk})
        return
    incident = _incident(group, loud, min((detected(one) for one in fresh), default=now))
    if incident.recovered_at is not None:
        relapsed(ALERTS, incident, _said(loud))
    group.incident = incident
    Alert.objects.filter(pk__in=[one.pk for one in loud]).update(incident=incident)
    _note(incident, group, fresh or loud)


def _incident(group: Group, loud: Sequence[Alert], at: datetime) -> Incident:
    ordered = gravest_first(loud)
    first, system = ordered[0], group.system
    more = f" and {len(loud) - 1} more" if len(loud) > 1 else ""
    return open_incident(
        ALERTS,
        system=system,
        environment=group.environment,
        title=f"{first.name}{more}: {system.name}, {group.environment}",
        severity=first.severity,
        summary=_said(ordered),
        fingerprint=f"group/{group.key}",
        detected_at=at,
        occurred_at=min(one.started_at for one in loud),
        route=first.labels.get("route", "")[:60] or None,
        arm=first.labels.get("arm", "")[:20] or None,
    )


def _still(group: Group, loud: Sequence[Alert]) -> str:
    fires = f"{len(loud)} alerts fire" if len(loud) > 1 else "1 alert fires"
    over = len(set(group.sent_firing) - {one.pk for one in loud})
    return f"{fires} still{f', {over} ended' if over else ''}."


def _said(alerts: Sequence[Alert]) -> str:
    told = list(dict.fromkeys(one.explanation for one in alerts))
    more = f" And {len(told) - 3} more." if len(told) > 3 else ""
    return " ".join(told[:3]) + more


def _note(incident: Incident, group: Group, fresh: Sequence[Alert]) -> None:
    for alert in fresh[:NAMED]:
        timeline(
            ALERTS, incident, "alert", f"{alert.name}: {alert.explanation}", {"alert": alert.pk, "group": group.pk}
        )
    if len(fresh) > NAMED:
        text = f"And {len(fresh) - NAMED} more alerts of the group."
        timeline(ALERTS, incident, "alert", text, {"group": group.pk, "alerts": len(fresh)})
    if any(one.severity_unknown for one in fresh):
        text = "Its teller gave no severity that we know: P2 until somebody sets it."
        timeline(ALERTS, incident, "triage", text, {"group": group.pk})


def _settle(group: Group, firing: Sequence[Alert], now: datetime) -> None:
    """When no alert of an open incident fires any more, it has recovered. What expired tells nothing of recovery, and
    the timeline says so."""
    incident = group.incident
    if incident is None or firing:
        return
    fresh = Incident.objects.select_related("system__client").get(pk=incident.pk)
    if fresh.status != "open" or fresh.recovered_at is not None or fresh.alerts.filter(resolved_at=None).exists():
        return
    ended = list(fresh.alerts.filter(group=group).order_by("-resolved_at")[:NAMED])
    if ended and ended[0].ended_because == "expired":
        text = "Its alerts were not told again in time, so they ended. Nobody said that it recovered."
        timeline(ALERTS, fresh, "alert.expired", text, {"group": group.pk})
        return
    recovered(ALERTS, fresh, max((one.resolved_at for one in ended if one.resolved_at), default=now))
