"""Deeds on status pages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.status_pages import letters
from afterlaunch.status_pages.models import Maintenance, Post, Publication, StatusComponent, StatusPage
from afterlaunch.status_pages.rules import PHASES, State

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,59}")
MOST_COMPONENTS = 100
LONGEST_WORK = timedelta(days=30)


@dataclass(frozen=True)
class Part:
    """A component as it is declared: a system's key, one environment or all (""), and a name for outsiders."""

    system: str
    name: str
    environment: str = ""
    about: str = ""
    uptime: bool = True


def pages_seen_by(actor: Actor) -> QuerySet[StatusPage]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = StatusPage.objects.select_related("client")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def page_by_id(actor: Actor, pk: int) -> StatusPage:
    row = pages_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no status page {pk}.")
    return row


def page_at(key: str) -> StatusPage:
    """By the last part of its address. A page that is not public is found by its secret alone."""
    found = StatusPage.objects.select_related("client").filter(slug=key, public=True).first()
    found = found or StatusPage.objects.select_related("client").filter(secret=key, public=False).first()
    if found is None:
        raise NotFound("There is no status page under this address.")
    return found


@transaction.atomic
def put_page(
    actor: Actor,
    client: Client,
    slug: str,
    title: str,
    parts: Sequence[Part],
    about: str = "",
    public: bool = False,
    policy: str = "draft",
) -> StatusPage:
    """Make one, or alter it. The list of components is the whole list; one of a known name keeps its history."""
    actor.require(Role.OPERATOR, client.slug)
    if not SLUG.fullmatch(slug):
        raise Invalid(f"{slug!r} is no address for a status page.", "Small letters, digits and -, 2 to 60.")
    if not title.strip() or policy not in ("draft", "publish", "nothing") or len(parts) > MOST_COMPONENTS:
        raise Invalid("A status page has a title, a policy, and at most 100 components.")
    known = StatusPage.objects.select_for_update(of=("self",)).filter(slug=slug).first()
    if known is not None and known.client_id != client.pk:
        raise Conflict(f"The address {slug!r} is taken.", "Choose another one.")
    now = clock.now()
    row = known or StatusPage(client=client, slug=slug, secret=secrets.token_urlsafe(24), created_at=now)
    row.title, row.about, row.public, row.policy = title.strip()[:200], about[:5_000], public, policy
    row.save()
    _put_parts(row, parts)
    told = {"slug": slug, "title": row.title, "public": public, "policy": policy, "parts": [one.name for one in parts]}
    record(actor, "status_page.put", f"status_page/{row.pk}", client.slug, told)
    return row


def _put_parts(row: StatusPage, parts: Sequence[Part]) -> None:
    names = [one.name.strip() for one in parts]
    if len(set(names)) != len(names) or not all(names):
        raise Invalid("Each component needs a name of its own.")
    row.components.exclude(name__in=names).delete()
    systems = {one.key: one for one in System.objects.filter(client=row.client)}
    for position, one in enumerate(parts):
        if one.system not in systems:
            raise Invalid(f"There is no system {one.system!r} of this client.")
        values = {
            "system": systems[one.system],
            "environment": one.environment.strip()[:60],
            "about": one.about[:300],
            "uptime": one.uptime,
            "position": position,
        }
        StatusComponent.objects.update_or_create(page=row, name=one.name.strip()[:100], defaults=values)


@transaction.atomic
def remove_page(actor: Actor, row: StatusPage) -> None:
    """With its history and its subscribers."""
    actor.require(Role.OPERATOR, row.client.slug)
    record(actor, "status_page.removed", f"status_page/{row.pk}", row.client.slug, {"slug": row.slug})
    row.delete()


@transaction.atomic
def new_address(actor: Actor, row: StatusPage) -> StatusPage:
    """The secret address of a page that is not public opens nothing from now on."""
    actor.require(Role.OPERATOR, row.client.slug)
    row.secret = secrets.token_urlsafe(24)
    row.save(update_fields=["secret"])
    record(actor, "status_page.readdressed", f"status_page/{row.pk}", row.client.slug, {"slug": row.slug})
    return row


@transaction.atomic
def say_state(actor: Actor, row: StatusPage, component: int, state: str, why: str) -> StatusComponent:
    """A person says what a component's state is, also better than its worst incident; "": its incidents say."""
    actor.require(Role.RESPONDER, row.client.slug)
    part = row.components.filter(pk=component).first()
    if part is None:
        raise NotFound(f"There is no component {component}.")
    if state and state not in {one.value for one in State}:
        raise Invalid(f"{state!r} is no state.", "Use one of: " + ", ".join(one.value for one in State))
    if state and not why.strip():
        raise Invalid("A state that a person says needs a reason.")
    part.override, part.override_why = state, why.strip()[:300] if state else ""
    part.override_at, part.override_by = (clock.now(), actor.name) if state else (None, "")
    part.save()
    told = {"component": part.name, "state": state or "by its incidents", "why": why.strip()[:300]}
    record(actor, "status_page.state_said", f"status_page/{row.pk}", row.client.slug, told)
    return part


@transaction.atomic
def write(
    actor: Actor, row: StatusPage, title: str, text: str, components: Sequence[int], phase: str = "investigating"
) -> Publication:
    """Publish something that a person wrote, of no incident here."""
    actor.require(Role.RESPONDER, row.client.slug)
    if not title.strip():
        raise Invalid("A publication needs a title.")
    now = clock.now()
    made = Publication.objects.create(page=row, title=title.strip()[:200], phase=phase, starts_at=now)
    made.components.set(row.components.filter(pk__in=components))
    _publish(actor, made, now)
    return post(actor, made, text, phase)


@transaction.atomic
def publish(actor: Actor, publication: Publication, title: str = "") -> Publication:
    """A person shows a draft, also of a security incident."""
    row = _locked(actor, publication)
    if title.strip():
        row.title = title.strip()[:200]
        row.save(update_fields=["title"])
    now = clock.now()
    if row.state != "published":
        _publish(actor, row, now)
        newest = row.posts.first()
        if newest is not None:
            letters.announce(row, newest, now)
    return row


def _publish(actor: Actor, row: Publication, now: datetime) -> None:
    row.state, row.published_at = "published", now
    row.save(update_fields=["state", "published_at"])
    _tell(actor, row, "status_page.published", {"title": row.title, "incident": row.incident_id})


@transaction.atomic
def withhold(actor: Actor, publication: Publication) -> Publication:
    """Nobody outside sees it, from now on."""
    row = _locked(actor, publication)
    row.state = "withheld"
    row.save(update_fields=["state"])
    _tell(actor, row, "status_page.withheld", {"title": row.title})
    return row


@transaction.atomic
def post(
    actor: Actor, publication: Publication, text: str, phase: str, source: str = "", at: datetime | None = None
) -> Publication:
    """Tell more about it; subscribers of a published one get a mail. One `source` is told once."""
    row = _locked(actor, publication)
    if phase not in PHASES:
        raise Invalid(f"{phase!r} is no phase.", "Use one of: " + ", ".join(PHASES))
    if not text.strip():
        raise Invalid("There is nothing to tell.")
    if source and row.posts.filter(source=source).exists():
        return row
    now = at or clock.now()
    made = Post.objects.create(
        publication=row, at=now, phase=phase, text=text.strip()[:10_000], author=actor.name, source=source
    )
    row.phase, row.ends_at = phase, now if phase == "resolved" else None
    row.save(update_fields=["phase", "ends_at"])
    _tell(actor, row, "status_page.posted", {"title": row.title, "phase": phase, "text": made.text[:500]})
    if row.state == "published":
        letters.announce(row, made, now)
    return row


@transaction.atomic
def plan_work(
    actor: Actor, row: StatusPage, title: str, about: str, starts_at: datetime, ends_at: datetime, parts: Sequence[int]
) -> Maintenance:
    """Scheduled maintenance, told ahead on the page and to subscribers."""
    actor.require(Role.OPERATOR, row.client.slug)
    if starts_at.tzinfo is None or ends_at.tzinfo is None:
        raise Invalid("Both times need a zone.", "For example 2026-03-01T06:00:00Z")
    now = clock.now()
    if not title.strip() or not starts_at < ends_at <= starts_at + LONGEST_WORK or ends_at <= now:
        raise Invalid("Maintenance has a title and ends after it starts, within 30 days.")
    made = Maintenance.objects.create(
        page=row,
        title=title.strip()[:200],
        about=about.strip()[:5_000],
        starts_at=starts_at,
        ends_at=ends_at,
        told_by=actor.name,
    )
    made.components.set(row.components.filter(pk__in=parts))
    told = {"title": made.title, "from": starts_at.isoformat(), "to": ends_at.isoformat()}
    record(actor, "status_page.work_planned", f"status_page/{row.pk}", row.client.slug, told)
    letters.announce_work(made, now)
    return made


@transaction.atomic
def end_work(actor: Actor, row: StatusPage, pk: int) -> Maintenance:
    """It is over, or will not be."""
    actor.require(Role.OPERATOR, row.client.slug)
    work = row.maintenances.filter(pk=pk).first()
    if work is None:
        raise NotFound(f"There is no maintenance {pk}.")
    now = clock.now()
    work.ends_at = max(now, work.starts_at) if work.starts_at <= now else work.starts_at
    work.save(update_fields=["ends_at"])
    record(actor, "status_page.work_ended", f"status_page/{row.pk}", row.client.slug, {"title": work.title})
    return work


def publication_by_id(actor: Actor, row: StatusPage, pk: int) -> Publication:
    found = row.publications.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"There is no publication {pk}.")
    actor.require(Role.VIEWER, row.client.slug)
    return found


def _locked(actor: Actor, publication: Publication) -> Publication:
    rows = Publication.objects.select_for_update(of=("self",)).select_related("page__client", "incident")
    row = rows.get(pk=publication.pk)
    actor.require(Role.RESPONDER, row.page.client.slug)
    return row


def _tell(actor: Actor, row: Publication, deed: str, details: dict[str, Any]) -> None:
    record(actor, deed, f"status_page/{row.page_id}", row.page.client.slug, {"publication": row.pk, **details})
