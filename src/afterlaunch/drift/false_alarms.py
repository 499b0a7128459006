"""False alarms that a judge is expected to give in a month, from what it promises. Pure.

What alarms by chance at most once in A looks, or whose average run length is A looks, gives at most one false alarm in
A looks, so many in a month of looks. Expectations add whatever depends on what: the sum over judged things holds too.
A rate that is not known is None, never 0, and so is a sum with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MONTH = 365.2425 / 12 * 24  # hours


def a_month(looks: float, every: float = 1.0) -> float:
    """Of one false alarm in so many looks, one look in `every` hours."""
    return MONTH / every / looks


@dataclass(frozen=True)
class FalseAlarms:
    """In a month, at most, as long as nothing changes; None: not known."""

    breaches: float | None = None
    warnings: float | None = None

    def as_document(self) -> dict[str, float | None]:
        return {"breaches": _rounded(self.breaches), "warnings": _rounded(self.warnings)}

    def as_evidence(self) -> dict[str, str | int | float | None]:
        """Of a verdict."""
        return {f"false_{name}_per_month": value for name, value in self.as_document().items()}

    @property
    def told(self) -> str:
        if self.breaches is None and self.warnings is None:
            return "not known"
        if self.breaches is None or self.warnings is None:
            known, other = ("warnings", "breaches") if self.breaches is None else ("breaches", "warnings")
            value = self.warnings if self.breaches is None else self.breaches
            return f"{_at_most(value)} {known}; how many {other} is not known"
        return f"{_at_most(self.breaches)} breaches and {_at_most(self.warnings)} warnings"


NOT_KNOWN = FalseAlarms()


def of_document(told: Mapping[str, float | None] | None) -> FalseAlarms:
    """What was judged before rates were told is not known."""
    return FalseAlarms(told["breaches"], told["warnings"]) if told else NOT_KNOWN


def together(parts: Iterable[FalseAlarms]) -> FalseAlarms:
    """Of all of them; of nothing it is not known."""
    every = list(parts)
    return FalseAlarms(_sum([one.breaches for one in every]), _sum([one.warnings for one in every]))


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _at_most(value: float | None) -> str:
    assert value is not None
    if value == 0:
        return "no"
    return f"at most {value:.2g}" if value >= 0.001 else "less than 0.001"
