"""Who is in front for a system, and where anybody may page them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from afterlaunch.calendars.actions import newest
from afterlaunch.calendars.models import DEFAULT_NAME
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.models import EscalationPolicy
from afterlaunch.sla.models import Support
from afterlaunch.sla.spans import read_span, written

POSTURES = ("primary", "escalation")
HANDOVER = ("after", "counting", "calendar", "unless")
MEMBERS = ("posture", "handover", "policy", "contacts", "address", "security_at_once")
LONGEST = {"policy": 100, "contacts": 5000, "address": 300}


def support_of(system: System) -> Support:
    """The stored one, or the primary team."""
    return Support.objects.filter(system=system).first() or Support(system=system, posture="primary")


def document(row: Support) -> dict[str, Any]:
    """What `set_support` takes."""
    handover = None
    if row.posture == "escalation":
        handover = {
            "after": written(row.after or 0),
            "counting": row.counting,
            "calendar": row.calendar,
            "unless": row.unless,
        }
    return {
        "posture": row.posture,
        "handover": handover,
        "policy": row.policy,
        "contacts": row.contacts,
        "address": row.address,
        "security_at_once": row.security_at_once,
    }


def policies_of(system: System) -> list[str]:
    """Names of escalation policies that the tier may be paged by."""
    rows = EscalationPolicy.objects.filter(client=system.client, removed_at=None)
    return list(rows.order_by("name").values_list("name", flat=True))


def lacks(system: System, row: Support) -> list[str]:
    """What a system should have and has not: one named owner, one address to page."""
    found = []
    if system.owner is None:
        found.append("It has no named owner.")
    elif not system.owner.is_active:
        found.append(f"Its owner {system.owner} has left.")
    if not row.address:
        found.append("It has no address to page.")
    return found


@transaction.atomic
def set_support(actor: Actor, system: System, given: Mapping[str, Any]) -> Support:
    """Posture, handover, contacts and address. What runs keeps its window. Raises Invalid."""
    actor.require(Role.OPERATOR, system.client.slug)
    unknown = sorted(str(name) for name in given if name not in MEMBERS)
    if unknown:
        raise Invalid(f"Support has no {', '.join(unknown)}.", f"It may have: {', '.join(MEMBERS)}")
    posture = given.get("posture", "primary")
    if posture not in POSTURES:
        raise Invalid(f"{posture!r} is no posture.", f"Use {' or '.join(POSTURES)}.")
    values: dict[str, Any] = {"posture": posture, "after": None, "counting": "", "calendar": "", "unless": ""}
    if posture == "escalation":
        values |= _handover(system, given.get("handover"))
    for name, most in LONGEST.items():
        text = given.get(name) or ""
        if not isinstance(text, str) or len(text) > most:
            raise Invalid(f"{name} is a text of at most {most} characters.")
        values[name] = text.strip()
    if values["policy"] and values["policy"] not in policies_of(system):
        raise Invalid(f"{system.client} has no escalation policy {values['policy']!r}.", "Make it under On-call first.")
    values["security_at_once"] = bool(given.get("security_at_once", True))
    before = document(support_of(system))
    row, _ = Support.objects.update_or_create(system=system, defaults=values)
    if document(row) != before:
        details = {"before": before, "after": document(row)}
        record(actor, "support.set", f"system/{system.pk}", system.client.slug, details)
    return row


def _handover(system: System, given: object) -> dict[str, Any]:
    names = set(given) if isinstance(given, Mapping) else set()
    if not isinstance(given, Mapping) or not {"after", "counting", "unless"} <= names <= set(HANDOVER):
        hint = "State after (such as 30m), counting (elapsed or business), calendar, unless (resolved or contained)."
        raise Invalid("An escalation tier needs its handover.", hint)
    if given["counting"] not in ("elapsed", "business"):
        raise Invalid(f"{given['counting']!r} is no way of counting.", "State it: elapsed or business.")
    if given["unless"] not in ("resolved", "contained"):
        raise Invalid(f"{given['unless']!r} does not stop a handover.", "Use resolved or contained.")
    calendar = given.get("calendar") or DEFAULT_NAME
    if calendar not in {DEFAULT_NAME, *newest(system.client)}:
        raise Invalid(f"{system.client} has no calendar {calendar!r}.", "Make it first.")
    after = read_span(given["after"])
    return {"after": after, "counting": given["counting"], "calendar": calendar, "unless": given["unless"]}
