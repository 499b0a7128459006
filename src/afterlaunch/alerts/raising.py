"""Groups that are due become incidents, or news of one. Each in a transaction of its own, from rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from afterlaunch.alerts import news, storms
from afterlaunch.alerts.ending import calm, expire
from afterlaunch.alerts.grouping import Decision, Told, needs_telling
from afterlaunch.alerts.models import Alert, Group
from afterlaunch.alerts.occurring import ALERTS, happens
from afterlaunch.alerts.rules import GRAVEST
from afterlaunch.alerts.suppressing import suppress
from afterlaunch.alerts.suppression import AllRules, Suppression, ends_first
from afterlaunch.ground import clock
from afterlaunch.incidents.actions import open_incident, recovered, relapsed, timeline, timelines
from afterlaunch.incidents.models import Incident

AT_ONCE = 500  # groups of one run
SECONDS = 1.0  # real ones that one cycle may take, so that the duties behind it have their turn
LOOK_AGAIN = timedelta(seconds=30)  # at what is suppressed by something whose end nobody knows
AFTER_FAILURE = timedelta(minutes=1)
NAMED = 10  # alerts that a telling names one by one
REPEAT = timedelta(hours=4)


def raise_due(now: datetime) -> bool:
    """One pass: what is over by itself ends, storms are taken as one, then the groups that are due are looked
    at. True: time ran out, and the rest is for the next cycle."""
    expire(now)
    calm(now)
    rules = AllRules(now)
    storms.take(now, rules)
    due = Group.objects.filter(next_at__lte=now).order_by("next_at", "pk").values_list("pk", flat=True)
    failed: Exception | None = None
    passed, more = clock.stopwatch(), False
    for pk in list(due[:AT_ONCE]):
        if more := passed() > SECONDS:
            break
        try:
            _look_at(pk, now, rules)
        except Exception as problem:  # noqa: BLE001 - the others are looked at before it is raised again
            failed = problem
            Group.objects.filter(pk=pk).update(next_at=now + AFTER_FAILURE)
    if failed is not None:
        raise failed
    return more


@transaction.atomic
def _look_at(pk: int, now: datetime, rules: AllRules) -> None:
    """The conditional update decides which process looks at it; a crash takes the update back with the rest."""
    if not Group.objects.filter(pk=pk, next_at__lte=now).update(next_at=None):
        return
    rows = Group.objects.select_related("system__client", "system__owner", "integration", "incident")
    group = rows.get(pk=pk)
    held = group.alerts.filter(resolved_at=None).select_related("system__client").order_by("fired_at", "pk")
    if connection.features.has_select_for_update:
        held = held.select_for_update(of=("self",))
    firing = [one for one in held if one.severity]
    found = suppress(rules.of(group.system.client.slug), firing, now)
    _note_flapping(group, firing, now)
    loud = [one for one in firing if not one.suppressed_as]
    last = Told(frozenset(group.sent_firing), frozenset(group.sent_resolved), group.sent_at) if group.sent_at else None
    over = frozenset(group.sent_firing) - {one.pk for one in loud}
    decision = needs_telling(last, frozenset(one.pk for one in loud), over, _repeat(group), True, now)
    if decision.yes:
        _tell(group, loud, decision, now)
        group.sent_at, group.sent_firing, group.sent_resolved = now, [one.pk for one in loud], sorted(over)
    group.suppressed = len(found)
    _settle(group, firing, now)
    begins = rules.of(group.system.client.slug).silence_begins_at if loud else None
    following = _next(group, bool(loud), found, begins, now)
    Group.objects.filter(pk=pk).update(
        sent_at=group.sent_at,
        sent_firing=group.sent_firing,
        sent_resolved=group.sent_resolved,
        suppressed=group.suppressed,
        incident=group.incident,
        next_at=following,
    )


def _note_flapping(group: Group, firing: Sequence[Alert], now: datetime) -> None:
    """One notice for each alert that is held open because it came and went."""
    for alert in firing:
        if alert.flapping_since is None:
            continue
        occurrence = f"flapping-{alert.pk}-{alert.flapping_since:%Y%m%dT%H%M%S}"
        if alert.occurrences.filter(kind="flap told", text=occurrence).exists():
            continue
        said = "It is held open until it has been quiet for 15 minutes, and pages no more meanwhile."
        title = f"Flapping: {alert.name}, {group.system.name}"
        news.tell(
            group.system.client,
            f"alert/{alert.pk}",
            occurrence,
            "alert.flapping",
            title,
            [said],
            f"/alerts/{alert.pk}",
            now,
        )
        happens([alert], "flap told", occurrence, now)
        if group.incident is not None and group.incident.status == "open":
            timeline(
                ALERTS, group.incident, "alert.flapping", f"{alert.name} comes and goes. {said}", {"alert": alert.pk}
            )


def _repeat(group: Group) -> timedelta:
    return timedelta(seconds=group.integration.repeat_interval) if group.integration is not None else REPEAT


def _next(
    group: Group, loud: bool, found: Sequence[Suppression], begins: datetime | None, now: datetime
) -> datetime | None:
    """When it is looked at again though nothing new is told. `begins`: when a silence will be in force."""
    when = [] if begins is None else [begins]
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
    """Its own, or the storm's that it belongs to while that is open."""
    if group.storm and group.incident is not None and group.incident.status == "open":
        return storms.incident_of(group.incident, loud)
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
    told: list[tuple[str, str, dict[str, int]]] = [
        ("alert", f"{one.name}: {one.explanation}", {"alert": one.pk, "group": group.pk}) for one in fresh[:NAMED]
    ]
    if len(fresh) > NAMED:
        text = f"And {len(fresh) - NAMED} more alerts of the group."
        told.append(("alert", text, {"group": group.pk, "alerts": len(fresh)}))
    if any(one.severity_unknown for one in fresh):
        text = "Its teller gave no severity that we know: P2 until somebody sets it."
        told.append(("triage", text, {"group": group.pk}))
    timelines(ALERTS, incident, told)


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
