"""Estimates weighted for covariate shift: right where plain ones are wrong, as plain ones are without a shift, and not
assessed where few labels bear the weight."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import estimating, judging, tally, weighting
from afterlaunch.performance.crossing import Coded
from afterlaunch.performance.estimating import Estimate
from afterlaunch.performance.tally import CONFIDENCE, PROBABILITY, Classified, Tally
from afterlaunch.performance.weighting import Weighted


def drawn(seed: int, n: int, hard: float, speaks_of: str = PROBABILITY, labelled: bool = True) -> Tally:
    """The score knows nothing of `place`; in its value `b` (a share of `hard`) scores are too sure of the positive
    class, or of any. `other` is chance."""
    random = np.random.default_rng([seed, n])
    x, b = random.normal(0, 1.5, n), (random.random(n) < hard).astype(int)
    p = 1 / (1 + np.exp(-2 * x))
    output = (p >= 0.5).astype(int)
    if speaks_of == PROBABILITY:
        truth = (random.random(n) < 1 / (1 + np.exp(-2 * x + 2 * b))).astype(int)
    else:
        p = np.maximum(p, 1 - p)
        truth = np.where(random.random(n) < p - 0.3 * b * (p - 0.5) * 2, output, 1 - output)
    two = ["0", "1"]
    segments = {"place": Coded(["a", "b"], b), "other": Coded(["x", "y", "z"], random.integers(0, 3, n))}
    lags = np.full(n, 60.0 if labelled else np.nan)
    labels = Coded(two, truth if labelled else np.full(n, -1))
    return tally.classified(Classified(Coded(two, output), labels, lags, p, speaks_of, "1", segments))


def estimates(known: Tally, current: Tally) -> tuple[Estimate, Weighted | str]:
    by = estimating.calibrator(known)
    assert not isinstance(by, str)
    plain = estimating.estimate(by, current)
    assert not isinstance(plain, str)
    return plain, weighting.weighted(plain, known, current)


@pytest.mark.parametrize("speaks_of", [PROBABILITY, CONFIDENCE])
def test_where_the_shares_changed_the_weighted_interval_holds_the_truth(speaks_of: str) -> None:
    held, plainly, errors = 0, 0, []
    for seed in range(30):
        known, current = drawn(seed, 6_000, 0.2, speaks_of), drawn(seed + 900, 4_000, 0.8, speaks_of)
        truth = current.correct / current.classified
        plain, found = estimates(known, current)
        assert isinstance(found, Weighted) and found.segment == "place"
        held += found.low <= truth <= found.high
        plainly += plain.low <= truth <= plain.high
        errors.append((plain.value - truth, found.value - truth))
    biased, weighted = np.mean(errors, axis=0)
    assert held >= 27 and plainly <= 3
    assert abs(biased) > 0.04 and abs(weighted) < 0.01


def test_without_a_shift_both_estimates_agree() -> None:
    held = 0
    for seed in range(30):
        known, current = drawn(seed, 6_000, 0.3), drawn(seed + 900, 4_000, 0.3)
        plain, found = estimates(known, current)
        assert isinstance(found, Weighted) and abs(found.value - plain.value) < 0.01 and found.effective > 3_000
        held += found.low <= current.correct / current.classified <= found.high
    assert held >= 27


def test_where_few_labels_bear_the_weight_it_is_not_assessed() -> None:
    _, found = estimates(drawn(1, 3_000, 0.02), drawn(2, 4_000, 0.9))
    assert isinstance(found, str) and ("of equal weight; 200 are needed" in found or "had no labels" in found)
    known, current = drawn(1, 3_000, 0.0), drawn(2, 4_000, 0.5)
    _, found = estimates(known, current)
    assert isinstance(found, str) and "had no labels in the baseline" in found
    judged = judging.estimated(estimating.calibrator(known), known, [current], current, 0.02, "")
    assert judged.evidence["weighted"] is None and "it is not assessed" in judged.why and judged.value is not None


def test_the_verdict_tells_both() -> None:
    known, current = drawn(1, 6_000, 0.2), drawn(2, 4_000, 0.8, labelled=False)
    judged = judging.estimated(estimating.calibrator(known), known, [current], current, 0.02, "")
    assert "Weighted for today's shares of place" in judged.why and judged.evidence["weighted_by"] == "place"
    assert float(judged.evidence["weighted"] or 0) < float(judged.value or 0) - 0.04


def test_without_segments_nothing_is_said_and_older_tallies_say_so() -> None:
    known, current = drawn(1, 3_000, 0.2), drawn(2, 1_000, 0.2)
    plain, _ = estimates(known, current)
    known.segment_cells = {}
    assert "counted before" in str(weighting.weighted(plain, known, current))
    known.segments = {}
    assert weighting.weighted(plain, known, current) == ""
    judged = judging.estimated(estimating.calibrator(known), known, [current], current, 0.02, "")
    assert "eighted" not in judged.why and "weighted" not in judged.evidence


def test_counts_by_segment_merge_and_are_kept() -> None:
    one, other = drawn(1, 500, 0.2), drawn(2, 700, 0.5)
    both = tally.unpack(tally.pack(one.merge(other)))
    assert both.segment_cells == one.merge(other).segment_cells
    counts = np.array([np.reshape(told, (4, -1)) for told in both.segment_cells["place"].values()]).sum((0, 2))
    assert counts.tolist() == [*both.cells.sum(1), both.labelled_cells.sum(), both.hit_cells.sum()]
