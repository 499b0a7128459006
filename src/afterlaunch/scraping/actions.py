"""Deeds on targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotAllowed, NotFound
from afterlaunch.ground.references import REFERENCE
from afterlaunch.scraping import rules
from afterlaunch.scraping.models import Target
from afterlaunch.telemetry.conventions.fields import ENVIRONMENTS

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,59}")


@dataclass(frozen=True)
class Values:
    """What a target is. `bearer`, `password`: env:NAME or file:/path, read on the server when it scrapes."""

    system: str
    url: str
    environment: str = "prod"
    interval: int = rules.INTERVAL
    sample_limit: int = rules.SAMPLES
    labels: Mapping[str, str] = field(default_factory=dict)
    bearer: str = ""
    username: str = ""
    password: str = ""
    paused: bool = False


def targets_seen_by(actor: Actor) -> QuerySet[Target]:
    seen = actor.sees()
    rows = Target.objects.select_related("client")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def target_by_id(actor: Actor, pk: int) -> Target:
    row = targets_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no target {pk}.")
    return row


@transaction.atomic
def put_target(actor: Actor, client: Client, name: str, values: Values) -> Target:
    """Make a target, or alter it; its system exists from then on. Private addresses and credentials take an
    administrator of the house: the server reads the one and reaches the other for them."""
    actor.require(Role.OPERATOR, client.slug)
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name for a target.", "Letters, digits, - and _, at most 60.")
    _check(values)
    known = Target.objects.select_for_update(of=("self",)).filter(client=client, name=name).first()
    trusted = _trusted(actor, known, values)
    now = clock.now()
    told = values.environment.strip().lower()
    fields = asdict(values) | {"labels": dict(values.labels), "environment": ENVIRONMENTS.get(told, told)}
    row = known or Target(client=client, name=name, created_at=now)
    for column, value in fields.items():
        setattr(row, column, value)
    row.trusted, row.next_due = trusted, now
    row.revision += known is not None
    row.reason = row.error = ""
    row.last_at = row.failing_since = row.seconds = row.samples = None
    row.save()
    note_sightings([Sighting(client.slug, row.system, row.environment)], now)
    record(actor, "target.put", f"target/{row.pk}", client.slug, {"name": name, "trusted": trusted, **fields})
    return row


def _trusted(actor: Actor, known: Target | None, values: Values) -> bool:
    if actor.may(Role.ADMIN, None):
        return True
    same = known is not None and all(
        getattr(known, name) == getattr(values, name) for name in ("url", "bearer", "username", "password")
    )
    if (values.bearer or values.password or (known and known.trusted)) and not same:
        raise NotAllowed(
            "Credentials, and the address of a target that the house vouched for, take an administrator of the house.",
            "Ask one; interval, labels and limit may be altered without.",
        )
    return known is not None and known.trusted


def _check(values: Values) -> None:
    parts = urlsplit(values.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Invalid(
            f"{values.url!r} is no address of a target.", "For example http://node-1:9100/metrics, without a user name."
        )
    if not values.system.strip() or not values.environment.strip():
        raise Invalid("A target needs a system and an environment.", "The system's name in its telemetry.")
    if not rules.LEAST_INTERVAL <= values.interval <= rules.MOST_INTERVAL:
        raise Invalid(f"A target is scraped every {rules.LEAST_INTERVAL} to {rules.MOST_INTERVAL:,} seconds.")
    if not 1 <= values.sample_limit <= rules.MOST_SAMPLES:
        raise Invalid(f"The limit of samples lies between 1 and {rules.MOST_SAMPLES:,}.")
    for reference in (values.bearer, values.password):
        if reference and not REFERENCE.fullmatch(reference):
            raise Invalid("A credential is a reference, never the secret.", "Use env:NAME or file:/path.")
    if values.bearer and (values.username or values.password):
        raise Invalid("A target has a bearer token or a user name with a password, not both.")
    if bool(values.username) != bool(values.password):
        raise Invalid("A user name needs a password, and a password a user name.")
    _check_labels(values.labels)


def _check_labels(labels: Mapping[str, Any]) -> None:
    if len(labels) > rules.MOST_LABELS:
        raise Invalid(f"A target has at most {rules.MOST_LABELS} labels.")
    for name, value in labels.items():
        if not rules.LABEL.fullmatch(name) or name.startswith("__") or not isinstance(value, str) or len(value) > 200:
            raise Invalid(f"{name!r} is no label.", "Letters, digits and _; its value is text of at most 200.")


@transaction.atomic
def remove_target(actor: Actor, target: Target) -> None:
    """It is scraped no more; what it told stays."""
    actor.require(Role.OPERATOR, target.client.slug)
    details = {"name": target.name, "url": target.url}
    record(actor, "target.removed", f"target/{target.pk}", target.client.slug, details)
    target.delete()
