"""Layers as documents: how they are stored, exported, and written in a schedule file. Pure.

A layer is `name`, `priority`, `timeZone`, `windows` (weekly, empty: always) and one of

- `rotation`: `type` (hourly, daily, weekly, monthly), `length`, `start` (the wall time of the first handoff), `members`
  (a person, a team, or a list of several who are on call together) and `advanceOn` (calendar, active_period), which
  must be said where there are windows;
- `shifts`: `from`, `to` and `people` of each;
- `calendar`: the name of a calendar that is read in.

Who a member is, the caller says: a pk, an e-mail address or a plain name. Names in snake_case are read, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.calendars.wall import first_instant, zone_named
from afterlaunch.calendars.windows import Window, read_window
from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.final import OVERRIDES, Fixed, Layer
from afterlaunch.oncall.rotations import ADVANCES, KINDS, LONGEST, Group, Rotation

Token = Any
Document = dict[str, Any]
LAYERS, MEMBERS = 50, 200
_SNAKE = re.compile(r"_([a-z])")


def camel(given: Any) -> Any:
    """snake_case names of mappings as camelCase, all the way down."""
    if isinstance(given, Mapping):
        return {_SNAKE.sub(lambda m: m[1].upper(), str(name)): camel(value) for name, value in given.items()}
    return [camel(one) for one in given] if isinstance(given, list) else given


def members_of(where: str, given: object, needed: Iterable[str] = (), known: Iterable[str] = ()) -> Mapping[str, Any]:
    """A mapping that has what it needs and nothing unknown. Raises Invalid."""
    if not isinstance(given, Mapping):
        raise Invalid(f"{where} must be a mapping, not {_shown(given)}.")
    for name in needed:
        if given.get(name) is None:
            raise Invalid(f"{where} lacks {name}.")
    for name in given:
        if name not in {*needed, *known}:
            raise Invalid(f"{where} has no field {name!r}.", "It may have " + ", ".join([*needed, *known]) + ".")
    return given


def list_in(where: str, given: object, most: int, least: int = 0) -> Sequence[Any]:
    if not isinstance(given, list) or not least <= len(given) <= most:
        raise Invalid(f"{where} must be a list of {least} to {most}, not {_shown(given)}.")
    return given


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "…"


def choice(where: str, given: object, allowed: Sequence[str]) -> str:
    if not isinstance(given, str) or given not in allowed:
        raise Invalid(f"{where} is {_shown(given)}.", "Use one of " + ", ".join(allowed) + ".")
    return given


def whole(where: str, given: object, least: int, most: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise Invalid(f"{where} must be a whole number from {least} to {most}, not {_shown(given)}.")
    return given


def text_in(where: str, given: object, most: int = 100) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > most:
        raise Invalid(f"{where} must be text of 1 to {most} characters, not {_shown(given)}.")
    return given.strip()


def zone_in(where: str, given: object) -> ZoneInfo:
    try:
        return zone_named(given)
    except Invalid as problem:
        raise Invalid(f"{where}: {problem.message}", problem.hint) from None


def instant_in(where: str, given: object, zone: ZoneInfo) -> datetime:
    """A time with its zone, or a wall time in `zone`; YAML may have made a datetime of it."""
    try:
        at = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        raise Invalid(f"{where} is {_shown(given)}, no time.", "Write 2026-03-02T09:00, or with a zone …Z.") from None
    return at.astimezone(UTC) if at.tzinfo else first_instant(at, zone)


def wall_in(where: str, given: object) -> datetime:
    try:
        at = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None or not 1970 <= at.year <= 2200:
        raise Invalid(f"{where} is {_shown(given)}, no wall time.", "Write 2026-03-02T09:00, without a zone.")
    return at.replace(second=0, microsecond=0)


def normal(given: object, zone: str, token: Callable[[str, Any], Token], where: str = "layers") -> list[Document]:
    """Checked and complete layers, every member as `token(where, member)` returns it. Raises Invalid with the place."""
    found = [_layer(f"{where}[{n}]", one, zone, token) for n, one in enumerate(list_in(where, given, LAYERS))]
    names = [one["name"] for one in found]
    for name in names:
        if names.count(name) > 1:
            raise Invalid(f"{where}: two layers have the name {name!r}.")
    return found


def _layer(where: str, given: object, zone: str, token: Callable[[str, Any], Token]) -> Document:
    kinds = ("rotation", "shifts", "calendar")
    told = members_of(where, given, ("name",), ("priority", "timeZone", "windows", *kinds))
    if sum(told.get(kind) is not None for kind in kinds) != 1:
        raise Invalid(f"{where} needs exactly one of rotation, shifts and calendar.")
    inner = zone_in(f"{where}.timeZone", told.get("timeZone") or zone)
    windows = list_in(f"{where}.windows", told.get("windows") or [], 50)
    made: Document = {
        "name": text_in(f"{where}.name", told["name"]),
        "priority": whole(f"{where}.priority", told.get("priority", 0), -1000, 1000),
        "timeZone": inner.key,
        "windows": [_window(f"{where}.windows[{n}]", one).document() for n, one in enumerate(windows)],
    }
    if told.get("rotation") is not None:
        made["rotation"] = _rotation(f"{where}.rotation", told["rotation"], bool(windows), token)
    elif told.get("shifts") is not None:
        made["shifts"] = _shifts(f"{where}.shifts", told["shifts"], inner, token)
    else:
        made["calendar"] = told["calendar"]
    return made


def _window(where: str, given: object) -> Window:
    told = dict(given) if isinstance(given, Mapping) else given
    if isinstance(told, dict):
        told |= {name: _clock(told[name]) for name in ("start", "end") if name in told}
    try:
        return read_window(told)
    except Invalid as problem:
        raise Invalid(f"{where}: {problem.message}", problem.hint) from None


def _clock(given: object) -> object:
    """YAML 1.1 reads 17:00 without quotes as the number 1020."""
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= 1440:
        return f"{given // 60:02}:{given % 60:02}"
    return given


def _rotation(where: str, given: object, windows: bool, token: Callable[[str, Any], Token]) -> Document:
    told = members_of(where, given, ("type", "start", "members"), ("length", "advanceOn"))
    kind = choice(f"{where}.type", told["type"], KINDS)
    if windows and told.get("advanceOn") is None:
        hint = "calendar: at every period, also a closed one; active_period: only after a period with open hours."
        raise Invalid(f"{where}.advanceOn must be said, since the layer has windows.", hint)
    return {
        "type": kind,
        "length": whole(f"{where}.length", told.get("length", 1), 1, LONGEST[kind]),
        "start": wall_in(f"{where}.start", told["start"]).isoformat(timespec="minutes"),
        "advanceOn": choice(f"{where}.advanceOn", told.get("advanceOn") or "calendar", ADVANCES),
        "members": [
            _group(f"{where}.members[{n}]", one, token)
            for n, one in enumerate(list_in(f"{where}.members", told["members"], MEMBERS, 1))
        ],
    }


def _group(where: str, given: object, token: Callable[[str, Any], Token]) -> list[Token]:
    several = given if isinstance(given, list) else [given]
    return [token(where, one) for one in several]


def _shifts(where: str, given: object, zone: ZoneInfo, token: Callable[[str, Any], Token]) -> list[Document]:
    found = []
    for number, one in enumerate(list_in(where, given, 2000)):
        here = f"{where}[{number}]"
        told = members_of(here, one, ("from", "to", "people"))
        since, until = instant_in(f"{here}.from", told["from"], zone), instant_in(f"{here}.to", told["to"], zone)
        if until <= since:
            raise Invalid(f"{here} ends before it begins.")
        found.append({"from": stamp(since), "to": stamp(until), "people": _group(here, told["people"], token)})
    return found


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def tokens_in(layers: Iterable[Document]) -> list[Token]:
    """Every member of checked layers, in order."""
    groups = [one.get("rotation", {}).get("members", []) for one in layers]
    groups += [[shift["people"] for shift in one.get("shifts", [])] for one in layers]
    return list(chain.from_iterable(chain.from_iterable(groups)))


def layers_of(
    documents: Iterable[Document], group: Callable[[list[Token]], Group], calendar: Callable[[Any], Iterable[Document]]
) -> tuple[Layer, ...]:
    """Checked layers as the rules take them. `calendar` gives the shifts of one that is read in; a shift's own
    `priority` is added to the layer's."""
    found: list[Layer] = []
    for one in documents:
        windows = tuple(Window(w["start"], w["end"], tuple(w["days"])) for w in one["windows"])
        name, zone, priority = one["name"], one["timeZone"], one["priority"]
        if "rotation" in one:
            found.append(Layer(name, rotation_of(one, group), (), windows, zone, priority))
            continue
        shifts = one["shifts"] if "shifts" in one else list(calendar(one["calendar"]))
        for level in sorted({int(shift.get("priority", 0)) for shift in shifts}):
            fixed = tuple(
                Fixed(datetime.fromisoformat(s["from"]), datetime.fromisoformat(s["to"]), group(s["people"]))
                for s in shifts
                if int(s.get("priority", 0)) == level
            )
            found.append(Layer(name, None, fixed, windows, zone, priority + level))
    return tuple(found)


def rotation_of(layer: Document, group: Callable[[list[Token]], Group]) -> Rotation:
    told = layer["rotation"]
    members = tuple(group(one) for one in told["members"])
    anchor = datetime.fromisoformat(told["start"])
    return Rotation(told["type"], told["length"], layer["timeZone"], anchor, members, told["advanceOn"])


def check_override(where: str, kind: object, person: object, absent: object) -> str:
    """Each kind names whom it needs. Raises Invalid."""
    chosen = choice(f"{where}.type" if where else "The kind of override", kind, OVERRIDES)
    if chosen != "remove" and person is None:
        raise Invalid(f"{where or 'The override'} needs the person who comes.")
    if chosen in ("remove", "replace") and absent is None:
        raise Invalid(f"{where or 'The override'} needs the person who is absent.")
    if person is not None and person == absent:
        raise Invalid("Nobody can stand in for themselves.")
    return chosen
