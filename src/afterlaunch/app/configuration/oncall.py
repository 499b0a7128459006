"""Documents of on-call: weekly rotations with their overrides, escalation policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from afterlaunch.accounts.models import Client, User
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import (
    DAY,
    WALL,
    ZONE,
    Field,
    address,
    instant,
    list_of,
    mapping,
    one_of,
    whole,
)
from afterlaunch.app.configuration.people import client, person
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.oncall.actions import add_override, cancel_override, set_policy, set_rotation
from afterlaunch.oncall.models import EscalationStep, Override, Rotation
from afterlaunch.oncall.rules import Step

_INSTANT = Field("a time with its zone, such as 2026-03-02T18:00:00Z", instant, needed=True)
_OVERRIDE = mapping(
    {"substitute": address(needed=True), "absent": address(none=True), "from": _INSTANT, "to": _INSTANT}
)


def _overrides(value: Any) -> list[Spec]:
    return sorted(list_of(_OVERRIDE).take(value), key=_place)


def _place(one: Spec) -> tuple[str, str, str]:
    return one["from"], one["to"], one["substitute"]


ROTATION_FIELDS = {
    "timeZone": ZONE,
    "firstHandoff": DAY,
    "handoff": WALL,
    "weeks": whole(1, 52),
    "members": list_of(address(needed=True), least=1),
    "overrides": Field(list_of(_OVERRIDE).wants, _overrides),
}
POLICY_FIELDS = {
    "steps": list_of(
        mapping(
            {
                "target": one_of(("schedule", "person", "catch_all"), needed=True),
                "waitSeconds": replace(whole(60, 86_400), needed=True),
                "person": address(none=True),
            }
        ),
        least=1,
    )
}


def _newest(of: Client) -> Rotation | None:
    return Rotation.objects.filter(client=of).order_by("-valid_from", "-pk").first()


def _to_come(of: Client) -> list[Override]:
    rows = Override.objects.filter(client=of, cancelled_at=None, ends_at__gt=clock.now())
    return list(rows.select_related("absent", "substitute"))


def _told(row: Override) -> Spec:
    absent = row.absent.email if row.absent else None
    begins, ends = instant(row.starts_at), instant(row.ends_at)
    return {"substitute": row.substitute.email, "absent": absent, "from": begins, "to": ends}


def _shape(row: Rotation) -> Spec:
    return {
        "timeZone": row.zone,
        "firstHandoff": row.anchor_date.isoformat(),
        "handoff": row.handoff.strftime("%H:%M"),
        "weeks": row.weeks,
        "members": [member.user.email for member in row.members.select_related("user")],
    }


def read_rotations() -> list[tuple[Metadata, Spec]]:
    """Overrides that are over are history, not configuration."""
    found = [(of, _newest(of)) for of in Client.objects.order_by("slug")]
    return [
        ({"client": of.slug}, {**_shape(row), "overrides": sorted(map(_told, _to_come(of)), key=_place)})
        for of, row in found
        if row is not None
    ]


def put_rotation(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """A new version only where the rotation itself differs; overrides that are over are passed by."""
    of = client(metadata["client"])
    known = _newest(of)
    before = _shape(known) if known else {"timeZone": of.time_zone, "weeks": 1}
    wanted = {**before, **{name: value for name, value in spec.items() if name != "overrides"}}
    if known is None or wanted != before:
        members = [person(email) for email in wanted["members"]]
        day, handoff = date.fromisoformat(wanted["firstHandoff"]), time.fromisoformat(wanted["handoff"])
        set_rotation(actor, of, members, wanted["timeZone"], day, handoff, wanted["weeks"])
    if "overrides" in spec:
        _put_overrides(actor, of, spec["overrides"])


def _put_overrides(actor: Actor, of: Client, wanted: list[Spec]) -> None:
    for row in _to_come(of):
        if _told(row) not in wanted:
            cancel_override(actor, of, row.pk)
    there = [_told(row) for row in _to_come(of)]
    for one in wanted:
        begins, ends = datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"])
        if one not in there and ends > clock.now():
            absent = person(one["absent"]) if one["absent"] else None
            add_override(actor, of, person(one["substitute"]), begins, ends, absent)


def read_policies() -> list[tuple[Metadata, Spec]]:
    steps: dict[str, list[Spec]] = {}
    for row in EscalationStep.objects.select_related("client", "person").order_by("client__slug", "position"):
        email = row.person.email if row.person else None
        steps.setdefault(row.client.slug, []).append({"target": row.target, "waitSeconds": row.delay, "person": email})
    return [({"client": slug}, {"steps": told}) for slug, told in steps.items()]


def put_policy(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    steps = [Step(one["target"], one["waitSeconds"], _pk(one["person"])) for one in spec["steps"]]
    set_policy(actor, client(metadata["client"]), steps)


def _pk(email: str | None) -> int | None:
    found: User | None = person(email) if email else None
    return found.pk if found else None
