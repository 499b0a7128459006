"""How a report writes figures. The same text stands in every format. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from afterlaunch.look.formats import UNKNOWN, duration_seconds
from afterlaunch.reports.periods import Period
from afterlaunch.telemetry.windows import Window

NANO = Decimal(1_000_000_000)
CENT = Decimal("0.01")


def exact(nano: int) -> str:
    """Every digit that is known, at least to the cent: $0.001234; the sign stands before the dollar."""
    if nano < 0:
        return f"\N{MINUS SIGN}{exact(-nano)}"
    whole, _, rest = format((Decimal(nano) / NANO).normalize(), "f").partition(".")
    return f"${int(whole):,}.{rest.ljust(2, '0')}"


def cents(nano: int) -> str:
    """For reading: rounded half up to the cent, never to nothing."""
    if nano < 0:
        return f"\N{MINUS SIGN}{cents(-nano)}"
    usd = (Decimal(nano) / NANO).quantize(CENT, ROUND_HALF_UP)
    return "less than a cent" if nano and usd < CENT else f"${usd:,}"


def cost(window: Window) -> str:
    """The known cost; `unknown` when none of it is; a dash where there was no call to cost anything."""
    if not window.calls and not window.cost_nano:
        return UNKNOWN
    if window.calls and window.calls_unknown_cost == window.calls:
        return "unknown"
    return f"{estimate_mark(window.calls_estimated)}{exact(window.cost_nano)}"


def estimate_mark(calls_estimated: int) -> str:
    """Before a sum that holds estimates."""
    return "≈ " if calls_estimated else ""


def of_a_sample(window: Window) -> str:
    """What calls of sampled traces stand for, beside the sums, which are of what was sent."""
    return (
        f"{many(window.calls_sampled, 'call')} are of sampled traces, counted as they were sent. Extrapolated by the"
        f" samplers' share, all stand for about {many(window.calls_extrapolated, 'call')} and"
        f" {exact(window.cost_extrapolated_nano)}; no sum holds that."
    )


def number(value: int) -> str:
    return f"{value:,}"


def many(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def percent(part: float, of: float) -> str:
    """A share that never rounds up to all or down to none: 99.9999 % is not 100 %. The nearer it is to either end, the
    more digits it has: 98.2 %, 99.95 %, 99.995 %."""
    if not of:
        return UNKNOWN
    if part in (0, of):
        return "100 %" if part else "0 %"
    exactly = Decimal(str(part)) / Decimal(str(of)) * 100
    from_end = min(exactly, 100 - exactly)
    digits = 1 if from_end >= 1 else 2 if from_end >= Decimal("0.1") else 3
    shown = exactly.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    if shown >= 100:
        return "above 99.999 %"
    return "below 0.001 %" if shown <= 0 else f"{shown} %"


def roughly(share: float | None) -> str:
    """Whole per cents, with the ends kept apart."""
    if share is None:
        return UNKNOWN
    if 0 < share < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < share < 1 else f"{share * 100:.0f} %"


def duration(seconds: float | None, absent: str = UNKNOWN) -> str:
    return absent if seconds is None else duration_seconds(seconds)


def milliseconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f} ms"


def moment(at: datetime | None, when: Period) -> str:
    """On the report's wall clock: 2 Mar 02:14."""
    if at is None:
        return UNKNOWN
    local = when.local(at)
    year = "" if f"{local:%Y-%m}" == when.month else f" {local:%Y}"
    return f"{local.day} {local:%b}{year} {local:%H:%M}"


def joined(words: list[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
