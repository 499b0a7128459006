"""Anomalies in one series, point by point: nothing later than a point ever bears on its score.

1. What the rhythm and the slow level expect is taken off, once a rhythm is in force (`season`).
2. Records: how far one of eight views of what is left lies beyond all it has been, in ranges (`records`, `features`).
3. Patterns: how unlike all before the shape of the last 52 values is (`patterns`); runs of one value (`runs`).
4. The score is the strongest of them, brought to 0…1: 0.1 is a record by 1 % of the range, 0.27 one by 6 %, 0.5 one
   by a third, 1 one by eleven ranges; a pattern at a distance of 90 counts 1.
5. Refractory: within 50 values of a stronger score it is 0. One episode is told once, and again only when it grows.
6. The budget turns the score into an alert (`budget`).

The state is plain JSON. Restored, a detector gives the very same answers as one that never stopped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf, isfinite, log1p
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.series.budget import Budget
from afterlaunch.series.features import VIEWS, Views
from afterlaunch.series.patterns import Patterns
from afterlaunch.series.runs import Runs
from afterlaunch.series.season import Season
from afterlaunch.series.wandering import Wandering

VERSION = 1
LEARNING, LEARNING_SPAN, LEARNING_MOST = 150, 2 * 86_400.0, 600
"""Before the first score: 150 values and two days, at most 600 values."""
REFRACTORY = 50
PATTERN = 90.0
DAY, WEEK = 86_400.0, 604_800.0
MOST_WEEKS = 260
AGE_EVERY, HALF_LIFE = 64, 365 * DAY
RARE = 1e-12


@dataclass(frozen=True)
class Judged:
    """`state`: learning (the score is 0 and says nothing yet), judged, or missing (the score is None). `why` names the
    view, `pattern` or `stuck`."""

    score: float | None
    state: str
    alert: bool = False
    why: str = ""
    expected: float | None = None
    threshold: float = inf


MISSING = Judged(None, "missing")


class Detector:
    def __init__(self, per_week: float = 1.0) -> None:
        if not 0 < per_week <= 10_000:
            raise Invalid("The budget of false alerts a week is more than 0 and at most 10,000.")
        self.season, self.budget = Season(), Budget(per_week)
        self.plain, self.left = (Views(), Patterns()), (Views(), Patterns())
        self.runs, self.wandering = Runs(), Wandering()
        self.n, self.left_n, self.kind = 0, 0, 0.0
        self.last: float | None = None
        self.step = self.since = 0.0
        self.strongest: deque[tuple[int, float]] = deque()
        """(n, score), falling: the maximum over the refractory span."""
        self.levels: list[list[float]] = []
        """(time, level) week by week, for the trend."""

    def see(self, at: float, value: float | None) -> Judged:
        """`at` in seconds; where it is before the last one, the last one counts. Missing values are left out."""
        if value is None or not isfinite(value):
            return MISSING
        step = self._step(at)
        at = at if self.last is None else max(at, self.last)
        expected = self.season.expected(at) if self.n else None
        score, why = self._score(at, value, step)
        self.wandering.see(value)
        self.last, self.n = at, self.n + 1
        if not self.levels or at >= self.levels[-1][0] + WEEK:
            self.levels = [*self.levels[1 - MOST_WEEKS :], [at, self.season.level]]
        if self.n % AGE_EVERY == 0 and self.step > 0:
            share = 1 - 0.5 ** (AGE_EVERY * self.step / HALF_LIFE)
            self.plain[0].age(share)
            self.left[0].age(share)
        if self.learning(at):
            return Judged(0.0, "learning", expected=expected)
        score = self._refractory(score)
        alert = self.budget.judge(at, score, self.wandering.wanders) if score > 0 else self._quiet(at)
        return Judged(score, "judged", alert, why if score > 0 else "", expected, self.budget.raised)

    def learning(self, at: float) -> bool:
        if self.n <= LEARNING:
            return True
        return self.n <= LEARNING_MOST and at - self.since < LEARNING_SPAN

    def _quiet(self, at: float) -> bool:
        if self.budget.born is None:
            self.budget.born = at
        return False

    def _step(self, at: float) -> float:
        """Seconds since the last value, at most a day; the usual step is followed slowly."""
        if self.last is None:
            self.since = at
            return 0.0
        step = min(max(at - self.last, 0.0), DAY)
        usual = min(step, 3 * self.step) if self.n > 20 else step
        self.step += (usual - self.step) * (0.05 if self.n > 1 else 1.0)
        return step

    def _score(self, at: float, value: float, step: float) -> tuple[float, str]:
        rest = self.season.see(at, value, step)
        excess, view = self.plain[0].see(value)
        shape = self.plain[1].see(value)
        stuck = min(0.3 * self.runs.see(value), 1.0)
        if rest is not None:
            self._kind()
            self.left_n += 1
            left_excess, left_view = self.left[0].see(rest)
            left_shape = self.left[1].see(rest)
            if self.left_n > LEARNING:
                excess, view, shape = left_excess, left_view, left_shape
        by_record, by_pattern = min(log1p(100 * excess) / 7, 1.0), min(shape / PATTERN, 1.0)
        if stuck > max(by_record, by_pattern):
            return stuck, "stuck"
        return (by_pattern, "pattern") if by_pattern > by_record else (by_record, VIEWS[view])

    def _kind(self) -> None:
        """What another rhythm leaves has other shapes."""
        rhythm = self.season.rhythm()
        if rhythm is not None and rhythm.period != self.kind:
            self.kind = rhythm.period
            self.left = (self.left[0], Patterns())

    def _refractory(self, score: float) -> float:
        held = self.strongest
        while held and held[0][0] < self.n - REFRACTORY:
            held.popleft()
        most = held[0][1] if held else 0.0
        while held and held[-1][1] <= score:
            held.pop()
        if score > RARE:
            held.append((self.n, score))
        return score if score > most else 0.0

    def season_told(self) -> str:
        """`day`, `week`, or `unknown` while none is in force."""
        rhythm = self.season.rhythm()
        return "unknown" if rhythm is None else "day" if rhythm.period == DAY else "week"

    def state(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "season": self.season.state(),
            "budget": self.budget.state(),
            "plain": [one.state() for one in self.plain],
            "left": [one.state() for one in self.left],
            "runs": self.runs.state(),
            "wandering": self.wandering.state(),
            "counts": [self.n, self.left_n, self.kind, self.last, self.since, self.step],
            "strongest": [list(each) for each in self.strongest],
            "levels": self.levels,
        }

    @classmethod
    def restored(cls, told: Any) -> Detector:
        """Raises Invalid where it is no state of this version."""
        if not isinstance(told, dict) or told.get("version") != VERSION:
            raise Invalid(f"This is no state of a detector of version {VERSION}.", "Begin anew, without a state.")
        out = cls()
        try:
            out.season.restore(told["season"])
            out.budget.restore(told["budget"])
            for mine, theirs in ((out.plain, told["plain"]), (out.left, told["left"])):
                mine[0].restore(theirs[0])
                mine[1].restore(theirs[1])
            out.runs.restore(told["runs"])
            if "wandering" in told:  # one that was kept before learns it anew
                out.wandering.restore(told["wandering"])
            out.n, out.left_n, out.kind, out.last, out.since, out.step = told["counts"]
            out.strongest = deque((n, score) for n, score in told["strongest"])
            out.levels = told["levels"]
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise Invalid("The state of the detector is damaged.", "Begin anew, without a state.") from problem
        return out
