"""Labels that can't be learnt from are named, and good ones hardly ever."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import sources, tally
from afterlaunch.performance.agreement import kappa, of_pairs
from afterlaunch.performance.crossing import Coded, Said
from afterlaunch.performance.tally import Classified, Tally

TWO = ["0", "1"]


def drawn(seed: int, n: int = 2_000, noise: float = 0.05, echoes: float = 0.0, lag: float = 3_600.0) -> Tally:
    """A careful source labels everything; another labels half of it, with noise, or repeats the output."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n)
    output = np.where(random.random(n) < 0.85, truth, 1 - truth)
    half = np.flatnonzero(random.random(n) < 0.5)
    other = np.where(random.random(len(half)) < noise, 1 - truth[half], truth[half])
    other = np.where(random.random(len(half)) < echoes, output[half], other)
    said = (Said("careful", np.arange(n), Coded(TWO, truth)), Said("crowd", half, Coded(TWO, other)))
    lags = random.exponential(lag, n)
    return tally.classified(Classified(Coded(TWO, output), Coded(TWO, truth), lags, np.full(n, np.nan), said=said))


def test_kappa_is_agreement_beyond_chance() -> None:
    """The table of Cohen's 1960 paper has been a textbook's ever since: 20, 5, 10, 15."""
    found = kappa(of_pairs({"y\ty": 20, "y\tn": 5, "n\ty": 10, "n\tn": 15}))
    assert found is not None and found.value == pytest.approx(0.4) and found.n == 50
    assert kappa(of_pairs({"y\ty": 20})) is None


def test_sources_that_are_as_ever_raise_nothing() -> None:
    troubles = []
    for seed in range(100):
        before, now = drawn(seed), drawn(seed + 1_000)
        troubles += sources.agreement(before, now) + sources.echo(before, now) + sources.slower(before, now)
    assert len(troubles) <= 2


def test_a_source_that_errs_agrees_less() -> None:
    found = sources.agreement(drawn(1), drawn(2, noise=0.3))
    assert [(one.kind, one.status) for one in found] == [("agreement", "breach")]
    assert set(found[0].sources) == {"careful", "crowd"}


def test_a_source_that_repeats_outputs_is_named_and_the_other_is_not() -> None:
    found = sources.echo(drawn(1), drawn(2, echoes=0.9))
    assert [one.sources for one in found] == [("crowd",)]


def test_labels_that_take_longer() -> None:
    assert sources.slower(drawn(1), drawn(2, lag=10_000.0))[0].kind == "delay"
    assert sources.slower(drawn(1), drawn(2, lag=1_000.0)) == []


def test_a_burst_is_far_above_what_a_source_does() -> None:
    random = np.random.default_rng(1)
    past = random.poisson(40, 200).tolist()
    assert sources.burst("crowd", [*past, 60]) == [] and sources.burst("crowd", [*past[:20], 5_000]) == []
    assert sources.burst("crowd", [*past, 900])[0].status == "breach"
    nightly = [1_000 if hour % 24 == 0 else 0 for hour in range(240)]
    assert sources.burst("nightly", [*nightly, 1_000]) == []
