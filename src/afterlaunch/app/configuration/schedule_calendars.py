"""Calendars that feed layers, in documents of schedules: an address is a secret, so it is named and not told; a text is
given once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from afterlaunch.app.configuration.document import Spec
from afterlaunch.app.configuration.fields import Field
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.references import REFERENCE, dereferenced
from afterlaunch.oncall.documents import list_in, members_of, text_in
from afterlaunch.oncall.feeds import declare_calendar, drop_calendar
from afterlaunch.oncall.models import CalendarIn, Schedule

ASKED = "Write address: env:NAME or file:/path of its address, or text: the calendar itself."


def _calendars(value: Any) -> list[Spec]:
    """{name, address} or {name, text}; with address null it is one that is there already."""
    found: list[Spec] = []
    for number, one in enumerate(list_in("calendars", value, 50)):
        here = f"calendars[{number}]"
        told = members_of(here, one, ("name",), ("address", "text"))
        name = text_in(f"{here}.name", told["name"])
        if any(other["name"] == name for other in found):
            raise Invalid(f"calendars: there are two of the name {name!r}.")
        if told.get("text") is not None:
            if told.get("address") is not None or not isinstance(told["text"], str):
                raise Invalid(f"{here} has an address and a text, or a text that is none.", ASKED)
            found.append({"name": name, "text": _lines(told["text"])})
            continue
        given = told.get("address")
        if given is not None and (not isinstance(given, str) or not REFERENCE.fullmatch(given)):
            raise Invalid(f"{here}.address: the address of a calendar is a secret.", ASKED)
        found.append({"name": name, "address": given})
    return found


CALENDARS = Field("a list of calendars {name, address} or {name, text}", _calendars)


def _lines(text: str) -> str:
    return "\n".join(text.splitlines()) + "\n"


def told_calendars(row: Schedule) -> list[Spec]:
    return [_told(one) for one in row.calendars_in.all()]


def _told(one: CalendarIn) -> Spec:
    if one.sealed:
        return {"name": one.name, "address": one.reference or None}
    return {"name": one.name, "text": _lines(one.text)}


def unnamed_calendars() -> int:
    """Calendars whose address no document can name, since nobody said where it lies."""
    return CalendarIn.objects.filter(schedule__removed_at=None, reference="").exclude(sealed="").count()


def feed(actor: Actor, row: Schedule, wanted: list[Spec]) -> None:
    """Those that are new or differ. An address is fetched by the engine, within seconds."""
    there = {one["name"]: one for one in told_calendars(row)}
    for one in wanted:
        known = there.get(one["name"])
        if known == one:
            continue
        if "text" in one:
            declare_calendar(actor, row, one["name"], body=one["text"].encode())
        elif one["address"] is not None:
            url = dereferenced(one["address"], "apply")
            declare_calendar(actor, row, one["name"], url=url, reference=one["address"])
        elif known is None or "address" not in known:
            raise Invalid(f"Nobody says where the calendar {one['name']!r} lies.", ASKED)


def unfeed(actor: Actor, row: Schedule, wanted: Collection[str]) -> None:
    for one in row.calendars_in.exclude(name__in=wanted):
        drop_calendar(actor, row, one)
