"""Documents of schedules, with what is still to come (temporary schedules, overrides) and the calendars that feed a
layer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import ZONE, Field, address, instant, list_of, mapping, one_of
from afterlaunch.app.configuration.oncall_names import Names, member
from afterlaunch.app.configuration.people import client, person
from afterlaunch.app.configuration.schedule_calendars import CALENDARS, feed, told_calendars, unfeed
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.actions import add_temporary, cancel_temporary, checked_layers, edit_schedule, make_schedule
from afterlaunch.oncall.documents import camel, list_in, members_of, normal, wall_in
from afterlaunch.oncall.models import Override, Schedule, TemporarySchedule
from afterlaunch.oncall.overrides import add_override, cancel_override

_INSTANT = Field("a time with its zone, such as 2026-03-02T18:00:00Z", instant, needed=True)
_OVERRIDE = mapping(
    {
        "type": one_of(("add", "remove", "replace", "cover"), needed=True),
        "person": address(none=True),
        "absent": address(none=True),
        "from": _INSTANT,
        "to": _INSTANT,
    }
)


def _overrides(value: Any) -> list[Spec]:
    return list_of(_OVERRIDE).take(value)  # type: ignore[no-any-return]


def _layers(value: Any, where: str = "layers") -> list[Spec]:
    """Checked; a zone that is left out is the schedule's, which is known later."""
    given = camel(value)
    for number, raw in enumerate(given if isinstance(given, list) else []):
        if isinstance(raw, dict) and not raw.get("timeZone"):
            _with_zones(f"{where}[{number}].shifts", raw.get("shifts"))
    made = normal(given, "UTC", member, where)
    for one, raw in zip(made, given, strict=True):
        if not raw.get("timeZone"):
            one["timeZone"] = None
    return made


def _with_zones(where: str, shifts: object) -> None:
    """Times of shifts are instants, and the zone of the schedule is not known here."""
    for number, one in enumerate(shifts if isinstance(shifts, list) else []):
        for name in ("from", "to"):
            try:
                wall_in("", one[name])
            except (Invalid, KeyError, TypeError):
                continue
            raise Invalid(f"{where}[{number}].{name} has no zone.", "Write …Z, or give the layer its timeZone.")


def _temporary(value: Any) -> list[Spec]:
    """Each with `from`, `to` and either `layers` or, in short, `shifts`."""
    found = []
    for number, one in enumerate(list_in("temporary", camel(value), 200)):
        here = f"temporary[{number}]"
        told = members_of(here, one, ("from", "to"), ("layers", "shifts"))
        if (told.get("layers") is None) == (told.get("shifts") is None):
            raise Invalid(f"{here} needs either layers or shifts.")
        layers = told.get("layers")
        if layers is None:
            layers = [{"name": "temporary", "shifts": told["shifts"]}]
        found.append({**_span(here, told), "layers": _layers(layers, f"{here}.layers")})
    return found


def _span(where: str, told: Any) -> Spec:
    try:
        return {name: instant(told[name]) for name in ("from", "to")}
    except ValueError:
        raise Invalid(f"{where}: from and to must be times with their zone.", "As 2026-03-02T18:00:00Z.") from None


SCHEDULE_FIELDS = {
    "timeZone": ZONE,
    "owner": address(none=True),
    "calendars": CALENDARS,
    "layers": Field("a list of layers", _layers, needed=True),
    "temporary": Field("a list of {from, to, layers}", _temporary),
    "overrides": Field(list_of(_OVERRIDE).wants, _overrides),
}


def _in_force(row: Schedule) -> list[Spec]:
    """The layers of the newest version, also of one that is still to come."""
    newest = row.versions.order_by("-number").first()
    return newest.layers if newest else []


def _temporary_to_come(row: Schedule) -> list[TemporarySchedule]:
    return list(TemporarySchedule.objects.filter(schedule=row, cancelled_at=None, ends_at__gt=clock.now()))


def _to_come(row: Schedule) -> list[Override]:
    rows = Override.objects.filter(schedule=row, cancelled_at=None, ends_at__gt=clock.now())
    return list(rows.select_related("absent", "person").order_by("pk"))


def _told(row: Override) -> Spec:
    return {
        "type": row.kind,
        "person": row.person.email if row.person else None,
        "absent": row.absent.email if row.absent else None,
        "from": instant(row.starts_at),
        "to": instant(row.ends_at),
    }


def read_schedules() -> list[tuple[Metadata, Spec]]:
    """What is over is history, not configuration."""
    found = []
    rows = Schedule.objects.filter(removed_at=None).select_related("client", "owner")
    for row in rows.order_by("client__slug", "pk"):
        names = Names(row.client)
        spec = {
            "timeZone": row.zone,
            "owner": row.owner.email if row.owner else None,
            "calendars": told_calendars(row),
            "layers": normal(_in_force(row), row.zone, names.member_out),
            "temporary": [
                {
                    "from": instant(one.starts_at),
                    "to": instant(one.ends_at),
                    "layers": normal(one.layers, row.zone, names.member_out),
                }
                for one in _temporary_to_come(row)
            ],
            "overrides": [_told(one) for one in _to_come(row)],
        }
        found.append(({"client": row.client.slug, "name": row.name}, spec))
    return found


def put_schedule(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """A new version only where the layers themselves differ; what is over is passed by."""
    of = client(metadata["client"])
    row = Schedule.objects.filter(client=of, name=metadata["name"], removed_at=None).select_related("client").first()
    zone = spec.get("timeZone") or (row.zone if row else of.time_zone)
    owner = person(spec["owner"]) if spec.get("owner") else None
    names = Names(of)
    layers = normal(spec["layers"], zone, names.member_in)
    temporary = [{**one, "layers": normal(one["layers"], zone, names.member_in)} for one in spec.get("temporary", [])]
    if row is None:
        row = make_schedule(actor, of, metadata["name"], zone, [] if spec.get("calendars") else layers, owner)
    if spec.get("calendars"):
        feed(actor, row, spec["calendars"])
    _check_fed(row, [*layers, *(layer for one in temporary for layer in one["layers"])])
    if checked_layers(of, zone, layers) != _in_force(row) or zone != row.zone or owner not in (None, row.owner):
        edit_schedule(actor, row, layers, zone=zone, owner=owner)
    if "calendars" in spec:
        unfeed(actor, row, {one["name"] for one in spec["calendars"]})
    if "temporary" in spec:
        _put_temporary(actor, row, temporary)
    if "overrides" in spec:
        _put_overrides(actor, row, spec["overrides"])


def _check_fed(row: Schedule, layers: Iterable[Spec]) -> None:
    known = set(row.calendars_in.values_list("name", flat=True))
    for one in layers:
        if "calendar" in one and one["calendar"] not in known:
            raise Invalid(
                f"The layer {one['name']!r} is fed by no calendar {one['calendar']!r}.", "Add it to calendars."
            )


def _put_temporary(actor: Actor, row: Schedule, wanted: list[Spec]) -> None:
    """Those that differ are cancelled and made; one that is made later is in front of the others."""
    there = []
    for one in _temporary_to_come(row):
        as_told = {"from": instant(one.starts_at), "to": instant(one.ends_at), "layers": one.layers}
        if as_told in wanted and as_told not in there:
            there.append(as_told)
        else:
            cancel_temporary(actor, row, one.pk)
    for spec in wanted:
        begins, ends = datetime.fromisoformat(spec["from"]), datetime.fromisoformat(spec["to"])
        if spec not in there and ends > clock.now():
            add_temporary(actor, row, begins, ends, spec["layers"])


def _put_overrides(actor: Actor, row: Schedule, wanted: list[Spec]) -> None:
    for one in _to_come(row):
        if _told(one) not in wanted:
            cancel_override(actor, row, one.pk)
    there = [_told(one) for one in _to_come(row)]
    for spec in wanted:
        begins, ends = datetime.fromisoformat(spec["from"]), datetime.fromisoformat(spec["to"])
        if spec not in there and ends > clock.now():
            comes = person(spec["person"]) if spec["person"] else None
            goes = person(spec["absent"]) if spec["absent"] else None
            add_override(actor, row, spec["type"], begins, ends, comes, goes)
