"""The expected error of quantities, before labels come, and the verdict on it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from afterlaunch.performance.estimating import ASSUMES, Estimate
from afterlaunch.performance.expecting import Expecting
from afterlaunch.performance.following import HOURS, Losses, follow
from afterlaunch.performance.judging import (
    BREACH,
    LEAST,
    OK,
    WARNING,
    Judged,
    line_of,
    not_assessed,
    wrong_of,
)
from afterlaunch.performance.scores import Z
from afterlaunch.performance.tally import EXPECTED_FOLDS as FOLDS
from afterlaunch.performance.tally import Tally


def estimate(by: Expecting, current: Tally) -> Estimate | str:
    """`value`: the mean absolute error that labels are expected to show. Why there is none, in a sentence."""
    rows = int(current.expected[0])
    if not rows:
        return "No prediction was estimated by the baseline's model."
    mean, squares = float(current.expected[1]) / rows, float(current.expected[2]) / rows
    each = current.expected[3:] / rows
    unknown = (FOLDS - 1) / FOLDS * float(((each - each.mean()) ** 2).sum()) + by.spread**2 * mean**2 / by.rows
    room = Z * sqrt(by.spread**2 * squares / rows + unknown)
    return Estimate(rows, mean, max(mean - room, 0.0), mean + room)


def estimated(
    by: Expecting | str, baseline: Tally, hours: Sequence[Tally], current: Tally, tolerance: float, unreliable: str
) -> Judged:
    """`hours`: closed ones since the baseline, with labels or without."""
    if isinstance(by, str):
        return not_assessed("no_model_of_errors", by)
    now = estimate(by, current)
    if isinstance(now, str):
        return not_assessed("no_estimate", now)
    if now.rows < LEAST:
        return not_assessed("too_few", f"Only {now.rows} predictions; {LEAST} are needed.", now.rows)
    loss = wrong_of(baseline)
    hits, count = loss.count(baseline)
    line = line_of(hits, count, tolerance)
    followed = follow([_losses(hour) for hour in hours], line)
    before = float(baseline.errors[1]) / count
    likely = float((np.arange(101) / 100 * current.large_cells).sum() / current.large_cells.sum())
    said = (
        f"A mean absolute error of {now.value:.3g} ({now.low:.3g} to {now.high:.3g}) is expected of {now.rows:,}"
        f" predictions, {before:.3g} was in the baseline; {likely:.1%} are expected to be {loss.words},"
        f" {hits / count:.1%} were. An {ASSUMES}."
    )
    evidence: dict[str, str | int | float | None] = {
        "method": ASSUMES,
        "model": "boosted trees of absolute errors",
        "columns": ", ".join(by.names),
        "labelled_for_calibration": by.rows,
        "expected_large": round(likely, 5),
        "line_large": round(line, 5),
        "arl_hours": HOURS,
        "tolerance": tolerance,
    }
    figures = (now.value, before, now.low, now.high, None, now.rows)
    moved = followed.held or (likely > line and now.low > before)
    if unreliable and moved:
        return Judged(OK, "unreliable", f"{said} It rises, but {unreliable}", *figures, evidence)
    if followed.held:
        said += f" Expected large errors lie above {line:.1%} {followed.over}."
        return Judged(BREACH, "expected_worse", said, *figures, evidence)
    if moved:
        return Judged(WARNING, "perhaps_expected_worse", f"{said} Both lie above it.", *figures, evidence)
    return Judged(OK, "no_rise_expected", said, *figures, evidence)


def _losses(hour: Tally) -> Losses:
    return Losses(np.arange(101) / 100, hour.large_cells)
