"""Wrong labels are counted where scores or other sources tell them, and good ones hardly ever called wrong."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import noise, tally
from afterlaunch.performance.crossing import Coded, Said
from afterlaunch.performance.tally import Classified, Tally

TWO = ["0", "1"]


def drawn(
    seed: int,
    n: int = 3_000,
    wrong: tuple[float, ...] = (0.0, 0.0),
    shift: float = 0.0,
    speaks_of: str = "probability",
    share: float = 0.5,
) -> Tally:
    """Sources s0, s1, ... that each label a share of the rows, so much of it wrong; the score is calibrated."""
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1.5, n)
    p = 1 / (1 + np.exp(-2 * x))
    truth = (random.random(n) < p).astype(np.int64)
    output = (p > 0.5).astype(np.int64)
    counted, said = np.full(n, -1, np.int64), []
    for at, part in enumerate(wrong):
        rows = np.flatnonzero(random.random(n) < share)
        told = np.where(random.random(len(rows)) < part, 1 - truth[rows], truth[rows])
        counted[rows] = told
        said.append(Said(f"s{at}", rows, Coded(TWO, told)))
    scores = p if speaks_of == "probability" else np.maximum(p, 1 - p)
    lags = np.where(counted >= 0, 60.0, np.nan)
    positive = "1" if speaks_of == "probability" else ""
    given = Classified(Coded(TWO, output), Coded(TWO, counted), lags, scores, speaks_of, positive, said=tuple(said))
    return tally.unpack(tally.pack(tally.classified(given)))


@pytest.mark.parametrize("speaks_of", ["probability", "confidence"])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
def test_the_share_of_wrong_labels_is_estimated_by_sure_scores(speaks_of: str, share: float) -> None:
    held = 0
    for seed in range(40):
        found = noise.by_scores(
            drawn(seed, 6_000, speaks_of=speaks_of), drawn(seed + 500, wrong=(0.0, share), speaks_of=speaks_of)
        )
        held += found["s1"].low <= share <= found["s1"].high
        assert found["s0"].sure < noise.NOTED
    assert held >= 34


def test_good_labels_of_harder_questions_raise_nothing() -> None:
    troubles = []
    for seed in range(100):
        shift = 0.5 if seed % 2 else 0.0
        troubles += noise.noisy(drawn(seed), drawn(seed + 900, shift=shift))
    assert len(troubles) <= 2


def test_a_source_that_errs_is_named_and_the_other_is_not() -> None:
    found = noise.noisy(drawn(1), drawn(2, wrong=(0.0, 0.2)))
    assert [(one.kind, one.sources, one.status) for one in found] == [("noise", ("s1",), "breach")]


def test_one_source_alone_may_be_right_about_a_truth_that_changed() -> None:
    found = noise.noisy(drawn(1, wrong=(0.0,)), drawn(2, wrong=(0.2,)))
    assert [one.status for one in found] == ["warning"] and "or the truth has changed" in found[0].why


def test_three_sources_tell_each_ones_errors_without_scores() -> None:
    held = 0
    for seed in range(30):
        now = drawn(seed, wrong=(0.02, 0.1, 0.25))
        found = noise.by_agreement(now.pairs)
        for name, share in zip(("s0", "s1", "s2"), (0.02, 0.1, 0.25), strict=True):
            held += found[name].low <= share <= found[name].high
    assert held >= 78
    quiet = [noise.noisy(drawn(seed, wrong=(0.02,) * 3), drawn(seed + 70, wrong=(0.02,) * 3)) for seed in range(40)]
    assert sum(map(len, quiet)) <= 1
    named = noise.noisy(drawn(1, wrong=(0.02,) * 3), drawn(2, wrong=(0.02, 0.02, 0.25)))
    assert ("s2",) in [one.sources for one in named if one.status == "breach"]


def held_out(seed: int, copied: float, share: float = 0.2) -> Tally:
    """People repeat outputs that they see, so often."""
    random = np.random.default_rng(seed)
    n = 4_000
    truth = random.integers(0, 2, n)
    output = np.where(random.random(n) < 0.8, truth, 1 - truth)
    seen = (random.random(n) >= share).astype(np.int64)
    label = np.where((seen == 1) & (random.random(n) < copied), output, truth)
    said = (Said("desk", np.arange(n), Coded(TWO, label)),)
    segments = {"exposed": Coded(["false", "true"], seen)}
    none = np.full(n, np.nan)
    return tally.classified(Classified(Coded(TWO, output), Coded(TWO, label), none, none, segments=segments, said=said))


def test_outputs_that_make_labels_are_told_by_a_hold_out() -> None:
    assert [one.kind for one in noise.loops(held_out(1, 0.7))] == ["self_training"]
    assert sum(len(noise.loops(held_out(seed, 0.0))) for seed in range(100)) <= 1
    thin = noise.exposure(held_out(1, 0.7, share=0.002))
    assert thin is not None and thin.excess is None and "held out" in thin.why
    assert noise.exposure(drawn(1)) is None


def test_labels_of_models_are_counted() -> None:
    now = held_out(1, 0.0)
    now.sources["model:grader"] = [900, 800]
    assert [one.kind for one in noise.loops(now)] == ["model_labels"]
