"""Documents of probes and heartbeats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, NEEDED_TEXT, TEXT, ZONE, Field, list_of, one_of, whole
from afterlaunch.app.configuration.people import client
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.probes import actions, heartbeats, rules
from afterlaunch.probes.kinds import KINDS
from afterlaunch.probes.models import Heartbeat, Probe

SEVERITY = one_of(("P1", "P2", "P3"))
PURPOSES = ("", *(one.name for one in heartbeats.TEMPLATES))
HEARTBEATS: dict[str, tuple[str, Field]] = {
    "environment": ("environment", TEXT),
    "purpose": ("purpose", one_of(PURPOSES)),
    "periodSeconds": ("period", whole(0, 366 * 86_400)),
    "cron": ("cron", TEXT),
    "timeZone": ("zone", ZONE),
    "graceSeconds": ("grace", whole(60, heartbeats.MOST_GRACE)),
    "longestRunSeconds": ("longest", whole(0, heartbeats.MOST_RUN)),
    "severity": ("severity", SEVERITY),
    "pageAgainMinutes": ("again_minutes", whole(0, heartbeats.MOST_AGAIN)),
}
HEARTBEAT_FIELDS = {name: field for name, (_, field) in HEARTBEATS.items()}


def system_of(metadata: Metadata) -> System:
    found = System.objects.select_related("client").filter(client=client(metadata["client"]), key=metadata["system"])
    row = found.first()
    if row is None:
        raise Invalid(f"There is no system {metadata['system']!r}.", "Add a document of kind System.")
    return row


def read_heartbeats() -> list[tuple[Metadata, Spec]]:
    rows = Heartbeat.objects.select_related("system__client").order_by("system__client__slug", "system__key", "name")
    return [(_named(row), {name: getattr(row, column) for name, (column, _) in HEARTBEATS.items()}) for row in rows]


def _named(row: Any) -> Metadata:
    return {"client": row.system.client.slug, "system": row.system.key, "name": row.name}


def put_heartbeat(actor: Actor, metadata: Metadata, spec: Spec) -> str | None:
    """What a document leaves out stays as it is. Returns the ping address of one that is new."""
    system, name = system_of(metadata), metadata["name"]
    known = Heartbeat.objects.filter(system=system, name=name).first()
    before = {column: getattr(known, column) for column, _ in HEARTBEATS.values()} if known else {}
    told = {column: spec[field] for field, (column, _) in HEARTBEATS.items() if field in spec}
    row = heartbeats.put_heartbeat(actor, system, name, heartbeats.Values(**{**before, **told}))
    return None if known else f"{settings().public_url}/ping/{row.secret}"


# -- probes --------------------------------------------------------------------------------------------------------


def _config(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(value)
    return value


def _usd(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(value)
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(value)
    return f"{found.normalize():f}"


NAMES = list_of(NEEDED_TEXT)
PROBES: dict[str, tuple[str, Field]] = {
    "kind": ("kind", one_of(KINDS, needed=True)),
    "config": ("config", Field("a mapping, of the kind", _config, needed=True)),
    "environment": ("environment", TEXT),
    "intervalSeconds": ("interval", whole(rules.LEAST_INTERVAL, rules.MOST_INTERVAL)),
    "timeoutSeconds": ("timeout", whole(1, 120)),
    "retries": ("retries", whole(0, 10)),
    "retrySeconds": ("retry_seconds", whole(1, 3_600)),
    "locations": ("locations", NAMES),
    "quorum": ("quorum", whole(1, 20)),
    "severity": ("severity", SEVERITY),
    "notifyAfter": ("notify_after", whole(1, 100)),
    "pageAgainMinutes": ("again_minutes", whole(0, 7 * 1_440)),
    "countsForUptime": ("counts", FLAG),
    "capUsdPerDay": ("cap_usd", Field("a number, or null", _usd)),
    "dependsOn": ("parents", NAMES),
}
PROBE_FIELDS = {name: field for name, (_, field) in PROBES.items()}


def read_probes() -> list[tuple[Metadata, Spec]]:
    """What others depend on comes first."""
    rows = Probe.objects.select_related("system__client").prefetch_related("parents")
    ordered = sorted(rows, key=lambda row: (row.system.client.slug, row.system.key, row.name))
    done: dict[int, Probe] = {}
    while len(done) < len(ordered):
        done |= {
            row.pk: row for row in ordered if row.pk not in done and all(one.pk in done for one in row.parents.all())
        }
    return [(_named(row), _probe_spec(row)) for row in done.values()]


def _probe_spec(row: Probe) -> Spec:
    """What the configuration holds beyond its defaults."""
    told: Spec = {name: getattr(row, column) for name, (column, _) in PROBES.items() if hasattr(row, column)}
    told["config"] = {name: value for name, value in row.config.items() if value not in (None, "", [], {})}
    told["capUsdPerDay"] = None if row.cap_nano is None else _usd(str(Decimal(row.cap_nano) / actions.NANO))
    told["dependsOn"] = sorted(one.name for one in row.parents.all())
    return told


def put_probe(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """What a document leaves out stays as it is; its configuration is told as a whole."""
    system, name = system_of(metadata), metadata["name"]
    known = Probe.objects.filter(system=system, name=name).prefetch_related("parents").first()
    told = {**(_probe_spec(known) if known else {}), **spec}
    values = {column: told[field] for field, (column, _) in PROBES.items() if field in told}
    if values.get("cap_usd") is not None:
        values["cap_usd"] = Decimal(values["cap_usd"])
    actions.put_probe(actor, system, name, actions.Values(**values))
