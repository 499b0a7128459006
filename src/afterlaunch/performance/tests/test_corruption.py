"""Labels turned in one slice, and labels given by few: quiet where nothing is wrong, named where it is."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import flips, givers, tally
from afterlaunch.performance.crossing import Coded, Said
from afterlaunch.performance.givers import Given
from afterlaunch.performance.judging import BREACH, NOT_ASSESSED, OK, WARNING
from afterlaunch.performance.tally import Classified, Tally

TWO = ["0", "1"]
DESKS = ["north", "south", "west"]


def labelled(seed: int, turned: float = 0.0, strict: float = 0.0, hard: float = 0.0, sources: int = 3) -> Tally:
    """3,000 predictions of three desks, labelled by sources in equal parts. `turned`: of the last source's labels in
    the west; `strict`: of all its labels; `hard`: of everybody's in the west."""
    random = np.random.default_rng([seed, 7])
    n = 3_000
    truth, desk, by = random.integers(0, 2, n), random.integers(0, 3, n), random.integers(0, sources, n)
    last, west = by == sources - 1, desk == 2
    wrong = random.random(n) < 0.05 + strict * last + turned * (last & west) + hard * west
    label = np.where(wrong, 1 - truth, truth)
    rows = [np.flatnonzero(by == at) for at in range(sources)]
    said = tuple(Said(f"s{at}", one, Coded(TWO, label[one])) for at, one in enumerate(rows))
    segments = {"desk": Coded(DESKS, desk)}
    scores = np.full(n, np.nan)
    given = Classified(Coded(TWO, truth), Coded(TWO, label), np.full(n, 60.0), scores, "", "1", segments, said)
    return tally.classified(given)


@pytest.mark.parametrize("what", ["nothing", "strict", "hard"])
def test_a_strict_source_and_a_hard_slice_turn_no_labels(what: str) -> None:
    strict, hard = 0.3 * (what == "strict"), 0.3 * (what == "hard")
    told = [flips.check(labelled(seed), labelled(seed + 500, strict=strict, hard=hard)) for seed in range(60)]
    assert {one.status for one in told} == {OK}


def test_labels_turned_in_one_slice_are_named() -> None:
    for seed in range(10):
        found = flips.check(labelled(seed), labelled(seed + 500, turned=0.6))
        assert found.status == BREACH and found.troubles[0].sources == ("s2",) and "desk = west" in found.why
    two = flips.check(labelled(1, sources=2), labelled(501, turned=0.6, sources=2))
    assert two.status == WARNING and two.troubles[0].sources == ("s0", "s1")
    as_ever = flips.check(labelled(1, turned=0.6), labelled(501, turned=0.6))
    assert as_ever.status == OK


def test_what_cannot_be_told_of_turned_labels_is_not_assessed() -> None:
    alone = labelled(1, sources=1)
    assert flips.check(alone, alone).status == NOT_ASSESSED
    assert flips.check(Tally(), Tally()).why == "Not assessed. No segments are declared."
    again = tally.unpack(tally.pack(labelled(2)))
    assert again.source_segments == labelled(2).source_segments
    both = labelled(2).merge(labelled(3)).source_segments["s0"]["desk"]["west"]
    parts = [labelled(seed).source_segments["s0"]["desk"]["west"] for seed in (2, 3)]
    assert both == [sum(one) for one in zip(*parts, strict=True)]


def crowd(random: np.random.Generator, hours: int, few: float = 0.0, accounts: int = 400) -> list[Given]:
    """Unequally busy accounts, whose members come for several labels at a time. `few`: of the last hour's labels, given
    by three more."""
    weights = 1 / np.arange(1, accounts + 1) ** 0.7
    found = []
    for at in range(hours):
        sessions = random.choice(accounts, random.poisson(60), p=weights / weights.sum())
        counts = np.bincount(np.repeat(sessions, random.geometric(0.3, len(sessions))), minlength=accounts + 3)
        if at == hours - 1 and few:
            counts[accounts:] = int(few / (1 - few) * counts.sum() / 3)
        found.append(Given(int(counts.sum()), int(np.sort(counts)[-3:].sum())))
    return found


@pytest.mark.parametrize("accounts", [5, 8, 400])
def test_a_crowd_is_hardly_ever_taken_for_few(accounts: int) -> None:
    """3,000 hours, also of crowds so small that three give about half: stated is once in 1,000."""
    random, alarms = np.random.default_rng(9), 0
    for _ in range(60):
        hours = crowd(random, 98, accounts=accounts)
        alarms += sum(givers.check({("app", "account"): hours[: at + 1]}).status == BREACH for at in range(48, 98))
    assert alarms <= 3 + 3 * 3**0.5


def test_few_who_give_most_are_found_and_three_reviewers_are_as_ever() -> None:
    random = np.random.default_rng(10)
    found = [givers.check({("app", "address"): crowd(random, 80, few=0.7)}) for _ in range(20)]
    assert [one.status for one in found] == [BREACH] * 20
    assert found[0].troubles[0].sources == ("app",) and "Three addresses gave" in found[0].why
    three = [Given(120, 120) for _ in range(80)]
    assert givers.check({("desk", "account"): three}).status == OK


def test_too_few_hours_are_not_assessed() -> None:
    random = np.random.default_rng(11)
    assert givers.check({}).status == NOT_ASSESSED
    assert givers.check({("app", "account"): crowd(random, 12, few=0.9)}).status == NOT_ASSESSED
    assert givers.check({("app", "account"): [*crowd(random, 60), Given(0, 0)]}).status == NOT_ASSESSED


def test_quantiles_of_t_are_those_of_the_tables() -> None:
    for degrees, known in ((23, 3.485), (60, 3.232), (300, 3.118)):
        assert givers.t_quantile(0.999, degrees) == pytest.approx(known, rel=0.002)
