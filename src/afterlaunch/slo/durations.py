"""Durations of OpenSLO and of Prometheus, and numbers that are exact. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
UNITS = {"m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK, "M": 30 * DAY, "Q": 90 * DAY, "Y": 365 * DAY}
CALENDAR = "MQY"
LONGEST = 3 * UNITS["Y"]
_SHAPE = re.compile(r"([1-9][0-9]{0,5})([mhdwMQY])", re.ASCII)


@dataclass(frozen=True)
class Duration:
    """A positive number of one unit. Months, quarters and years have a nominal length (30, 90, 365 days) until a
    calendar says how long this one is."""

    number: int
    unit: str

    @property
    def seconds(self) -> int:
        return self.number * UNITS[self.unit]

    @property
    def calendar(self) -> bool:
        return self.unit in CALENDAR

    def __str__(self) -> str:
        return f"{self.number}{self.unit}"


def duration(text: object) -> Duration:
    """`30d`, `1M`. Raises ValueError with a sentence."""
    found = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(
            f"{text!r} is no duration: a whole number and, without a space, m (minutes), h, d, w, M (months), Q or Y"
        )
    out = Duration(int(found[1]), found[2])
    if out.seconds > LONGEST:
        raise ValueError(f"{text} is longer than three years")
    return out


def lookback(text: object) -> int:
    """Seconds of a look-back window, for which calendar lengths are refused. Raises ValueError."""
    found = duration(text)
    if found.calendar:
        raise ValueError(f"{text} has no fixed length: look back by m (minutes), h, d or w")
    return found.seconds


def short(seconds: int) -> str:
    """As Prometheus and OpenSLO both read it: 300 -> 5m, 129600 -> 36h, 259200 -> 3d."""
    for unit in "dhm":
        if seconds % UNITS[unit] == 0:
            return f"{seconds // UNITS[unit]}{unit}"
    return f"{seconds}s"


def exact(value: object) -> Fraction:
    """The number that somebody wrote: 0.999 is 999/1000, not the nearest binary fraction. Raises ValueError."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError(f"{value!r} is no number")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is no number") from None
    if not number.is_finite() or not -30 <= number.adjusted() <= 30:
        raise ValueError(f"{value!r} is no number of a sensible size")
    return Fraction(number)


def written(number: Fraction, digits: int = 6) -> str:
    """As a decimal: whole if it can be, else rounded to so many significant digits."""
    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1:
        text = format(Decimal(number.numerator) / Decimal(number.denominator), "f")
        if Fraction(text) == number:
            return text.rstrip("0").rstrip(".") if "." in text else text
    return format(float(number), f".{digits}g")


def percent(number: Fraction) -> str:
    """0.999 -> 99.9 %"""
    return f"{written(number * 100)} %"
