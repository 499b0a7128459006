"""`afterlaunch oncall shifts`: a schedule in, its shifts out. Pure; the server draws and routes with the same.

    name: primary
    timeZone: Europe/Berlin
    layers: […]                        # as in documents; or versions: [{validFrom, layers}]
    teams: {night: [ada, ben]}
    temporary: [{from, to, layers}]    # or shifts in the place of layers
    overrides: [{type: replace, person: ben, absent: ada, from, to}]
    calendars: [{name: rota, text}]    # iCalendar, for layers with `calendar: rota`

A document of kind Schedule is read, too. People are whatever names stand there. Times without a zone are on the wall
clock of `timeZone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall import final
from afterlaunch.oncall.calendar_in import read
from afterlaunch.oncall.documents import (
    camel,
    check_override,
    instant_in,
    layers_of,
    list_in,
    members_of,
    normal,
    text_in,
    zone_in,
)
from afterlaunch.oncall.rotations import Group

FIELDS = ("name", "timeZone", "layers", "versions", "teams", "temporary", "overrides", "owner", "calendars")
LONGEST = timedelta(days=1100)
USUAL = timedelta(days=28)
BEGINNING = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def shifts(given: object, since: str | None, until: str | None, now: datetime) -> dict[str, Any]:
    """Shifts and gaps over [since, until), by default the next 28 days. Raises Invalid, which names the place."""
    told = _document(given)
    zone = zone_in("timeZone", told.get("timeZone") or "UTC")
    start = instant_in("--from", since, zone) if since else now
    end = instant_in("--to", until, zone) if until else start + USUAL
    if not start < end <= start + LONGEST:
        raise Invalid("--to must be later than --from, by at most 1100 days.")
    found = final.final_shifts(_schedule(told, zone, start), start, end)
    return {
        "schedule": told.get("name"),
        "time_zone": zone.key,
        "from": _local(start, zone),
        "to": _local(end, zone),
        "shifts": [_shift(one, zone) for one in sorted(found, key=lambda one: (one.start, one.layer, str(one.person)))],
        "gaps": [
            {"start": _local(begins, zone), "end": _local(ends, zone), "hours": _hours(ends - begins)}
            for begins, ends in final.gaps(found, start, end)
        ],
    }


def _document(given: object) -> Mapping[str, Any]:
    if isinstance(given, Mapping) and "spec" in given and "kind" in given:
        if given["kind"] != "Schedule":
            raise Invalid(f"This is a document of kind {given['kind']!r}.", "Give one of kind Schedule.")
        named = given.get("metadata") if isinstance(given.get("metadata"), Mapping) else {}
        spec = given["spec"] if isinstance(given["spec"], Mapping) else {}
        given = {"name": (named or {}).get("name"), **spec}
    told = members_of("The schedule", camel_once(given), (), FIELDS)
    if (told.get("layers") is None) == (told.get("versions") is None):
        raise Invalid("The schedule needs either layers or versions.", "See docs/on-call.md for its form.")
    return told


def camel_once(given: object) -> object:
    """Names of fields in snake_case are read, names of teams stay as they are."""
    made = camel(given)
    if isinstance(given, Mapping) and isinstance(made, dict) and isinstance(given.get("teams"), Mapping):
        made["teams"] = given["teams"]
    return made


def _schedule(told: Mapping[str, Any], zone: ZoneInfo, start: datetime) -> final.Schedule:
    teams = _teams(told.get("teams") or {})
    calendars = _Calendars(told.get("calendars") or [], zone, start)

    def group(tokens: list[Any]) -> Group:
        people = [one for token in tokens for one in (teams[token["team"]] if isinstance(token, Mapping) else [token])]
        return tuple(dict.fromkeys(people))

    def token(where: str, member: Any) -> Any:
        if isinstance(member, Mapping):
            name = members_of(where, member, ("team",))["team"]
            if name not in teams:
                raise Invalid(f"{where}: there is no team {name!r}.", "Add it to teams.")
            return {"team": name}
        return text_in(where, member, 254)

    def layers(given: object, where: str) -> tuple[final.Layer, ...]:
        return layers_of(normal(given, zone.key, token, where), group, calendars.shifts)

    if told.get("layers") is not None:
        versions = [final.Version(BEGINNING, layers(told["layers"], "layers"))]
    else:
        versions = [
            _version(f"versions[{n}]", one, zone, layers)
            for n, one in enumerate(list_in("versions", told["versions"], 200, 1))
        ]
    temporary = [
        _temporary(f"temporary[{n}]", one, zone, layers)
        for n, one in enumerate(list_in("temporary", told.get("temporary") or [], 200))
    ]
    overrides = [
        _override(f"overrides[{n}]", one, zone)
        for n, one in enumerate(list_in("overrides", told.get("overrides") or [], 2000))
    ]
    ordered = sorted(versions, key=lambda one: one.valid_from)
    return final.Schedule(tuple(ordered), tuple(temporary), tuple(overrides))


class _Calendars:
    """Those that stand in the file; read from 31 days before the first day that is asked for to 400 after it."""

    def __init__(self, given: object, zone: ZoneInfo, start: datetime) -> None:
        self._zone, self._start = zone, start
        self._texts: dict[str, Any] = {}
        for number, one in enumerate(list_in("calendars", given, 50)):
            here = members_of(f"calendars[{number}]", one, ("name",), ("text", "address"))
            self._texts[text_in(f"calendars[{number}].name", here["name"])] = here.get("text")

    def shifts(self, name: Any) -> list[dict[str, Any]]:
        text = self._texts.get(name)
        if not isinstance(text, str):
            raise Invalid(f"The calendar {name!r} is not part of the file.", "Give its text in calendars.")
        return read(text.encode(), self._zone.key, self._start, lambda who: who).shifts


def _teams(given: object) -> dict[str, list[str]]:
    if not isinstance(given, Mapping):
        raise Invalid("teams must be a mapping of names to people.")
    return {
        str(name): [text_in(f"teams.{name}[{n}]", one, 254) for n, one in enumerate(list_in(f"teams.{name}", who, 500))]
        for name, who in given.items()
    }


def _version(where: str, given: object, zone: ZoneInfo, layers: Any) -> final.Version:
    told = members_of(where, given, ("validFrom", "layers"))
    return final.Version(
        instant_in(f"{where}.validFrom", told["validFrom"], zone), layers(told["layers"], f"{where}.layers")
    )


def _temporary(where: str, given: object, zone: ZoneInfo, layers: Any) -> final.Temporary:
    told = members_of(where, given, ("from", "to"), ("layers", "shifts"))
    start, end = _span(where, told, zone)
    inner = told.get("layers")
    if inner is None:
        inner = [{"name": "temporary", "shifts": told.get("shifts") or []}]
    return final.Temporary(start, end, layers(inner, f"{where}.layers"))


def _override(where: str, given: object, zone: ZoneInfo) -> final.Override:
    told = members_of(where, given, ("type", "from", "to"), ("person", "absent"))
    kind = check_override(where, told["type"], told.get("person"), told.get("absent"))
    return final.Override(kind, *_span(where, told, zone), told.get("person"), told.get("absent"))


def _span(where: str, told: Mapping[str, Any], zone: ZoneInfo) -> tuple[datetime, datetime]:
    start, end = instant_in(f"{where}.from", told["from"], zone), instant_in(f"{where}.to", told["to"], zone)
    if end <= start:
        raise Invalid(f"{where} ends before it begins.")
    return start, end


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat()


def _hours(length: timedelta) -> float:
    return round(length / timedelta(hours=1), 4)


def _shift(one: final.Shift, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "start": _local(one.start, zone),
        "end": _local(one.end, zone),
        "person": one.person,
        "layer": one.layer or None,
        "reason": one.reason,
        "stands_in_for": list(one.stands_in_for),
        "hours": _hours(one.end - one.start),
    }
