"""From points to episodes: one begins with an alert of the detector that is worth telling, and ends when the series is
back, or when it has stayed for so long that this is what it is now. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from afterlaunch.anomalies.measures import Measure
from afterlaunch.series.detector import Judged

BACK = 3  # hours within half of the difference
LONGEST = 72  # hours; then it is the usual


@dataclass(frozen=True)
class Episode:
    """`since` and `last`: seconds since 1970 of the first and the latest hour; `over`: what all its hours were beyond
    the expected, added up; `quiet`: hours in a row that were back."""

    since: float
    last: float
    expected: float
    observed: float
    over: float
    hours: int
    quiet: int = 0

    @classmethod
    def read(cls, told: Mapping[str, Any] | None) -> Episode | None:
        return cls(**told) if told else None

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Mark:
    """What people called usual: differences of this size or less, of the same direction, are not told."""

    size: float
    up: bool

    def covers(self, value: float, expected: float) -> bool:
        return (value > expected) == self.up and abs(value - expected) <= 1.5 * self.size


def step(
    episode: Episode | None,
    at: float,
    value: float | None,
    judged: Judged,
    measure: Measure,
    mark: Mark | None,
    rare: Callable[[float, float], bool] = lambda value, expected: True,
) -> Episode | None:
    """The episode after one more hour; None: there is none, or it is over. `rare`: whether such a value, where that one
    was expected, comes seldom enough by chance."""
    expected = judged.expected
    if episode is None:
        if value is None or expected is None or not judged.alert or not measure.worth_telling(value, expected):
            return None
        if (mark is not None and mark.covers(value, expected)) or not rare(value, expected):
            return None
        return Episode(at, at, expected, value, value - expected, 1)
    if episode.hours + episode.quiet >= LONGEST:
        return None
    if value is None:
        return replace(episode, quiet=episode.quiet + 1) if episode.quiet + 1 < BACK else None
    usual = episode.expected if expected is None else expected
    first = episode.observed - episode.expected
    if abs(value - usual) < abs(first) / 2 or (value > usual) != (first > 0):
        return replace(episode, quiet=episode.quiet + 1) if episode.quiet + 1 < BACK else None
    return replace(episode, last=at, over=episode.over + value - usual, hours=episode.hours + 1, quiet=0)
