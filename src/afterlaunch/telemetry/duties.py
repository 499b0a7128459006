"""Systems, environments and versions appear by themselves from what their telemetry says."""

from __future__ import annotations

from datetime import datetime, timedelta

from afterlaunch.estate.actions import Sighting, note_sightings, places_known
from afterlaunch.ground import clock
from afterlaunch.telemetry import records
from afterlaunch.telemetry.signals import questions
from afterlaunch.telemetry.store import current

LOOK_BACK = timedelta(minutes=10)
NOBODY = "unknown"  # what told no system makes none


def settle_aggregates(now: datetime) -> None:
    """Usage told in sum only counts once no call has appeared below it; a later call takes it out again. Calls get what
    late spans above them tell, and failures are told once, where they began."""
    current().settle(clock.to_ns(now))


def add_up(now: datetime) -> None:
    """The minutes of the rollups become hours and days once these are over; late spans have them added up anew."""
    current().upkeep(clock.to_ns(now))


def notice_systems(now: datetime) -> None:
    """Systems, however late their telemetry comes, and the versions that spans of the last minutes tell; repeating it
    changes nothing. Metrics and logs make a system known as well."""
    found: dict[tuple[str, str, str], set[tuple[str, str, str]]] = {}
    known = places_known()
    for row in records.systems_told():
        if (key := (row["client"], row["system"], row["environment"])) not in known:
            found[key] = set()
    for row in records.sightings(clock.to_ns(now - max(LOOK_BACK, clock.lease(5)))):
        key = row["client"], row["system"], row["environment"]
        components = found.setdefault(key, set())
        named = (
            ("service", row["service"], row["release"]),
            ("model", row["model"], row["model"]),
            ("prompt", row["prompt_name"] or row["agent"] or "prompt", row["prompt_version"]),
        )
        components |= {(kind, name, label) for kind, name, label in named if name and label}
    for row in questions.places(now - max(LOOK_BACK, clock.lease(5))):
        if row["system"] != NOBODY:
            found.setdefault((row["client"], row["system"], row["environment"]), set())
    note_sightings((Sighting(*key, frozenset(components)) for key, components in found.items()), now)
