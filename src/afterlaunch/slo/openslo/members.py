"""Members of a mapping, taken with their type; what is wrong is noted with its path. Pure."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

from afterlaunch.slo.durations import Duration, duration, exact, lookback
from afterlaunch.slo.openslo.problems import Findings, Where

T = TypeVar("T")


class Members:
    """`value` that is no mapping counts as an empty one, and is noted."""

    def __init__(self, value: Any, where: Where, findings: Findings) -> None:
        self.where, self.findings = where, findings
        if not isinstance(value, dict):
            findings.wrong(where, "it must be a mapping" if value is not None else "it is missing")
        self.raw: dict[str, Any] = value if isinstance(value, dict) else {}

    def wrong(self, name: str, message: str) -> None:
        self.findings.wrong(self.where.at(name) if name else self.where, message)

    def note(self, name: str, message: str) -> None:
        self.findings.note(self.where.at(name) if name else self.where, message)

    def has(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def inside(self, name: str) -> Members:
        return Members(self.raw.get(name), self.where.at(name), self.findings)

    def each(self, name: str, needed: bool = False) -> list[Members]:
        value = self.raw.get(name)
        if value is None or value == []:
            if needed:
                self.wrong(name, "it must be a list that is not empty")
            return []
        if not isinstance(value, list):
            self.wrong(name, "it must be a list")
            return []
        at = self.where.at(name)
        return [Members(one, at.at(place), self.findings) for place, one in enumerate(value)]

    def text(self, name: str, default: str | None = None) -> str:
        """Needed if there is no default."""
        value = self.raw.get(name)
        if default is not None and (value is None or (isinstance(value, str) and not value.strip())):
            return default
        if not isinstance(value, str) or not value.strip():
            self.wrong(name, "it must be text" if value is not None else "it is missing")
            return default or ""
        return value.strip()

    def texts(self, name: str) -> dict[str, str]:
        """A mapping of text to text; lists are joined with commas, numbers and flags written out."""
        value = self.raw.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(name, "it must be a mapping of text to text")
            return {}
        return {str(key): ",".join(map(str, one)) if isinstance(one, list) else str(one) for key, one in value.items()}

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, "it must be true or false")
            return default
        return value

    def number(self, name: str) -> Fraction | None:
        return self._taken(name, exact)

    def duration(self, name: str) -> Duration | None:
        return self._taken(name, duration)

    def lookback(self, name: str) -> int | None:
        return self._taken(name, lookback)

    def _taken(self, name: str, take: Callable[[object], T]) -> T | None:
        value = self.raw.get(name)
        if value is None:
            self.wrong(name, "it is missing")
            return None
        try:
            return take(value)
        except ValueError as problem:
            self.wrong(name, str(problem))
            return None
