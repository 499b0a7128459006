"""Versions that were made, with their lineage: known before they are live, and never taken for live."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from django.db import transaction

from afterlaunch.estate.models import Component, Registration, System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict

PARTS = ("data", "code", "parameters", "evaluation")


@transaction.atomic
def register(
    actor: Actor,
    system: System,
    kind: str,
    name: str,
    label: str,
    source: str,
    address: str,
    lineage: Mapping[str, Any],
) -> Registration:
    """Once: the same version with the same lineage again is the one that is known. Raises Conflict where another
    lineage has this label: a label stands for one thing."""
    kept = {part: lineage[part] for part in PARTS if lineage.get(part)}
    digest = hashlib.sha256(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).hexdigest()
    component, _ = Component.objects.get_or_create(system=system, kind=kind, name=name[:200])
    found = Registration.objects.select_for_update().filter(component=component, label=label).first()
    if found is not None:
        if found.digest != digest:
            raise Conflict(f"{kind} {name} has a version {label} of another origin already.", "Name it otherwise.")
        return found
    made = Registration.objects.create(
        component=component,
        label=label,
        source=source[:200],
        address=address[:1000],
        lineage=kept,
        digest=digest,
        registered_at=clock.now(),
        registered_by=actor.name[:200],
    )
    digests = {part: hashlib.sha256(orjson.dumps(kept[part], option=orjson.OPT_SORT_KEYS)).hexdigest() for part in kept}
    told = {"kind": kind, "name": name, "label": label, "digest": digest, "lineage": digests}
    record(actor, "version.registered", f"registration/{made.pk}", system.client.slug, told)
    return made
