"""What the fields of the editors hold, as documents and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from afterlaunch.calendars.windows import NAMES
from afterlaunch.ground.errors import Invalid
from afterlaunch.sla.spans import written
from afterlaunch.sla.targets import BUSINESS_HOURS, CLOCKS, SEVERITIES, Policy, Target

SHORT = tuple(name[:3] for name in NAMES)
CELL = ("kind", "in_hours", "off_hours", "days", "due_time", "weekday", "time", "counting", "calendar")
_HOURS = re.compile(r"(\d\d:\d\d)\s*[-–]\s*(\d\d:\d\d)\Z")


def windows_of(text: str) -> list[dict[str, Any]]:
    """Lines such as "mon-fri 08:00-12:00, 13:00-18:00" or "sat, sun 10:00-14:00". Raises Invalid."""
    found = []
    for line in _lines(text):
        first = re.search(r"\d\d:\d\d", line)
        if first is None:
            raise Invalid(f"{line!r} has no hours.", "For example: mon-fri 08:00-18:00")
        days = [day for part in line[: first.start()].split(",") if part.strip() for day in _days(part.strip())]
        found += [{"days": days, **hours} for hours in _hours(line[first.start() :])]
    return found


def windows_text(windows: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(f"{_day_words(one['days'])} {one['start']}-{one['end']}" for one in windows)


def dates_of(text: str) -> list[str]:
    """Dates, one a line or with commas between."""
    return [part for line in _lines(text) for part in re.split(r"[\s,]+", line) if part]


def special_of(text: str) -> list[dict[str, Any]]:
    """Lines such as "2026-12-31 08:00-12:00". Raises Invalid."""
    found = []
    for line in _lines(text):
        day, _, rest = line.partition(" ")
        found.append({"date": day, "windows": _hours(rest)})
    return found


def special_text(days: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"{one['date']} " + ", ".join(f"{hours['start']}-{hours['end']}" for hours in one["windows"]) for one in days
    )


def calendar_document(given: Mapping[str, str]) -> dict[str, Any]:
    """Of the fields of the calendar's editor. Raises Invalid."""
    return {
        "zone": given.get("zone", "").strip(),
        "windows": windows_of(given.get("windows", "")),
        "country": given.get("country", "").strip(),
        "subdivision": given.get("subdivision", "").strip(),
        "closures": dates_of(given.get("closures", "")),
        "half_days": special_of(given.get("half_days", "")),
        "extra_days": special_of(given.get("extra_days", "")),
    }


def calendar_fields(document: Mapping[str, Any]) -> dict[str, str]:
    return {
        "zone": document["zone"],
        "windows": windows_text(document["windows"]),
        "country": document["country"],
        "subdivision": document["subdivision"],
        "closures": "\n".join(document["closures"]),
        "half_days": special_text(document["half_days"]),
        "extra_days": special_text(document["extra_days"]),
    }


def policy_document(given: Mapping[str, str]) -> dict[str, Any]:
    """Of the fields of the matrix's editor, `CLOCK-SEVERITY-FIELD`; a cell of the kind "" is not promised. Raises
    Invalid."""
    found: dict[str, Any] = {}
    for clock in CLOCKS:
        row = {severity: cell for severity in SEVERITIES if (cell := _cell(given, f"{clock}-{severity}-"))}
        if row:
            found[clock] = row
    percents = re.split(r"[\s,%]+", given.get("warn_at", "50, 75, 90").strip())
    if not all(part.isdigit() for part in percents if part):
        raise Invalid("Warnings are whole percentages.", "For example: 50, 75, 90")
    pause = {"one": given.get("pause_one", "72h"), "total": given.get("pause_total", "240h")}
    early = bool(given.get("escalate_early"))
    return {**found, "warn_at": [int(part) for part in percents if part], "escalate_early": early, "pause": pause}


def matrix_fields(policy: Policy) -> list[dict[str, Any]]:
    """For each clock its rows, each with the fields of its cell."""
    rows = []
    for clock in CLOCKS:
        cells = [(severity, _fields(policy.target(clock, severity))) for severity in SEVERITIES]
        rows.append({"clock": clock, "cells": cells})
    return rows


def _fields(target: Target | None) -> dict[str, Any]:
    if target is None:
        return dict.fromkeys(CELL, "") | {"calendar": BUSINESS_HOURS}
    slot = target.slot
    return {
        "kind": target.kind,
        "in_hours": written(target.in_hours) if target.in_hours else "",
        "off_hours": written(target.off_hours) if target.off_hours else "",
        "days": target.days or "",
        "due_time": target.due_time,
        "weekday": SHORT[slot.weekday - 1] if slot else "",
        "time": slot.time if slot else "",
        "counting": target.counting,
        "calendar": target.calendar,
    }


def _cell(given: Mapping[str, str], prefix: str) -> dict[str, Any] | None:
    values = {name: given.get(prefix + name, "").strip() for name in CELL}
    kind = values["kind"]
    if not kind:
        return None
    told: dict[str, Any] = {"kind": kind, "counting": values["counting"]}
    told["calendar"] = values["calendar"] or BUSINESS_HOURS
    if kind == "duration":
        told |= {"in_hours": values["in_hours"], "off_hours": values["off_hours"] or values["in_hours"]}
    elif kind == "business_days":
        told |= {"days": int(values["days"]) if values["days"].isdigit() else 0, "due_time": values["due_time"]}
    else:
        told["slot"] = {"weekday": values["weekday"], "time": values["time"], "zone": ""}
    return told


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _days(part: str) -> list[str]:
    first, dash, last = (piece.strip().lower()[:3] for piece in part.replace("–", "-").partition("-"))
    if first not in SHORT or (dash and last not in SHORT):
        raise Invalid(f"{part!r} is no day.", f"Days are {', '.join(SHORT)}, or mon-fri.")
    if not dash:
        return [first]
    start, length = SHORT.index(first), (SHORT.index(last) - SHORT.index(first)) % 7
    return [SHORT[(start + number) % 7] for number in range(length + 1)]


def _hours(text: str) -> list[dict[str, str]]:
    found = []
    for part in text.split(","):
        match = _HOURS.match(part.strip())
        if match is None:
            raise Invalid(f"{part.strip()!r} are no hours.", "For example: 08:00-18:00")
        found.append({"start": match[1], "end": match[2]})
    return found


def _day_words(days: Iterable[int]) -> str:
    numbers = sorted(days)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{SHORT[numbers[0] - 1]}-{SHORT[numbers[-1] - 1]}"
    return ", ".join(SHORT[number - 1] for number in numbers)
