"""Gathering what a review's draft is made from: rows, the timeline, and sums of the system's calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.db.models import Q

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, Unavailable
from afterlaunch.incidents.checklist import took_of
from afterlaunch.incidents.kinds import kind_named
from afterlaunch.incidents.models import Assignment, Incident, Tick, TimelineEntry
from afterlaunch.incidents.reviews.drafting import Line, Measured, Recorded, window_end
from afterlaunch.incidents.updates.promises import hours_of
from afterlaunch.telemetry.queries import answered
from afterlaunch.telemetry.store import current

PROMISES = 5


def gathered(incident: Incident) -> Recorded:
    system = incident.system
    entries = list(incident.timeline.all())
    roles = _roles(incident, entries)
    return Recorded(
        number=incident.pk,
        title=incident.title,
        summary=incident.summary,
        kind=kind_named(incident.kind).title.lower(),
        severity=incident.severity,
        peak=incident.peak_severity,
        system=system.name,
        environment=incident.environment,
        zone=hours_of(system).zone,
        occurred=incident.occurred_at,
        detected=incident.detected_at,
        took=vars(took_of(incident)),
        impact=incident.impact,
        cause=incident.cause,
        cause_key=incident.cause_key,
        fix=incident.fix,
        skipped=[one["phase"] for one in incident.skipped],
        repeats=_repeats(incident),
        measured=_measured(incident),
        lines=[Line(row.at, row.kind, _unnamed(row.text, roles), _role(row, roles), row.sequence) for row in entries],
        measures=[
            f"{_unnamed(row.text, roles)} ({row.get_state_display().lower()})"
            for row in incident.measures.order_by("pk")
        ],
        promise=[row.text for row in entries if row.kind.startswith("clock.")][-PROMISES:] or _promise(incident),
        seen=_seen(incident),
        hashes=[
            *(f"Timeline: {len(entries)} entries, the last with hash {row.hash}" for row in entries[-1:]),
            *(f"File {row.name}: SHA-256 {row.sha256}" for row in incident.files.filter(removed_at=None)),
        ],
    )


def _roles(incident: Incident, entries: Sequence[TimelineEntry]) -> Mapping[str, str]:
    """Name -> role of everybody who acted, so that nobody is named in a review."""
    held = Assignment.objects.filter(incident=incident).select_related("person").order_by("-pk")
    others = {row.actor: "A colleague" for row in entries if row.actor_kind == "person"}
    return {**others, **{str(row.person): row.get_role_display() for row in held}}


def _unnamed(text: str, roles: Mapping[str, str]) -> str:
    """With roles in the place of names, the longest name first."""
    for name in sorted(roles, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", roles[name].lower(), text)
    return text


def _role(row: TimelineEntry, roles: Mapping[str, str]) -> str:
    if row.actor_kind == "automation":
        return f"Machine ({row.actor})"
    return roles.get(row.actor, "Token" if row.actor_kind == "token" else "A colleague")


def _repeats(incident: Incident) -> list[int]:
    """Earlier incidents of the same cause, or of which this one is the return."""
    chain = Q(pk=incident.recurrence_of_id or 0)
    if incident.cause_key:
        chain |= Q(cause_key=incident.cause_key)
    rows = Incident.objects.filter(chain, system__client=incident.system.client_id, pk__lt=incident.pk)
    return sorted(rows.values_list("pk", flat=True))


def _promise(incident: Incident) -> list[str]:
    if incident.acknowledged_at is None:
        return ["Nobody acknowledged it."]
    return [f"First response after {took_of(incident).acknowledge:.0f} s; see the clock on the incident's page."]


def _seen(incident: Incident) -> list[str]:
    items = {f"{incident.kind}/{one.key}": one.text for one in kind_named(incident.kind).evidence}
    ticks = Tick.objects.filter(incident=incident, list="evidence", key__in=items)
    return [f"{items[tick.key]}{f': {tick.said}' if tick.said else ''}" for tick in ticks]


def _measured(incident: Incident) -> Measured:
    """Sums of the system's calls while it lasted. What can't be asked now is not assessed."""
    start = incident.occurred_at or incident.detected_at
    end = window_end(incident.resolved_at, incident.recovered_at, start)
    client = frozenset({incident.system.client.slug})
    place = {"system": incident.system.key, "environment": incident.environment or None}
    asked = {name: value for name, value in place.items() if value}
    try:
        whole = answered(start, end, [], client, **asked)
        users = _users(incident, clock.to_ns(start), clock.to_ns(end))
    except (Unavailable, Invalid) as problem:
        return Measured(why=problem.message)
    if not whole:
        return Measured(calls=0, failed=0)
    one = whole[0]
    cost = None if one.calls_unknown_cost else f"{Decimal(one.cost_nano) / 10**9:.4f}"
    return Measured(one.calls, one.failed, cost, users)


def _users(incident: Incident, start: int, end: int) -> int | None:
    """How many users called; None when no call told its user."""
    asked = [incident.system.client.slug, incident.system.key, start, end]
    found = current().query(
        'select count(distinct "user") as users from calls where client = ? and system = ? and start_ns >= ?'
        " and start_ns < ?",
        asked,
    )
    return int(found[0]["users"]) or None
