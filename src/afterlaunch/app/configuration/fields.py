"""What the fields of a document may hold. Pure.

A field takes a value as YAML gave it and returns it as it is kept and exported, or raises ValueError; `wants` ends the
sentence "spec.X must be …".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True)
class Field:
    """`needed`: a document without it is refused."""

    wants: str
    take: Callable[[Any], Any]
    needed: bool = False


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _some_text(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError(value)
    return _text(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(_some_text(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(value) from None


def _day(value: Any) -> str:
    return (value if type(value) is date else date.fromisoformat(_text(value))).isoformat()


def _wall(value: Any) -> str:
    """YAML 1.1 reads 10:00 without quotes as the number 600."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1440:
        return f"{value // 60:02}:{value % 60:02}"
    return time.fromisoformat(_text(value)).strftime("%H:%M")


def instant(value: Any) -> str:
    """RFC 3339 in UTC. PyYAML makes a time with a zone a UTC time, and one without a naive one: refused."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError(value)
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant_or_none(value: Any) -> str | None:
    return None if value is None else instant(value)


INSTANT_OR_NONE = Field("a time with its zone, such as 2027-01-01T00:00:00Z, or null", _instant_or_none)
TEXT = Field("text", _text)
NEEDED_TEXT = Field("text", _some_text, needed=True)
FLAG = Field("true or false", _flag)
ZONE = Field("an IANA time zone, such as Europe/Berlin", _zone)
DAY = Field("a date, such as 2026-03-02", _day, needed=True)
WALL = Field("a time of day, such as '09:00'", _wall, needed=True)


def whole(least: int, most: int, none: bool = False) -> Field:
    def take(value: Any) -> int | None:
        if value is None and none:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(value)
        return value

    return Field(f"a whole number from {least} to {most}" + (" or null" if none else ""), take)


def number(least: float, most: float) -> Field:
    def take(value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(value)
        return float(value)

    return Field(f"a number from {least:g} to {most:g}", take)


def one_of(allowed: Collection[str], needed: bool = False) -> Field:
    def take(value: Any) -> str:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return Field("one of " + ", ".join(allowed), take, needed)


def address(needed: bool = False, none: bool = False) -> Field:
    """A person's e-mail address; whether they exist is asked later."""

    def take(value: Any) -> str | None:
        if value is None and none:
            return None
        if "@" not in _some_text(value):
            raise ValueError(value)
        return str(value).lower()

    return Field("the e-mail address of a person" + (" or null" if none else ""), take, needed)


def mapping(fields: Mapping[str, Field], needed: bool = False) -> Field:
    def take(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(value)
        return take_all(fields, value)

    return Field("{" + _members(fields) + "}", take, needed)


def texts() -> Field:
    """A mapping of names of the writer's own choice to text."""

    def take(value: Any) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise ValueError(value)
        return {name: _some_text(value[name]) for name in sorted(value)}

    return Field("a mapping of names to text", take)


def list_of(inner: Field, least: int = 0) -> Field:
    def take(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) < least:
            raise ValueError(value)
        return [inner.take(one) for one in value]

    return Field(("a list" if not least else "a list, not empty,") + f" of {inner.wants}", take, needed=bool(least))


def take_all(fields: Mapping[str, Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a nested mapping: absent ones as `take` keeps nothing, where it can. Raises ValueError."""
    if set(given) - set(fields) or any(field.needed and name not in given for name, field in fields.items()):
        raise ValueError(given)
    return {name: field.take(given.get(name)) for name, field in fields.items()}


def _members(fields: Mapping[str, Field]) -> str:
    return "; ".join(f"{name}: {field.wants}{'' if field.needed else ', optional'}" for name, field in fields.items())
