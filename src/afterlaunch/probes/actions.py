"""Deeds on probes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotAllowed, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.probes import judging, rules
from afterlaunch.probes.kinds import Kind, kind_named
from afterlaunch.probes.models import Probe, ProbeLocation, ProbeResult
from afterlaunch.routes.actions import open_for_probes
from afterlaunch.routes.models import Route

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,59}")
LOCATION = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
MOST_PROBES, MOST_LOCATIONS, MOST_PARENTS = 5_000, 20, 20
CAP_USD = Decimal("1")
MOST_CAP_USD = Decimal(10_000)
NANO = 10**9
SHOWN_CONFIG = 4_000


@dataclass(frozen=True)
class Values:
    """`interval`, `timeout`, `retry_seconds` in seconds. `parents`: names of probes of the same client whose failure
    explains this one's. `cap_usd`: what a golden prompt may spend a UTC day."""

    kind: str
    config: Mapping[str, Any]
    environment: str = "prod"
    interval: int = rules.INTERVAL
    timeout: int = 10
    retries: int = 1
    retry_seconds: int = 15
    locations: Sequence[str] = ()
    quorum: int = 1
    severity: str = "P2"
    notify_after: int = 1
    again_minutes: int = 0
    counts: bool = True
    cap_usd: Decimal | None = None
    parents: Sequence[str] = field(default_factory=tuple)


def probes_seen_by(actor: Actor) -> QuerySet[Probe]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = Probe.objects.select_related("system__client")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def probe_by_id(actor: Actor, pk: int) -> Probe:
    row = probes_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no probe {pk}.")
    return row


def results_of(row: Probe, limit: int = 100, before: int | None = None) -> list[ProbeResult]:
    """The newest tries; page on with the last one's id as `before`."""
    rows = row.results.all() if before is None else row.results.filter(pk__lt=before)
    return list(rows[:limit])


@transaction.atomic
def put_probe(actor: Actor, system: System, name: str, values: Values) -> Probe:
    """Make one, or alter it: then what it knew is forgotten, and it is tried within seconds. Private addresses and
    credentials take an administrator of the house: the server reaches the one and reads the other for them."""
    client = system.client.slug
    actor.require(Role.OPERATOR, client)
    kind = kind_named(values.kind)
    config = orjson.loads(orjson.dumps(kind.check(values.config)))  # as it comes back from the row
    _check(name, values)
    now = clock.now()
    known = Probe.objects.select_for_update(of=("self",)).filter(system=system, name=name).first()
    if known is None and Probe.objects.filter(system__client=system.client).count() >= MOST_PROBES:
        raise Invalid(f"A client has at most {MOST_PROBES:,} probes.")
    trusted = _trusted(actor, known, kind, config)
    told = _columns(values)
    if known is not None and _same(known, trusted, {**told, "config": config}, values.parents):
        return known
    if known is not None:
        known.system = system  # with its client
        judging.end_all(known, now)
    row = known or Probe(system=system, name=name, created_at=now)
    _open_route(actor, system, config)
    for column, value in told.items():
        setattr(row, column, value)
    row.config, row.trusted, row.watched_since, row.since = config, trusted, now, now
    row.revision += known is not None
    if not row.paused:
        row.state, row.reason, row.said, row.look_at, row.held_by = "new", "", "", now + row.plan.stale, ""
    row.save()
    _put_places(row)
    _put_parents(row, values.parents)
    note_sightings([Sighting(client, system.key, row.environment)], now)
    written = orjson.dumps(config, option=orjson.OPT_SORT_KEYS)  # as text: evidence holds no floats
    shown = {
        **asdict(values),
        "config": written.decode()[:SHOWN_CONFIG],
        "config_sha256": hashlib.sha256(written).hexdigest(),
        "cap_usd": str(values.cap_usd),
        "locations": list(values.locations),
        "parents": list(values.parents),
    }
    record(actor, "probe.put", row.topic, client, {"name": name, "trusted": trusted, **shown})
    return row


def _same(row: Probe, trusted: bool, told: Mapping[str, Any], parents: Sequence[str]) -> bool:
    """What is told again alters nothing: what is known of it stays."""
    kept = row.trusted == trusted and all(getattr(row, name) == value for name, value in told.items())
    return kept and {one.name for one in row.parents.all()} == set(parents)


def _columns(values: Values) -> dict[str, Any]:
    cap = values.cap_usd if values.kind == "golden" else None
    if values.kind == "golden" and cap is None:
        cap = CAP_USD
    return {
        **{name: value for name, value in asdict(values).items() if name not in ("config", "parents", "cap_usd")},
        "locations": sorted(set(values.locations)) or [settings().text("LOCATION")],
        "cap_nano": None if cap is None else int(cap * NANO),
    }


def _check(name: str, values: Values) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name for a probe.", "Letters, digits, - and _, at most 60.")
    if not rules.LEAST_INTERVAL <= values.interval <= rules.MOST_INTERVAL:
        raise Invalid(f"A probe is tried every {rules.LEAST_INTERVAL} to {rules.MOST_INTERVAL:,} seconds.")
    if not 1 <= values.timeout <= 120:
        raise Invalid("The time limit lies between 1 and 120 seconds.")
    if not 0 <= values.retries <= 10 or not 1 <= values.retry_seconds <= 3_600:
        raise Invalid("A try is repeated at most ten times, after 1 to 3,600 seconds.")
    if any(not LOCATION.fullmatch(one) for one in values.locations) or len(values.locations) > MOST_LOCATIONS:
        raise Invalid(
            f"Locations are at most {MOST_LOCATIONS} names of small letters, digits, - and _.",
            "Each is the AFTERLAUNCH_LOCATION of an engine.",
        )
    if not 1 <= values.quorum <= max(1, len(set(values.locations))):
        raise Invalid("The quorum lies between 1 and the number of locations.")
    if values.severity not in ("P1", "P2", "P3"):
        raise Invalid(f"{values.severity!r} is no severity.", "Use P1, P2 or P3.")
    if not 1 <= values.notify_after <= 100 or not 0 <= values.again_minutes <= 7 * 1_440:
        raise Invalid("People are told after 1 to 100 failed rounds, and again within a week.")
    if values.cap_usd is not None and not 0 < values.cap_usd <= MOST_CAP_USD:
        raise Invalid(f"The spending of a day lies above 0 and up to {MOST_CAP_USD:,} USD.")
    if not values.environment.strip() or len(values.environment) > 60:
        raise Invalid("A probe needs an environment.")


def _trusted(actor: Actor, known: Probe | None, kind: Kind, config: Mapping[str, Any]) -> bool:
    if actor.may(Role.ADMIN, None):
        return True
    before = known.config if known is not None and known.kind == kind.name else {}
    same = known is not None and all(before.get(name) == config.get(name) for name in kind.reaches)
    if (any(config.get(name) for name in kind.secrets) or (known is not None and known.trusted)) and not same:
        raise NotAllowed(
            "Credentials, and the address of a probe that the house vouched for, take an administrator of the house.",
            "Ask one; everything else may be altered without.",
        )
    return known is not None and known.trusted


def _open_route(actor: Actor, system: System, config: Mapping[str, Any]) -> None:
    """The probes' key of the client opens the route from now on."""
    name = config.get("route")
    if not name:
        return
    route = Route.objects.select_related("system__client").filter(name=name, system__client=system.client).first()
    if route is None:
        raise Invalid(f"There is no route {name!r} of this client.", "See Settings, Gateway.")
    open_for_probes(actor, route)


def _put_places(row: Probe) -> None:
    """One for each location, which starts anew."""
    now = row.watched_since
    row.places.exclude(location__in=row.locations).delete()
    for location in row.locations:
        place = ProbeLocation.objects.filter(probe=row, location=location).first()
        place = place or ProbeLocation(probe=row, location=location)
        place.state, place.tries, place.failures, place.reason, place.said = "new", 0, 0, "", ""
        place.heard_at, place.next_due, place.held_until = now, now, None
        place.fence += 1  # a try that is under way is of the probe as it was
        place.save()


def _put_parents(row: Probe, names: Sequence[str]) -> None:
    wanted = set(names)
    found = list(Probe.objects.filter(system__client=row.system.client, name__in=wanted).exclude(pk=row.pk))
    if missing := wanted - {one.name for one in found}:
        raise Invalid(f"There is no other probe {sorted(missing)[0]!r} of this client.")
    if len(found) > MOST_PARENTS:
        raise Invalid(f"A probe depends on at most {MOST_PARENTS} others.")
    links: dict[int, list[int]] = {}
    mine = Probe.parents.through.objects.filter(from_probe__system__client=row.system.client)
    for child, parent in mine.exclude(from_probe=row).values_list("from_probe_id", "to_probe_id"):
        links.setdefault(child, []).append(parent)
    links[row.pk] = [one.pk for one in found]
    if rules.circular(row.pk, links):
        raise Invalid(f"{row.name} would depend on itself.")
    row.parents.set(found)


@transaction.atomic
def remove_probe(actor: Actor, row: Probe) -> None:
    """It is tried no more; its results go with it, what the telemetry has of it stays."""
    actor.require(Role.OPERATOR, row.system.client.slug)
    record(actor, "probe.removed", row.topic, row.system.client.slug, {"name": row.name})
    judging.end_all(row, clock.now())
    row.delete()


@transaction.atomic
def pause_probe(actor: Actor, row: Probe) -> Probe:
    """It is not tried until somebody resumes it."""
    fresh = judging.locked(row.pk)
    actor.require(Role.OPERATOR, fresh.system.client.slug)
    if fresh.paused:
        return fresh
    now = clock.now()
    judging.end_all(fresh, now)
    fresh.state, fresh.reason, fresh.since, fresh.look_at = "paused", "paused", now, None
    fresh.save()
    record(actor, "probe.paused", fresh.topic, fresh.system.client.slug, {"name": fresh.name})
    return fresh


@transaction.atomic
def resume_probe(actor: Actor, row: Probe) -> Probe:
    fresh = judging.locked(row.pk)
    actor.require(Role.OPERATOR, fresh.system.client.slug)
    if not fresh.paused:
        return fresh
    now = clock.now()
    fresh.state, fresh.reason, fresh.said = "new", "", ""
    fresh.since, fresh.watched_since, fresh.look_at = now, now, now + fresh.plan.stale
    fresh.save()
    _put_places(fresh)
    record(actor, "probe.resumed", fresh.topic, fresh.system.client.slug, {"name": fresh.name})
    return fresh


@transaction.atomic
def run_now(actor: Actor, row: Probe) -> Probe:
    """Every location tries it within seconds."""
    fresh = judging.locked(row.pk)
    actor.require(Role.RESPONDER, fresh.system.client.slug)
    if fresh.paused:
        raise Invalid(f"{fresh.name} is paused.", "Resume it first.")
    fresh.places.filter(held_until=None).update(next_due=clock.now())
    return fresh
