"""Calendars as documents: what people write, what a clock freezes. Pure.

{"zone": "Europe/Berlin", "windows": [{"days": ["mon", "fri"], "start": "08:00", "end": "18:00"}],
 "country": "DE", "subdivision": "BY", "closures": ["2026-12-24"],
 "half_days":  [{"date": "2026-12-31", "windows": [{"start": "08:00", "end": "12:00"}]}],
 "extra_days": [{"date": "2026-12-12", "windows": [{"start": "10:00", "end": "14:00"}]}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from afterlaunch.calendars import holiday_sets
from afterlaunch.calendars.business import Calendar, SpecialDay, next_open
from afterlaunch.calendars.wall import zone_data_version, zone_named
from afterlaunch.calendars.windows import Hours, Window, read_hours, read_window
from afterlaunch.ground.errors import Invalid

MEMBERS = ("zone", "windows", "country", "subdivision", "closures", "half_days", "extra_days")
MOST_DAYS = 2000


def read_calendar(given: object, name: str = "business-hours", version: int = 0) -> Calendar:
    """A calendar of a document, checked. Raises Invalid, which says what is wrong with it."""
    if not isinstance(given, Mapping):
        raise Invalid("A calendar is an object.", "It needs a zone and weekly windows.")
    unknown = sorted(set(given) - set(MEMBERS))
    if unknown:
        raise Invalid(f"A calendar has no {', '.join(map(repr, unknown))}.", f"It may have: {', '.join(MEMBERS)}")
    if "zone" not in given:
        raise Invalid("A calendar needs its zone.", "For example: Europe/Berlin")
    country, subdivision = holiday_sets.check(given.get("country") or "", given.get("subdivision") or "")
    calendar = Calendar(
        zone_named(given["zone"]).key,
        tuple(read_window(one) for one in _list(given, "windows")),
        country,
        subdivision,
        tuple(sorted({_date(one) for one in _list(given, "closures")})),
        tuple(_special(one, "half day") for one in _list(given, "half_days")),
        tuple(_special(one, "extra open day") for one in _list(given, "extra_days")),
        name,
        version,
    )
    _once_each(calendar)
    return calendar


def require_open(calendar: Calendar, now: datetime) -> None:
    """A calendar that has no open second in the next 400 days would never let a clock end. Raises Invalid."""
    if next_open(calendar, now) is None:
        raise Invalid("This calendar has no open second in the next 400 days.", "Add a weekly window or an open day.")


def document(calendar: Calendar) -> dict[str, Any]:
    """What `read_calendar` reads."""
    return {
        "zone": calendar.zone,
        "windows": [one.document() for one in calendar.windows],
        "country": calendar.country,
        "subdivision": calendar.subdivision,
        "closures": [day.isoformat() for day in calendar.closures],
        "half_days": [_special_document(one) for one in calendar.half_days],
        "extra_days": [_special_document(one) for one in calendar.extra_days],
    }


def frozen(calendar: Calendar) -> dict[str, Any]:
    """What a clock stores of it, with the versions of the data that it leans on."""
    return {
        **document(calendar),
        "name": calendar.name,
        "version": calendar.version,
        "holidays_package": holiday_sets.package_version(),
        "zone_data": zone_data_version(),
    }


def thawed(stored: Mapping[str, Any]) -> Calendar:
    """The calendar that a clock was computed with."""
    return Calendar(
        stored["zone"],
        tuple(Window(one["start"], one["end"], tuple(one["days"])) for one in stored["windows"]),
        stored.get("country", ""),
        stored.get("subdivision", ""),
        tuple(date.fromisoformat(day) for day in stored.get("closures", ())),
        _thawed_days(stored.get("half_days", ())),
        _thawed_days(stored.get("extra_days", ())),
        stored.get("name", "business-hours"),
        int(stored.get("version", 0)),
    )


def _thawed_days(stored: Iterable[Mapping[str, Any]]) -> tuple[SpecialDay, ...]:
    return tuple(
        SpecialDay(date.fromisoformat(one["date"]), tuple(Hours(h["start"], h["end"]) for h in one["windows"]))
        for one in stored
    )


def _special_document(one: SpecialDay) -> dict[str, Any]:
    return {"date": one.date.isoformat(), "windows": [hours.document() for hours in one.hours]}


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST_DAYS:
        raise Invalid(f"A calendar's {name} are a list of at most {MOST_DAYS}.")
    return value


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else _no_date(value)
    except ValueError:
        return _no_date(value)


def _no_date(value: object) -> date:
    raise Invalid(f"{value!r} is no date.", "Write it as 2026-12-24.")


def _special(given: object, what: str) -> SpecialDay:
    if not isinstance(given, Mapping) or set(given) != {"date", "windows"} or not isinstance(given["windows"], list):
        raise Invalid(f"{given!r} is no {what}.", "Write its date and its windows.")
    if not given["windows"]:
        raise Invalid(f"The {what} {given['date']} has no windows.", "A date that is closed is a closure.")
    return SpecialDay(_date(given["date"]), tuple(read_hours(one) for one in given["windows"]))


def _once_each(calendar: Calendar) -> None:
    seen: set[date] = set()
    dates = [*calendar.closures, *(one.date for one in (*calendar.half_days, *calendar.extra_days))]
    for day in dates:
        if day in seen:
            raise Invalid(f"{day} is there twice.", "A date is a closure, a half day or an extra open day.")
        seen.add(day)
