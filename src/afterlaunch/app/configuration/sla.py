"""Documents of promised times: business hours, SLA matrices, and who is in front for a system."""

from __future__ import annotations

from typing import Any

from afterlaunch.accounts.models import Client
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, TEXT, ZONE, Field, list_of
from afterlaunch.app.configuration.people import client
from afterlaunch.calendars.actions import newest, of_row, set_calendar
from afterlaunch.calendars.documents import document
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import NotFound
from afterlaunch.sla.models import SlaPolicy, Support
from afterlaunch.sla.policies import set_policy
from afterlaunch.sla.postures import document as support_document
from afterlaunch.sla.postures import set_support
from afterlaunch.sla.targets import read_policy


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(value)
    return value


def _object_or_none(value: Any) -> dict[str, Any] | None:
    return None if value is None else _object(value)


def _date_text(value: Any) -> str:
    """YAML makes a date of 2026-12-24."""
    return value if isinstance(value, str) else str(value.isoformat())


def _special(value: Any) -> dict[str, Any]:
    told = _object(value)
    return {**told, "date": _date_text(told["date"])} if "date" in told else told


CELLS = Field("an object with a cell for each of P1, P2 and P3; see sla.md", _object)
WINDOW = Field("{days, start, end}", _object)
DATE = Field("a date, such as 2026-12-24", _date_text)
SPECIAL = Field("{date, windows}", _special)
CALENDAR_FIELDS = {
    "zone": ZONE,
    "windows": list_of(WINDOW),
    "country": TEXT,
    "subdivision": TEXT,
    "closures": list_of(DATE),
    "half_days": list_of(SPECIAL),
    "extra_days": list_of(SPECIAL),
}
POLICY_FIELDS = {
    "response": CELLS,
    "update": CELLS,
    "resolution": CELLS,
    "warn_at": Field("a list of percentages", lambda value: list(value)),
    "escalate_early": FLAG,
    "pause": Field("{one, total}", _object),
}
SUPPORT_FIELDS = {
    "posture": TEXT,
    "handover": Field("{after, counting, calendar, unless} or null", _object_or_none),
    "policy": TEXT,
    "contacts": TEXT,
    "address": TEXT,
    "security_at_once": FLAG,
}


def read_calendars() -> list[tuple[Metadata, Spec]]:
    found = []
    for one in Client.objects.order_by("slug"):
        for name, row in newest(one).items():
            found.append(({"client": one.slug, "name": name}, document(of_row(row))))
    return found


def put_calendar(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    set_calendar(actor, client(metadata["client"]), metadata["name"], spec)


def read_policies() -> list[tuple[Metadata, Spec]]:
    found: dict[tuple[str, str], Spec] = {}
    for row in SlaPolicy.objects.select_related("client").order_by("client__slug", "tier", "version"):
        found[row.client.slug, row.tier] = read_policy(row.document, row.label).document()
    return [({"client": slug, "tier": tier}, spec) for (slug, tier), spec in found.items()]


def put_policy(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    set_policy(actor, client(metadata["client"]), metadata["tier"], spec)


def read_supports() -> list[tuple[Metadata, Spec]]:
    rows = Support.objects.select_related("system__client").order_by("system__client__slug", "system__key")
    return [({"client": row.system.client.slug, "system": row.system.key}, support_document(row)) for row in rows]


def put_support(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    system = System.objects.filter(client=of, key=metadata["system"]).select_related("client", "owner").first()
    if system is None:
        raise NotFound(f"{of} has no system {metadata['system']!r}.", "Declare it first.")
    set_support(actor, system, spec)
