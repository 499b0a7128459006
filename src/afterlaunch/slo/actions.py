"""Deeds on SLOs. A change of what one says makes a new version; the old one is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.slo.definition import Definition, listed
from afterlaunch.slo.models import Burn, Slo, SloVersion, Standing
from afterlaunch.verdicts.models import Verdict

NAME = re.compile(r"[a-z0-9]([a-z0-9.|/\\-]{0,253}[a-z0-9])?", re.ASCII)
LONGEST_JUDGE = 44


@dataclass(frozen=True)
class About:
    """What an SLO is called and who cares; no new version comes of it."""

    title: str = ""
    description: str = ""
    service: str = ""
    critical: bool = False
    busy: bool = False
    paused: bool = False
    of: str = ""


def slos_seen_by(actor: Actor) -> QuerySet[Slo]:
    """Those that were not removed, of clients that the actor may see."""
    seen = actor.sees()
    rows = Slo.objects.filter(removed_at=None).select_related("client", "standing")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def slo_by_id(actor: Actor, pk: int) -> Slo:
    row = slos_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no SLO {pk}.")
    return row


def in_force(slo: Slo) -> SloVersion | None:
    """None for a draft that never said what it counts."""
    return SloVersion.objects.select_related("slo__client").filter(slo=slo, until=None).first()


@transaction.atomic
def put_slo(actor: Actor, client: Client, name: str, about: About, definition: Definition | None) -> Slo:
    """Make an SLO, or alter the one of this name. `definition` None: a draft, whose events are not read here. Raises
    Invalid, dead pairs among the reasons."""
    actor.require(Role.OPERATOR, client.slug)
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name for an SLO.", "Small letters, digits and hyphens.")
    if definition is not None and (problems := definition.problems()):
        raise Invalid(listed(problems), "A pair that can never fire protects nobody: alter it, or leave it out.")
    now = clock.now()
    slo = Slo.objects.select_for_update(of=("self",)).filter(client=client, name=name, removed_at=None).first()
    slo = slo or Slo(client=client, name=name, created_at=now)
    fresh = slo.pk is None
    for field, value in vars(about).items():
        setattr(slo, field, value[:200] if field == "title" else value)
    slo.draft = definition is None
    slo.save()
    version = _version(actor, slo, definition, now)
    if definition is not None:
        note_sightings([Sighting(client.slug, definition.measure.system, definition.measure.environment)], now)
    details = {"name": name, "version": version.number if version else None, "definition": version and version.document}
    record(actor, "slo.made" if fresh else "slo.altered", f"slo/{slo.pk}", client.slug, details | vars(about))
    return slo


def _version(actor: Actor, slo: Slo, definition: Definition | None, now: datetime) -> SloVersion | None:
    """A new one where anything differs from the one in force, whose open burns end with it."""
    before = SloVersion.objects.filter(slo=slo, until=None).first()
    document = definition.as_document() if definition else None
    if before is not None and before.document == document:
        return before
    if before is not None:
        before.until = now
        before.save(update_fields=["until"])
        Standing.objects.filter(slo=slo).delete()
    if document is None:
        return None
    number = (SloVersion.objects.filter(slo=slo).order_by("-number").values_list("number", flat=True).first() or 0) + 1
    return SloVersion.objects.create(slo=slo, number=number, since=now, author=actor.name, document=document)


@transaction.atomic
def pause(actor: Actor, row: Slo, paused: bool) -> Slo:
    """A paused SLO is not judged and pages nobody; what happened meanwhile counts again when it goes on."""
    slo = Slo.objects.select_for_update(of=("self",)).select_related("client").get(pk=row.pk)
    actor.require(Role.OPERATOR, slo.client.slug)
    if slo.paused != paused:
        slo.paused = paused
        slo.save(update_fields=["paused"])
        record(actor, "slo.paused" if paused else "slo.resumed", f"slo/{slo.pk}", slo.client.slug, {"name": slo.name})
    return slo


@transaction.atomic
def remove(actor: Actor, row: Slo) -> None:
    """It is judged no more. Its versions and burns stay."""
    slo = Slo.objects.select_for_update(of=("self",)).select_related("client").get(pk=row.pk)
    actor.require(Role.OPERATOR, slo.client.slug)
    now = clock.now()
    slo.removed_at = now
    slo.save(update_fields=["removed_at"])
    SloVersion.objects.filter(slo=slo, until=None).update(until=now)
    Burn.objects.filter(slo=slo, ended_at=None).update(ended_at=now)
    Standing.objects.filter(slo=slo).delete()
    stays = Verdict.objects.filter(client=slo.client.slug, judge__in=[judge_of(slo, part) for part in PARTS])
    stays.update(status="not_assessed", reason="slo_removed", explanation="Its SLO was removed.", since=now)
    record(actor, "slo.removed", f"slo/{slo.pk}", slo.client.slug, {"name": slo.name})


PARTS = ("page", "ticket", "data")


def judge_of(slo: Slo, part: str) -> str:
    """The name under which its verdicts stand: one for what pages, one for tickets, one for missing data."""
    name = slo.name if len(slo.name) <= LONGEST_JUDGE else f"{slo.name[: LONGEST_JUDGE - 9]}-{slo.pk:x}"
    return f"objective.{name}" + ("" if part == "page" else f".{part}")
