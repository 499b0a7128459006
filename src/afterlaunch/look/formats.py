"""How figures and instants are written for people. Pure: no framework."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

NANO = Decimal(1_000_000_000)
STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
UNKNOWN = "—"
ABBREVIATIONS = ("cpu", "gpu", "slo")


def money(nano: int | None) -> str:
    """nano-USD as dollars: cents from one dollar on, else four decimals, or three digits of a smaller sum; unknown is a
    dash, never zero. The sign stands before the dollar."""
    if nano is None:
        return UNKNOWN
    if nano < 0:
        return f"\N{MINUS SIGN}{money(-nano)}"
    usd = Decimal(nano) / NANO
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    if usd >= Decimal("0.001"):
        return f"${usd:.4f}"
    return f"${usd.quantize(Decimal(1).scaleb(max(-9, usd.adjusted() - 2))).normalize():f}"


def duration_ms(milliseconds: float | None) -> str:
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1_000:.2f} s" if milliseconds < 60_000 else duration_seconds(milliseconds / 1_000)


def duration_seconds(seconds: float | None) -> str:
    """The two largest parts: 1 h 5 min."""
    if seconds is None:
        return UNKNOWN
    left, parts = round(abs(seconds)), []
    for size, unit in STEPS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


def count(number: int | float | None) -> str:
    return UNKNOWN if number is None else f"{number:,.0f}".replace("-", "\N{MINUS SIGN}")


def compact(number: int | float | None) -> str:
    """1,234,567 as 1.23 M, for tiles."""
    if number is None:
        return UNKNOWN
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(number) >= size:
            return f"{number / (1e3 if unit == ' k' else size):.3g}{unit}"
    return f"{number:,.0f}"


def figure(number: float | None) -> str:
    """Any number with about three digits that tell: 0.00123, 4.56, 1,234, 1.23 M."""
    if number is None:
        return UNKNOWN
    size = abs(number)
    if size >= 1e6:
        return compact(number)
    if size >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def percent(part: float | None, of: float | None = 1) -> str:
    if part is None or not of:
        return UNKNOWN
    share = part / of * 100
    return f"{share:.1f}%" if share >= 0.1 or share == 0 else f"{share:.3f}%"


def relative(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    first = duration_seconds(seconds).split(" ")
    said = " ".join(first[:2])
    return f"{said} ago" if seconds > 0 else f"in {said}"


def plain(name: str) -> str:
    """A name of ours for people: `slo.latency_p95` as Latency p95, `rolled_back` as Rolled back,
    `objective.answers.ticket` as SLO answers, ticket."""
    if name.startswith("objective."):
        return f"SLO {name.removeprefix('objective.').replace('.', ', ')}"
    words = name.rpartition(".")[2].replace("_", " ").split(" ")
    said = " ".join(word.upper() if word in ABBREVIATIONS else word for word in words)
    return said[:1].upper() + said[1:]


def points(values: list[float | None], width: float = 100, height: float = 24) -> str:
    """SVG points of a sparkline; gaps are left out."""
    known = [value for value in values if value is not None]
    top = max(known, default=0) or 1
    step = width / max(1, len(values) - 1)
    return " ".join(
        f"{number * step:.1f},{height - 1 - value / top * (height - 2):.1f}"
        for number, value in enumerate(values)
        if value is not None
    )
