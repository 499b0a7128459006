"""A status page as facts: what its JSON tells, and what HTML and RSS are written of."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from afterlaunch.ground.errors import Unavailable
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.kinds import kind_named
from afterlaunch.incidents.models import Incident
from afterlaunch.probes.templatetags.probing import tone as uptime_tone
from afterlaunch.probes.times import Record, records
from afterlaunch.probes.uptime import shown
from afterlaunch.status_pages.models import Maintenance, Publication, StatusComponent, StatusPage
from afterlaunch.status_pages.rules import HEADLINES, TITLES, TONES, Override, State, Trouble, state_of, worst

log = logging.getLogger(__name__)
HISTORY = timedelta(days=90)
AHEAD = timedelta(days=90)
DAYS = 90
MOST_PUBLICATIONS = 100


def of_security(incident: Incident) -> bool:
    return kind_named(incident.kind).severity.security


def document(page: StatusPage, now: datetime) -> dict[str, Any]:
    """Everything that outsiders may know, as plain values; a fixed number of questions."""
    parts = list(page.components.select_related("system__client"))
    works = list(page.maintenances.filter(ends_at__gt=now - HISTORY, starts_at__lt=now + AHEAD))
    told = _publications(page, now)
    troubles = _troubles(page, parts)
    running = [one for one in works if one.starts_at <= now < one.ends_at]
    maintained = set(Maintenance.components.through.objects.filter(maintenance__in=running).values_list(
        "statuscomponent_id", flat=True
    ))  # fmt: skip
    states = {one.pk: state_of(troubles[one.pk], one.pk in maintained, _override(one)) for one in parts}
    uptimes = _uptimes(parts, now)
    whole = worst(states.values())
    address = f"{settings().public_url}{page.get_absolute_url()}"
    return {
        "title": page.title,
        "about": page.about,
        "address": address,
        "written_at": now.isoformat(),
        "state": whole.value if parts else "unknown",
        "headline": HEADLINES[whole] if parts else "No component is on this page yet",
        "tone": TONES[whole] if parts else "not_assessed",
        "components": [_component(one, states[one.pk], uptimes.get(one.system_id)) for one in parts],
        "incidents": [one for one in told if one["phase"] != "resolved"],
        "maintenance": [_work(one, now) for one in works if one.ends_at > now],
        "history": [one for one in told if one["phase"] == "resolved"],
    }


def _troubles(page: StatusPage, parts: list[StatusComponent]) -> dict[int, list[Trouble]]:
    """Open incidents of each component. One of security counts only once a person has published it here."""
    systems = {one.system_id for one in parts}
    published = set(page.publications.filter(state="published").values_list("incident_id", flat=True))
    rows = [
        row
        for row in Incident.objects.filter(system__in=systems, status="open")
        if not of_security(row) or row.pk in published
    ]
    return {
        one.pk: [
            Trouble(row.severity, row.detected_at, row.recovered_at is not None)
            for row in rows
            if row.system_id == one.system_id and one.environment in ("", row.environment)
        ]
        for one in parts
    }


def _override(one: StatusComponent) -> Override | None:
    return Override(State(one.override), one.override_at) if one.override and one.override_at else None


def _uptimes(parts: list[StatusComponent], now: datetime) -> dict[int, Record]:
    systems = {one.system_id: one.system for one in parts if one.uptime}
    try:
        return {one.system.pk: one for one in records(list(systems.values()), now, DAYS)}
    except Unavailable as problem:  # without its store the page must stand; uptime is not known then
        log.warning("uptime of a status page is not known: %s", problem)
        return {}


def _component(one: StatusComponent, state: State, record: Record | None) -> dict[str, Any]:
    whole = record.over(DAYS) if record is not None else None
    return {
        "name": one.name,
        "about": one.about,
        "state": state.value,
        "state_title": TITLES[state],
        "tone": TONES[state],
        "said_by_a_person": bool(one.override),
        "uptime": None if whole is None else shown(whole.share),
        "uptime_formula": None if whole is None else whole.formula,
        "days": [
            {"day": day.day.isoformat(), "uptime": shown(day.uptime.share), "tone": uptime_tone(day.uptime.share)}
            for day in (record.days if record is not None else ())
        ],
    }


def _publications(page: StatusPage, now: datetime) -> list[dict[str, Any]]:
    recent = Q(ends_at=None) | Q(ends_at__gt=now - HISTORY)
    rows = page.publications.filter(recent, state="published").prefetch_related("posts", "components")
    return [_publication(one) for one in rows[:MOST_PUBLICATIONS]]


def _publication(one: Publication) -> dict[str, Any]:
    return {
        "id": one.pk,
        "title": one.title,
        "phase": one.phase,
        "starts_at": one.starts_at.isoformat(),
        "ends_at": one.ends_at.isoformat() if one.ends_at else None,
        "components": [part.name for part in one.components.all()],
        "posts": [
            {"id": post.pk, "at": post.at.isoformat(), "phase": post.phase, "text": post.text}
            for post in one.posts.all()
        ],
    }


def _work(one: Maintenance, now: datetime) -> dict[str, Any]:
    return {
        "id": one.pk,
        "title": one.title,
        "about": one.about,
        "starts_at": one.starts_at.isoformat(),
        "ends_at": one.ends_at.isoformat(),
        "under_way": one.starts_at <= now,
        "components": [part.name for part in one.components.all()],
    }
