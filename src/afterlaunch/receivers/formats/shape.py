"""The shape that every format is read into, and how texts and times of strangers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson

from afterlaunch.ground.errors import Invalid

LONGEST_LABEL = 4096
MOST_LABELS = 200
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?\s*([Zz]|[+-]\d\d:?(?:\d\d)?)?", re.A
)


@dataclass(frozen=True)
class Told:
    """One alert as its sender told it. `severity`: the sender's word; None: it told none. `no_telemetry`: it says that
    nothing is known, so its rule's severity does not hold. Times are the sender's."""

    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    name: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    severity: str | None = None
    no_telemetry: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    expires_at: datetime | None = None
    restarts: bool = False
    key: str = ""
    url: str = ""


@dataclass(frozen=True)
class Parsed:
    """The good, and a sentence for each of the bad. `note` says what the sender left out."""

    alerts: Sequence[Told] = ()
    wrong: Sequence[str] = ()
    note: str = ""


def document(body: bytes) -> Any:
    """Raises Invalid."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"The body is no JSON document: {problem}.") from None
    except RecursionError:
        raise Invalid("The body is nested too deeply.") from None


def an_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{what} must be an object.")
    return value


def text(value: Any, what: str, longest: int = 10_000) -> str:
    """None is an empty text; numbers and truth values are written as JSON does. Raises Invalid."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return orjson.dumps(value).decode()
    if not isinstance(value, str):
        raise Invalid(f"{what} must be text.")
    return value.replace("\x00", "\ufffd")[:longest]


def texts(value: Any, what: str) -> dict[str, str]:
    """An object of texts. Raises Invalid."""
    given = {} if value is None else an_object(value, what)
    if len(given) > MOST_LABELS:
        raise Invalid(f"{what} has more than {MOST_LABELS} members.")
    if "" in given:
        raise Invalid(f"{what} has a name that is empty.")
    found = {}
    for name, one in given.items():
        if not isinstance(one, str) and one is not None:
            raise Invalid(f"{what}.{name} must be text.")
        found[text(name, what, 300)] = text(one, f"{what}.{name}", LONGEST_LABEL)
    return found


def instant(value: Any, what: str) -> datetime | None:
    """RFC 3339 with up to nanoseconds, also +0000 without a colon; to the microsecond. None: absent, or the year 1 that
    Go's programs send for it. Raises Invalid."""
    if value in (None, ""):
        return None
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 60 else None
    if found is None:
        raise Invalid(f"{what} is no time: {str(value)[:60]!r}.", "RFC 3339, for example 2026-03-01T06:00:00Z")
    *whole, fraction, zone = found.groups()
    if whole[0] == "0001":
        return None
    try:
        micro = int(((fraction or "") + "000000")[:6])
        year, month, day, hour, minute, second = map(int, whole)
        return datetime(year, month, day, hour, minute, second, micro, UTC) - _offset(zone)
    except (ValueError, OverflowError):
        raise Invalid(f"{what} is no time: {value[:60]!r}.") from None


def _offset(zone: str | None) -> timedelta:
    if zone in (None, "Z", "z"):
        return timedelta(0)
    assert zone is not None
    digits = zone[1:].replace(":", "").ljust(4, "0")
    moved = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -moved if zone[0] == "-" else moved


def each(items: Any, what: str, read: Callable[[Any], Told]) -> Parsed:
    """Read one by one: the good are kept, the bad are named."""
    if not isinstance(items, list):
        raise Invalid(f"{what} must be a list.")
    good, wrong = [], []
    for number, item in enumerate(items):
        try:
            good.append(read(item))
        except Invalid as problem:
            wrong.append(f"{what}[{number}]: {problem.message}")
    return Parsed(good, wrong)


def said(annotations: Mapping[str, str], otherwise: str) -> str:
    """The sentence that tells most."""
    for name in ("summary", "description", "message", "details"):
        if annotations.get(name, "").strip():
            return annotations[name].strip()
    return otherwise
