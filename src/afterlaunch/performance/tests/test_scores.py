"""Scores beside their straightforward computation, row by row; sums of tallies are tallies of sums."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from afterlaunch.performance import scores, tally
from afterlaunch.performance.crossing import Coded
from afterlaunch.performance.tally import Classified, Measured, Tally

Made = tuple[np.ndarray, np.ndarray, np.ndarray]


def rows_of(n: int, seed: int = 1) -> Made:
    """Probabilities, outputs, truth."""
    random = np.random.default_rng(seed)
    p = 0.02 + 0.96 * random.beta(0.7, 0.9, n)
    return p, (p > 0.4).astype(int), (random.random(n) < np.clip(p + 0.05, 0, 1)).astype(int)


def two(made: Made, labelled: slice = slice(None)) -> Tally:
    p, outputs, truth = made
    codes = np.full(len(truth), -1)
    codes[labelled] = truth[labelled]
    lags = np.where(codes >= 0, 60.0, np.nan)
    return tally.classified(
        Classified(Coded(["0", "1"], outputs), Coded(["0", "1"], codes), lags, p, "probability", "1")
    )


def named(found: list[scores.Score]) -> dict[str, scores.Score]:
    return {one.name: one for one in found}


def auc(p: np.ndarray, truth: np.ndarray) -> float:
    """Over all pairs."""
    positive, negative = p[truth == 1], p[truth == 0]
    above = (positive[:, None] > negative[None, :]).mean() + 0.5 * (positive[:, None] == negative[None, :]).mean()
    return float(above)


def test_two_classes_as_counted_row_by_row() -> None:
    p, outputs, truth = made = rows_of(3_000)
    found = named(scores.of(two(made), "1"))
    tp, fp = int((outputs & truth).sum()), int((outputs & (1 - truth)).sum())
    fn = int(((1 - outputs) & truth).sum())
    assert found["accuracy"].value == (outputs == truth).mean()
    assert found["precision"].value == tp / (tp + fp) and found["recall"].value == tp / (tp + fn)
    assert found["f1"].value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    loss = -np.log(np.where(truth == 1, clipped, 1 - clipped)).mean()
    assert found["log_loss"].value == pytest.approx(loss, rel=1e-6)
    assert found["auc"].value == pytest.approx(auc(p, truth), abs=2e-4)
    for one in found.values():
        assert one.low is not None and one.high is not None and one.low < one.value < one.high and one.n > 0


def test_many_classes_as_counted_row_by_row() -> None:
    random = np.random.default_rng(3)
    truth = random.integers(0, 3, 900)
    outputs = np.where(random.random(900) < 0.7, truth, random.integers(0, 3, 900))
    names = ["a", "b", "c"]
    found = named(
        scores.of(
            tally.classified(
                Classified(Coded(names, outputs), Coded(names[::-1], 2 - truth), np.ones(900), np.full(900, np.nan))
            ),
            "",
        )
    )
    precision = [(truth[outputs == k] == k).mean() for k in range(3)]
    recall = [(outputs[truth == k] == k).mean() for k in range(3)]
    f1 = [2 * a * b / (a + b) for a, b in zip(precision, recall, strict=True)]
    assert found["accuracy"].value == (outputs == truth).mean()
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        assert found[f"{name}_macro"].value == pytest.approx(np.mean(values))
    assert "auc" not in found and "log_loss" not in found


def test_quantities_as_counted_row_by_row() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(50, 9, 2_000)
    outputs = truth + random.normal(1, 3, 2_000)
    labels = truth.copy()
    labels[:500] = np.nan
    found = named(scores.of(tally.measured(Measured(outputs, labels, np.where(np.isnan(labels), np.nan, 5.0))), ""))
    error = (outputs - truth)[500:]
    assert found["mae"].value == pytest.approx(np.abs(error).mean()) and found["mae"].n == 1_500
    assert found["rmse"].value == pytest.approx(np.sqrt((error**2).mean()))
    assert found["bias"].value == pytest.approx(error.mean())
    spread = ((truth[500:] - truth[500:].mean()) ** 2).sum()
    assert found["r2"].value == pytest.approx(1 - (error**2).sum() / spread)


@pytest.mark.parametrize("name", ["accuracy", "precision", "f1", "auc", "log_loss"])
def test_intervals_hold_what_is_true(name: str) -> None:
    """At 95 %, of 200 draws."""
    truth = named(scores.of(two(rows_of(400_000, 999)), "1"))[name].value
    drawn = [named(scores.of(two(rows_of(600, seed)), "1"))[name] for seed in range(200)]
    held = sum(one.low <= truth <= one.high for one in drawn if one.low is not None and one.high is not None)
    assert held >= 178


def test_sums_of_tallies_are_tallies_of_sums_and_come_back_from_bytes() -> None:
    p, outputs, truth = made = rows_of(1_000)
    parts = [two((p[part], outputs[part], truth[part]), slice(0, 250)) for part in (slice(0, 400), slice(400, None))]
    codes = np.concatenate([np.arange(0, 250), np.arange(400, 650)])
    labels = np.full(1_000, -1)
    labels[codes] = truth[codes]
    lags = np.where(labels >= 0, 60.0, np.nan)
    whole = tally.classified(
        Classified(Coded(["0", "1"], outputs), Coded(["0", "1"], labels), lags, p, "probability", "1")
    )
    summed = tally.total([tally.unpack(tally.pack(one)) for one in parts])
    assert same(summed, whole) and same(parts[0].merge(parts[1]), parts[1].merge(parts[0]))
    assert same(Tally().merge(whole), whole)
    assert len(tally.pack(whole)) < 4_000
    assert made[0] is p


def same(one: Tally, other: Tally) -> bool:
    return all(equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Tally))


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.allclose(one, other, rtol=1e-12))
    return bool(one == other)


def test_scores_of_two_meanings_say_nothing_together() -> None:
    made = rows_of(100)
    other = two(made)
    other.speaks_of = "confidence"
    both = two(made).merge(other)
    assert both.speaks_of == "" and not both.cells.any() and both.labelled == 200


def test_nothing_is_told_of_nothing() -> None:
    assert scores.of(Tally(), "1") == []
    p, outputs, truth = rows_of(50)
    found = named(scores.of(two((p, outputs, np.zeros_like(truth))), "1"))
    assert "auc" not in found and "recall" not in found and found["precision"].value == 0


def test_too_many_classes_do_not_make_wrong_outputs_right() -> None:
    random = np.random.default_rng(7)
    names = [f"c{at}" for at in range(500)]
    truth, outputs = random.integers(0, 500, 5_000), random.integers(0, 500, 5_000)
    found = tally.classified(
        Classified(Coded(names, outputs), Coded(names, truth), np.ones(5_000), np.full(5_000, np.nan))
    )
    assert found.correct == (truth == outputs).sum() and found.classified == 5_000


def test_a_score_that_is_none_is_counted_apart() -> None:
    outputs = Coded(["0", "1"], np.array([0, 1, 1, -1]))
    labels = Coded(["1"], np.array([0, 0, -1, 0]))
    given = Classified(outputs, labels, np.full(4, np.nan), np.array([0.2, 1.7, np.nan, 0.5]), "probability", "1")
    found = tally.classified(given)
    assert (found.score_invalid, found.without_output, found.cells.sum(), found.classified) == (1, 1, 1, 2)
