"""When a point is told, and when an episode is over; verdicts of series."""

from __future__ import annotations

from random import Random

import pytest

from afterlaunch.anomalies.episodes import BACK, LONGEST, Episode, Mark, step
from afterlaunch.anomalies.judging import Seen, finding
from afterlaunch.anomalies.measures import MEASURES
from afterlaunch.anomalies.rarity import chance
from afterlaunch.series.detector import Judged
from afterlaunch.verdicts.words import Status

COST, CALLS = MEASURES["cost"], MEASURES["calls"]
HOUR = 3_600.0
ALERT = Judged(0.6, "judged", True, "value", expected=2.0)
QUIET = Judged(0.0, "judged", False, "", expected=2.0)


@pytest.mark.parametrize(
    ("value", "judged", "begins"),
    [
        (8.0, ALERT, True),
        (8.0, QUIET, False),
        (2.4, ALERT, False),  # 40 cents are not worth a word
        (0.0, ALERT, False),  # that less was spent is not told here
        (None, ALERT, False),
    ],
)
def test_an_alert_that_is_worth_telling_begins_an_episode(value: float | None, judged: Judged, begins: bool) -> None:
    assert (step(None, HOUR, value, judged, COST, None) is not None) is begins


def test_fewer_calls_are_told() -> None:
    fallen = Judged(0.6, "judged", True, "value", expected=500.0)
    assert step(None, HOUR, 20.0, fallen, CALLS, None)


def test_what_a_person_called_usual_is_not_told_again_unless_it_is_larger() -> None:
    mark = Mark(4.0, up=True)
    assert step(None, HOUR, 8.0, ALERT, COST, mark) is None
    assert step(None, HOUR, 9.0, ALERT, COST, mark) is not None


def test_it_adds_up_and_ends_when_the_series_is_back() -> None:
    episode = step(None, HOUR, 8.0, ALERT, COST, None)
    episode = step(episode, 2 * HOUR, 7.0, QUIET, COST, None)
    assert episode and (episode.over, episode.hours, episode.quiet) == (11.0, 2, 0)
    for number in range(BACK):
        assert episode is not None
        episode = step(episode, (3 + number) * HOUR, 2.5, QUIET, COST, None)
    assert episode is None


def test_what_stays_becomes_the_usual() -> None:
    episode = step(None, HOUR, 8.0, ALERT, COST, None)
    for number in range(LONGEST):
        assert episode is not None
        episode = step(episode, (2 + number) * HOUR, 8.0, QUIET, COST, None)
    assert episode is None


def seen(of: str, learning: bool = False, over: float = 0.0, hours: int = 200) -> Seen:
    episode = Episode(0, 0, 2.0, 2.0 + over, over, 1) if over else None
    return Seen(1, ("acme", "desk", "prod"), of, "cost", learning, hours, episode, "")


def test_a_part_speaks_before_the_whole_that_it_drives() -> None:
    found = finding(COST, [seen("the whole system", over=9), seen("agent answer", over=8), seen("agent other")], 0.1)
    assert found.status is Status.BREACH and found.explanation.startswith("Agent answer: $10.00 cost in an hour")
    assert "Unusual as well: the whole system." in found.explanation


def test_learning_is_not_ok() -> None:
    assert finding(COST, [seen("the whole system", learning=True, hours=80)], 0.1).status is Status.NOT_ASSESSED
    found = finding(COST, [seen("the whole system"), seen("agent a", learning=True)], 0.1)
    assert found.evidence["false_breaches_per_month"] == pytest.approx(0.435, abs=0.001)  # of one in ten weeks
    assert found.status is Status.OK and "1 still learning" in found.explanation


def test_a_record_of_a_heavy_tail_is_no_surprise() -> None:
    random = Random(3)
    heavy = [random.paretovariate(2) for _ in range(336)]
    light = [random.gauss(1, 0.05) for _ in range(336)]
    assert chance(light, 2.0) < 1e-9
    assert 1e-4 < chance(heavy, 2 * max(heavy)) < 1e-2
    assert chance(heavy[:50], 1_000) == 1.0  # too little is known
    assert chance(heavy, 1.0) > 0.9


def test_ratios_know_falls_and_nothing() -> None:
    assert COST.ratio(8, 2) == pytest.approx(8.125 / 2.125)
    assert CALLS.ratio(0, 500, up=False) > 10
    assert COST.ratio(0, 0) == 1.0
