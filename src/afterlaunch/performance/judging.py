"""Verdicts on accuracy, on its estimate and on confidence, each with its figures and a sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from afterlaunch.drift.false_alarms import NOT_KNOWN, FalseAlarms
from afterlaunch.ground.shares import newcombe, wilson
from afterlaunch.performance import estimating, weighting
from afterlaunch.performance.estimating import Calibrator
from afterlaunch.performance.following import FALSE_ALARMS, HOURS, Losses, follow, of_counts
from afterlaunch.performance.tally import SIZE_STEP, Tally, cell_middles
from afterlaunch.performance.weighting import Weighted

OK, WARNING, BREACH, NOT_ASSESSED = "ok", "warning", "breach", "not_assessed"
LEAST = 100  # labelled rows of what is judged
BASELINE = 1_000  # labelled rows that a baseline is made of by itself
SURE = 1 - 2 / HOURS  # of the interval whose end must pass the tolerance: one false warning in so many looks
UPPER = 0.98  # of the baseline's interval, whose upper end the line begins at
LARGE = 0.8  # of the baseline's absolute errors are smaller than what is called a large error
TRUSTED = 0.90  # coverage of intervals, below which an estimator is not relied on


@dataclass(frozen=True)
class Judged:
    """`value`: what it is now, `before`: in the baseline; `low`, `high`: 95 % interval of the value; `line`: what is
    alarmed at; `n` rows behind it. `false_alarms`: to be expected where nothing became worse."""

    status: str
    reason: str
    why: str
    value: float | None = None
    before: float | None = None
    low: float | None = None
    high: float | None = None
    line: float | None = None
    n: int = 0
    evidence: dict[str, str | int | float | None] = field(default_factory=dict)
    false_alarms: FalseAlarms = NOT_KNOWN


def not_assessed(reason: str, why: str, n: int = 0) -> Judged:
    return Judged(NOT_ASSESSED, reason, why, n=n)


@dataclass(frozen=True)
class Wrong:
    """What counts as a loss: a wrong class, or an absolute error beyond what 80 % of the baseline's lay below."""

    words: str
    beyond: int | None = None

    def count(self, tally: Tally) -> tuple[int, int]:
        """(losses, labelled rows)."""
        if self.beyond is None:
            return tally.classified - tally.correct, tally.classified
        return sum(n for cell, n in tally.sizes.items() if cell > self.beyond), sum(tally.sizes.values())


def wrong_of(baseline: Tally) -> Wrong:
    if not baseline.is_regression:
        return Wrong("wrong")
    cells = sorted(baseline.sizes)
    reached = np.cumsum([baseline.sizes[cell] for cell in cells])
    beyond = cells[int(np.searchsorted(reached, LARGE * reached[-1]))]
    return Wrong(f"off by more than {SIZE_STEP ** (beyond + 1):.3g}", beyond)


def line_of(hits: int, count: int, tolerance: float) -> float:
    return min(wilson(hits, count, UPPER)[1] + tolerance, 1.0)


def accuracy(
    baseline: Tally, hours: Sequence[Tally], current: Tally, tolerance: float, coverage: float | None
) -> Judged:
    """`hours`: mature ones since the baseline, in their order; `current`: the newest of them together."""
    loss = wrong_of(baseline)
    before_hits, before = loss.count(baseline)
    hits, count = loss.count(current)
    if count < LEAST:
        return not_assessed("too_few_labels", f"Only {count} mature labels; {LEAST} are needed to judge.", count)
    line = line_of(before_hits, before, tolerance)
    followed = follow([of_counts(*loss.count(hour)) for hour in hours], line)
    low, _ = newcombe(hits, count, before_hits, before, SURE)
    value = 1 - hits / count
    inner = wilson(hits, count, 0.95)
    covered = f", {coverage:.0%} of predictions labelled" if coverage is not None else ""
    said = (
        f"{hits / count:.1%} of {count:,} mature labelled predictions were {loss.words}"
        f" ({inner[0]:.1%} to {inner[1]:.1%}{covered}); {before_hits / before:.1%} of {before:,} in the baseline."
    )
    evidence: dict[str, str | int | float | None] = {
        "method": "e-detector on losses; two shares (Newcombe)",
        "log_e": round(max(followed.log_e, -1e9), 3),
        "arl_hours": HOURS,
        "tolerance": tolerance,
        "n_baseline": before,
        "alarms": len(followed.alarms),
    }
    figures = (value, 1 - before_hits / before, 1 - inner[1], 1 - inner[0], 1 - line, count)
    if followed.held:
        said += f" Losses lie above {line:.1%} {followed.over}; by chance that is found once in {HOURS:,} hours."
        return Judged(BREACH, "worse", said, *figures, evidence, FALSE_ALARMS)
    if low > tolerance:
        said += f" The rise is more than {tolerance:.1%}, which chance gives once in {HOURS:,} looks."
        return Judged(WARNING, "perhaps_worse", said, *figures, evidence, FALSE_ALARMS)
    return Judged(OK, "no_drop_found", said, *figures, evidence, FALSE_ALARMS)


def estimated(
    by: Calibrator | str, baseline: Tally, hours: Sequence[Tally], current: Tally, tolerance: float, unreliable: str
) -> Judged:
    """`hours`: closed ones since the baseline, with labels or without."""
    if isinstance(by, str):
        return not_assessed("no_calibration", by)
    now = estimating.estimate(by, current)
    if isinstance(now, str):
        return not_assessed("no_scores", now)
    if now.rows < LEAST:
        return not_assessed("too_few", f"Only {now.rows} predictions with scores; {LEAST} are needed.", now.rows)
    before_hits, before = baseline.classified - baseline.correct, baseline.classified
    line = line_of(before_hits, before, tolerance)
    losses = [Losses(*estimating.expected_losses(by, hour)) for hour in hours if hour.speaks_of == by.speaks_of]
    followed = follow(losses, line)
    said = (
        f"{now.value:.1%} ({now.low:.1%} to {now.high:.1%}) of {now.rows:,} predictions are expected to be right;"
        f" {1 - before_hits / before:.1%} were in the baseline. An {estimating.ASSUMES}."
    )
    evidence: dict[str, str | int | float | None] = {
        "method": estimating.ASSUMES,
        "calibration": by.method,
        "labelled_for_calibration": by.labelled,
        "arl_hours": HOURS,
        "tolerance": tolerance,
    }
    other = weighting.weighted(now, baseline, current)
    said += _weighted_told(other)
    evidence |= _weighted_evidence(other)
    figures = (now.value, 1 - before_hits / before, now.low, now.high, 1 - line, now.rows)
    moved = followed.held or 1 - now.high > line
    if unreliable and moved:
        return Judged(OK, "unreliable", f"{said} It falls, but {unreliable}", *figures, evidence)
    if followed.held:
        said += f" Expected losses lie above {line:.1%} {followed.over}."
        return Judged(BREACH, "expected_worse", said, *figures, evidence)
    if moved:
        return Judged(
            WARNING, "perhaps_expected_worse", f"{said} The whole interval lies below the line.", *figures, evidence
        )
    return Judged(OK, "no_drop_expected", said, *figures, evidence)


def _weighted_told(found: Weighted | str) -> str:
    if isinstance(found, str):
        return f" Weighted for the shares of segments it is not assessed: {found}" if found else ""
    return f" Weighted for today's shares of {found.segment}: {found.value:.1%} ({found.low:.1%} to {found.high:.1%})."


def _weighted_evidence(found: Weighted | str) -> dict[str, str | int | float | None]:
    if isinstance(found, str):
        return {"weighted": None, "weighted_why": found} if found else {}
    told = {"weighted": found.value, "weighted_low": found.low, "weighted_high": found.high}
    return {**told, "weighted_by": found.segment, "effective_labels": round(found.effective)}


def reliability(held: int, count: int) -> str:
    """Why estimates are not relied on, of the last that could be compared; empty: they are."""
    if not count or wilson(held, count, 0.95)[1] >= TRUSTED:
        return ""
    return f"only {held} of the last {count} intervals held the truth, of 95 % that should: it is a note, no alarm."


def below_floor(tally: Tally, floor: float) -> tuple[int, int]:
    """(scored predictions whose confidence in their output is below, scored ones), by cells."""
    chance = estimating.right(tally.speaks_of, cell_middles())
    return int(tally.cells[chance < floor].sum()), int(tally.cells.sum())


def confidence(
    baseline: Tally, hours: Sequence[Tally], current: Tally, floor: float, tolerance: float = 0.05
) -> Judged:
    """The share of predictions whose confidence is below the floor."""
    if not baseline.speaks_of or not baseline.cells.sum():
        return not_assessed(
            "no_scores", "Predictions come without a confidence, or a probability of a declared positive class."
        )
    before_hits, before = below_floor(baseline, floor)
    hits, count = below_floor(current, floor) if current.speaks_of == baseline.speaks_of else (0, 0)
    if count < LEAST:
        return not_assessed("too_few", f"Only {count} predictions with scores; {LEAST} are needed.", count)
    line = line_of(before_hits, before, tolerance)
    same = [hour for hour in hours if hour.speaks_of == baseline.speaks_of]
    followed = follow([of_counts(*below_floor(hour, floor)) for hour in same], line)
    low, _ = newcombe(hits, count, before_hits, before, SURE)
    inner = wilson(hits, count, 0.95)
    said = (
        f"{hits / count:.1%} of {count:,} predictions have a confidence below {floor:g}"
        f" ({inner[0]:.1%} to {inner[1]:.1%});"
        f" {before_hits / before:.1%} of {before:,} in the baseline."
    )
    evidence: dict[str, str | int | float | None] = {"floor": floor, "arl_hours": HOURS, "tolerance": tolerance}
    figures = (hits / count, before_hits / before, *inner, line, count)
    if followed.held:
        said += f" It lies above {line:.1%} {followed.over}; by chance that is found once in {HOURS:,} hours."
        return Judged(BREACH, "unsure", said, *figures, evidence, FALSE_ALARMS)
    if low > tolerance:
        return Judged(
            WARNING,
            "perhaps_unsure",
            f"{said} The rise is more than {tolerance:.0%}.",
            *figures,
            evidence,
            FALSE_ALARMS,
        )
    return Judged(OK, "as_sure", said, *figures, evidence, FALSE_ALARMS)


def usual_floor(baseline: Tally) -> float:
    """Below which the least sure tenth of the baseline lies: the floor where none is declared."""
    chance = estimating.right(baseline.speaks_of, cell_middles()).ravel()
    counts = baseline.cells.ravel()
    order = np.argsort(chance, kind="stable")
    reached = np.cumsum(counts[order])
    if not reached[-1]:
        return 0.5
    return round(float(chance[order][int(np.searchsorted(reached, 0.1 * reached[-1]))]), 2)
