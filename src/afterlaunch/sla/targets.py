"""The SLA matrix as data: for each clock and severity a cell, and what else a policy decides. Pure.

    {"response":   {"P1": {"kind": "duration", "in_hours": "30m", "off_hours": "2h", "counting": "elapsed"},
                    "P2": {"kind": "business_days", "days": 1, "counting": "business", "due_time": "17:00"},
                    "P3": {"kind": "batch_slot", "counting": "business", "slot": {"weekday": "mon", "time": "10:00"}}},
     "update": {…}, "resolution": {…},
     "warn_at": [50, 75, 90], "escalate_early": false, "pause": {"one": "72h", "total": "240h"}}

A cell names its calendar, or means the client's business hours. `counting` has no default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from afterlaunch.calendars.wall import DAY, clock_time, zone_named
from afterlaunch.calendars.windows import NAMES, weekday
from afterlaunch.ground.errors import Invalid
from afterlaunch.sla.spans import read_span, words, written

Kind = Literal["duration", "business_days", "batch_slot"]
Counting = Literal["elapsed", "business"]
SEVERITIES = ("P1", "P2", "P3")
CLOCKS = ("response", "update", "resolution")
TITLES = {"response": "First response", "update": "Next update", "resolution": "Resolution"}
PAUSABLE = ("update", "resolution")
BUSINESS_HOURS = "business-hours"
HOUR, MINUTE = 3600, 60
MOST_DAYS = 260


@dataclass(frozen=True)
class Slot:
    """A weekly batch: ISO weekday, "HH:MM", on the wall clock of `zone`, or of the calendar where that is empty."""

    weekday: int
    time: str
    zone: str = ""


@dataclass(frozen=True)
class Target:
    """One cell. Durations in seconds; `due_time` "HH:MM" of the last business day, empty: the end of its windows."""

    kind: Kind
    counting: Counting
    in_hours: int = 0
    off_hours: int = 0
    days: int = 0
    due_time: str = ""
    slot: Slot | None = None
    calendar: str = BUSINESS_HOURS

    def document(self) -> dict[str, Any]:
        """What `read_target` reads."""
        told: dict[str, Any] = {"kind": self.kind, "counting": self.counting, "calendar": self.calendar}
        if self.kind == "duration":
            told |= {"in_hours": written(self.in_hours), "off_hours": written(self.off_hours)}
        elif self.kind == "business_days":
            told |= {"days": self.days, "due_time": self.due_time}
        elif self.slot is not None:
            day = NAMES[self.slot.weekday - 1][:3]
            told["slot"] = {"weekday": day, "time": self.slot.time, "zone": self.slot.zone}
        return told

    def words(self) -> str:
        """ "30 min in business hours, 2 h off hours"; "end of the next business day"."""
        if self.kind == "duration":
            counted = "" if self.counting == "elapsed" else " of business time"
            inside, outside = words(self.in_hours), words(self.off_hours)
            if inside == outside:
                return f"{inside}{counted}"
            return f"{inside}{counted} in business hours, {outside}{counted} off hours"
        if self.kind == "business_days":
            day = "next" if self.days == 1 else f"{_ordinal(self.days)}"
            tail = "" if self.days == 1 else " after"
            return f"{self.due_time or 'end'} {'on' if self.due_time else 'of'} the {day} business day{tail}"
        slot = self.slot or MONDAYS
        zone = f" ({slot.zone})" if slot.zone else ""
        return f"weekly batch, {NAMES[slot.weekday - 1].capitalize()} {slot.time}{zone}"


@dataclass(frozen=True)
class Policy:
    """`cells` by clock and severity; a clock that is not there is not promised. `label` names the version."""

    label: str
    cells: Mapping[str, Mapping[str, Target]]
    warn_at: tuple[int, ...] = (50, 75, 90)
    escalate_early: bool = False
    pause_one: int = 72 * HOUR
    pause_total: int = 240 * HOUR

    def target(self, clock: str, severity: str) -> Target | None:
        return self.cells.get(clock, {}).get(severity)

    def document(self) -> dict[str, Any]:
        cells = {
            clock: {severity: self.cells[clock][severity].document() for severity in SEVERITIES if severity in row}
            for clock in CLOCKS
            if (row := self.cells.get(clock))
        }
        pause = {"one": written(self.pause_one), "total": written(self.pause_total)}
        return {**cells, "warn_at": list(self.warn_at), "escalate_early": self.escalate_early, "pause": pause}


MONDAYS = Slot(1, "10:00")
UPDATES = {
    "P1": Target("duration", "elapsed", 30 * MINUTE, 30 * MINUTE),
    "P2": Target("duration", "business", 4 * HOUR, 4 * HOUR),
}
MATRIX: Mapping[str, Mapping[str, Target]] = {
    "standard": {
        "P1": Target("duration", "elapsed", 30 * MINUTE, 2 * HOUR),
        "P2": Target("business_days", "business", days=1),
        "P3": Target("batch_slot", "business", slot=MONDAYS),
    },
    "enterprise": {
        "P1": Target("duration", "elapsed", 15 * MINUTE, 30 * MINUTE),
        "P2": Target("duration", "elapsed", 4 * HOUR, 4 * HOUR),
        "P3": Target("business_days", "business", days=2),
    },
}
SHIPPED = "shipped-1"


def shipped(tier: str) -> Policy:
    """What holds where a client has no policy of its own. Raises Invalid."""
    if tier not in MATRIX:
        raise Invalid(f"{tier!r} is no tier.", f"Use {' or '.join(MATRIX)}.")
    return Policy(SHIPPED, {"response": MATRIX[tier], "update": UPDATES})


def read_policy(given: object, label: str) -> Policy:
    """A policy of a document, checked. Raises Invalid, which says where it is wrong."""
    members = (*CLOCKS, "warn_at", "escalate_early", "pause")
    if not isinstance(given, Mapping):
        raise Invalid("A policy is an object.", f"It has {', '.join(members)}.")
    _only(given, members, "A policy")
    cells = {clock: _row(clock, given[clock]) for clock in CLOCKS if given.get(clock)}
    missing = [severity for severity in SEVERITIES if severity not in cells.get("response", {})]
    if missing:
        raise Invalid(f"The policy promises no first response for {', '.join(missing)}.", "Write a cell for each.")
    one, total = _pause(given.get("pause"))
    early = given.get("escalate_early", False)
    if not isinstance(early, bool):
        raise Invalid("escalate_early is true or false.")
    return Policy(label, cells, _thresholds(given.get("warn_at", [50, 75, 90])), early, one, total)


def read_target(given: object) -> Target:
    """One cell. Raises Invalid."""
    if not isinstance(given, Mapping):
        raise Invalid(f"{given!r} is no target.", "Write its kind and how it is counted.")
    kind, counting = given.get("kind"), given.get("counting")
    wanted = {
        "duration": ("in_hours", "off_hours"),
        "business_days": ("days", "due_time"),
        "batch_slot": ("slot",),
    }.get(kind if isinstance(kind, str) else "")
    if wanted is None:
        raise Invalid(f"{kind!r} is no kind of target.", "Use duration, business_days or batch_slot.")
    if counting not in ("elapsed", "business"):
        raise Invalid(f"{counting!r} is no way of counting.", "State it: elapsed or business.")
    _only(given, ("kind", "counting", "calendar", *wanted), f"A target of the kind {kind}")
    values: dict[str, Any] = {"calendar": _name(given.get("calendar", BUSINESS_HOURS))}
    if kind == "duration":
        values |= {name: read_span(given.get(name)) for name in wanted}
    elif kind == "business_days":
        values |= {"days": _days(given.get("days")), "due_time": _due_time(given.get("due_time") or "")}
    else:
        values["slot"] = _slot(given.get("slot"))
    return Target(kind=cast(Kind, kind), counting=cast(Counting, counting), **values)


def _row(clock: str, given: object) -> dict[str, Target]:
    if not isinstance(given, Mapping):
        raise Invalid(f"{clock} is an object.", f"It has a cell for {', '.join(SEVERITIES)}.")
    _only(given, SEVERITIES, clock)
    found = {}
    for severity, cell in given.items():
        try:
            found[severity] = read_target(cell)
        except Invalid as problem:
            raise Invalid(f"{clock} {severity}: {problem.message}", problem.hint) from None
    return found


def _only(given: Mapping[Any, Any], members: tuple[str, ...], what: str) -> None:
    unknown = sorted(str(name) for name in given if name not in members)
    if unknown:
        raise Invalid(f"{what} has no {', '.join(unknown)}.", f"It may have: {', '.join(members)}")


def _name(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise Invalid(f"{given!r} is no name of a calendar.", f"For example: {BUSINESS_HOURS}")
    return given


def _days(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MOST_DAYS:
        raise Invalid(f"{given!r} is no number of business days.", f"From 1 to {MOST_DAYS}.")
    return given


def _due_time(given: object) -> str:
    if given:
        clock_time(given)
    return str(given)


def _slot(given: object) -> Slot:
    if not isinstance(given, Mapping) or not {"weekday", "time"} <= set(given) <= {"weekday", "time", "zone"}:
        raise Invalid(f"{given!r} is no weekly slot.", "Write weekday and time, such as mon and 10:00, and a zone.")
    if clock_time(given["time"]) == DAY:
        raise Invalid("A slot can't be at 24:00.", "Write 00:00 of the next day.")
    zone = given.get("zone") or ""
    return Slot(weekday(given["weekday"]), given["time"], zone_named(zone).key if zone else "")


def _thresholds(given: object) -> tuple[int, ...]:
    if not isinstance(given, list) or not all(isinstance(one, int) and 0 < one < 100 for one in given):
        raise Invalid("warn_at is a list of whole percentages between 0 and 100.", "For example: [50, 75, 90]")
    return tuple(sorted(set(given)))


def _pause(given: object) -> tuple[int, int]:
    if given is None:
        return 72 * HOUR, 240 * HOUR
    if not isinstance(given, Mapping) or set(given) != {"one", "total"}:
        raise Invalid("pause holds the caps of one pause and of all.", 'For example: {"one": "72h", "total": "240h"}')
    one, total = read_span(given["one"]), read_span(given["total"])
    if one > total:
        raise Invalid("One pause can't last longer than all together.")
    return one, total


def _ordinal(number: int) -> str:
    tail = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"
