"""What verdicts promise: few false alarms, changes found, intervals that hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from afterlaunch.performance import estimating, judging, maturity, slices, tally
from afterlaunch.performance.crossing import Coded
from afterlaunch.performance.following import follow, of_counts
from afterlaunch.performance.maturity import Aged
from afterlaunch.performance.tally import Classified, Tally

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def drawn(seed: int, n: int, wrong: float = 0.0, spread: float = 1.5, groups: int = 0) -> Tally:
    random = np.random.default_rng([seed, n])
    x = random.normal(0, spread, n)
    p = 1 / (1 + np.exp(-2 * x))
    truth = (random.random(n) < p).astype(int) ^ (random.random(n) < wrong)
    output = (p >= 0.5).astype(int)
    segments = {"group": Coded([f"g{at}" for at in range(groups)], random.integers(0, groups, n))} if groups else {}
    two = ["0", "1"]
    return tally.classified(
        Classified(Coded(two, output), Coded(two, truth), np.full(n, 60.0), p, "probability", "1", segments)
    )


def test_a_null_stream_of_losses_alarms_at_most_as_often_as_stated() -> None:
    """Losses right at the line, the worst of what is no alarm: 20 streams of 1,000 hours."""
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(20):
        wrong = random.binomial(40, 0.2, 1_000)
        alarms += len(follow([of_counts(int(one), 40) for one in wrong], 0.2).alarms)
    assert alarms <= 20


@pytest.mark.parametrize(("wrong", "hours"), [(0.10, 90), (0.20, 25)])
def test_a_fall_of_accuracy_is_found_in_hours(wrong: float, hours: int) -> None:
    """8 streams of 50 labelled predictions an hour; all found within twice the stated time, half within it."""
    delays = []
    for seed in range(8):
        baseline = drawn(seed + 500, 2_000)
        line = judging.line_of(baseline.classified - baseline.correct, baseline.classified, 0.02)
        series = [drawn(10_000 * seed + hour, 50, wrong) for hour in range(2 * hours)]
        losses = [of_counts(one.classified - one.correct, one.classified) for one in series]
        alarms = follow(losses, line).alarms
        delays.append(alarms[0] + 1 if alarms else 10**6)
    assert float(np.median(delays)) <= hours and max(delays) <= 2 * hours


def test_null_days_raise_no_verdict() -> None:
    statuses = []
    for seed in range(30):
        series = [drawn(1_000 * seed + hour, 60) for hour in range(48)]
        judged = judging.accuracy(drawn(seed, 2_000), series, tally.total(series[-24:]), 0.02, None)
        statuses.append(judged.status)
    assert statuses.count("ok") == 30


def test_thin_data_is_not_assessed() -> None:
    thin = drawn(1, 60)
    judged = judging.accuracy(drawn(2, 2_000), [thin], thin, 0.02, 1.0)
    assert (judged.status, judged.reason) == ("not_assessed", "too_few_labels") and judged.value is None
    few = estimating.calibrator(drawn(3, 100))
    assert isinstance(few, str) and "are needed" in few
    assert judging.estimated(few, drawn(3, 100), [], thin, 0.02, "").status == "not_assessed"


@pytest.mark.parametrize(("known", "method"), [(3_000, "isotonic"), (500, "platt")])
def test_intervals_of_estimates_hold_the_truth(known: int, method: str) -> None:
    """Of 30 draws; the questions are harder than those it was calibrated by."""
    held = 0
    for seed in range(30):
        by = estimating.calibrator(drawn(seed, known))
        assert not isinstance(by, str) and by.method == method
        current = drawn(seed + 7_000, 1_500, spread=0.8)
        found = estimating.estimate(by, current)
        assert not isinstance(found, str)
        held += found.low <= current.correct / current.classified <= found.high
    assert held >= 25


def test_expected_counts_are_those_of_calibrated_scores() -> None:
    by = estimating.calibrator(drawn(1, 200_000))
    assert not isinstance(by, str)
    current = drawn(2, 50_000)
    found = estimating.estimate(by, current)
    assert not isinstance(found, str)
    from afterlaunch.performance import scores

    truth = {one.name: one.value for one in scores.of(current, "1")}
    for name in ("precision", "recall", "f1", "auc"):
        assert getattr(found, name) == pytest.approx(truth[name], abs=0.01)


def test_isotonic_regression_pools_what_falls() -> None:
    labelled, hits = np.zeros(tally.CELLS, int), np.zeros(tally.CELLS, int)
    labelled[[10, 20, 30, 40]], hits[[10, 20, 30, 40]] = 10, [1, 6, 4, 9]
    found = estimating.isotonic(labelled, hits)
    assert (
        found[[10, 20, 30, 40]].tolist() == [0.1, 0.5, 0.5, 0.9] and found[0] == 0.1 and found[15] == pytest.approx(0.3)
    )


def test_an_estimator_that_missed_too_often_is_a_note() -> None:
    assert judging.reliability(28, 30) == "" and "note" in judging.reliability(18, 30)
    by = estimating.calibrator(drawn(1, 3_000))
    hard = [drawn(at, 100, spread=0.3) for at in range(40)]
    judged = judging.estimated(by, drawn(1, 3_000), hard, tally.total(hard), 0.02, judging.reliability(18, 30))
    assert (judged.status, judged.reason) == ("ok", "unreliable")
    assert judging.estimated(by, drawn(1, 3_000), hard, tally.total(hard), 0.02, "").status == "breach"


def test_slices_without_a_change_are_rarely_named() -> None:
    """Of 100 comparisons of 20 slices; false ones in at most 5 % of them, with two standard errors."""
    named = 0
    for seed in range(100):
        found = slices.ranked(drawn(seed, 4_000, groups=20), drawn(seed + 900, 4_000, groups=20))
        named += any(one.verdict in ("worse", "better") for one in found)
        assert len(found) == 20
    assert named <= 10


def test_what_slices_add_is_the_whole_change() -> None:
    one, other = drawn(1, 6_000, groups=5), drawn(2, 6_000, wrong=0.1, groups=5)
    found = slices.ranked(one, other)
    change = (1 - other.correct / 6_000) - (1 - one.correct / 6_000)
    assert sum(each.mix + each.within for each in found) == pytest.approx(change)
    assert "No slice stands out" in slices.told(found, change)  # all of them are worse


def aged(hours: int, lag: float, share: float, rows: int = 100) -> list[Aged]:
    """Every hour has so many labels after exactly that lag, where it is old enough."""
    found = []
    for age in range(1, hours + 1):
        counts = tally.lags_in(np.full(int(rows * share), lag)) if age * 3_600 > lag else np.zeros(tally.LAGS, int)
        found.append(Aged(age * 3_600.0, rows, counts))
    return found


def test_the_lag_of_labels_allows_for_those_that_have_not_come() -> None:
    delay = maturity.delay_of(aged(48, 6 * 3_600, 0.6))
    assert delay.late is not None and timedelta(hours=6) <= delay.late <= timedelta(hours=8)
    assert delay.ever == pytest.approx(0.6, abs=0.02)  # the others never get one
    early = maturity.delay_of(aged(9, 6 * 3_600, 0.6))
    assert early.late is None and "still come" in early.why
    assert maturity.delay_of(aged(48, 60, 0.01)).late is None


def test_an_hour_matures_by_word_by_delay_or_by_what_labels_take() -> None:
    delay = maturity.delay_of(aged(48, 6 * 3_600, 0.6))
    assert delay.late is not None
    assert maturity.watermark(NOW, NOW, delay, None, None) == NOW - delay.late
    assert maturity.watermark(NOW, NOW, delay, timedelta(days=2), None) == NOW - timedelta(days=2)
    assert maturity.watermark(NOW, NOW, delay, timedelta(days=2), NOW) == NOW
    hour = timedelta(hours=1)
    mark = NOW - 8 * hour
    assert maturity.state(NOW + hour, NOW, mark, 8 * hour, 0.0, None) == "open"
    assert maturity.state(NOW - 2 * hour, NOW, mark, 8 * hour, 0.5, 0.6) == "provisional"
    assert maturity.state(NOW - 2 * hour, NOW, mark, 8 * hour, 0.55, 0.6) == "mature"
    assert maturity.state(NOW - 9 * hour, NOW, mark, 8 * hour, 0.0, None) == "mature"
    assert maturity.state(NOW - 17 * hour, NOW, mark, 8 * hour, 0.0, None) == "final"


def test_confidence_below_the_floor_is_found() -> None:
    baseline, series = drawn(1, 3_000), [drawn(at, 100) for at in range(30)]
    floor = judging.usual_floor(baseline)
    assert judging.confidence(baseline, series, tally.total(series), floor).status == "ok"
    unsure = [drawn(at, 100, spread=0.5) for at in range(30)]
    assert judging.confidence(baseline, unsure, tally.total(unsure), floor).status == "breach"
