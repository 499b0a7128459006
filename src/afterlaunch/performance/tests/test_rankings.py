"""Rankings beside the room that equals trec_eval; agreement beside its definition."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import agreement, judging_rankings, rankings, scores, tally
from afterlaunch.performance.crossing import Coded, Said
from afterlaunch.performance.rankings import Shown
from afterlaunch.performance.tally import Classified, Tally
from afterlaunch.rankings import binary, gains
from afterlaunch.rankings.ranking import Ranking, rank

CUTOFF = 5


def shown(queries: int, seed: int, skill: float = 1.0, labelled: float = 1.0) -> Shown:
    """Eight items a query, grades 0 to 3."""
    random = np.random.default_rng(seed)
    query = np.repeat(np.arange(queries, dtype=np.uint64), 8)
    grades = random.choice(4, len(query), p=[0.6, 0.2, 0.1, 0.1]).astype(float)
    values = skill * grades + random.normal(0, 1, len(query))
    known = np.where(random.random(len(query)) < labelled, grades, np.nan)
    mixed = random.permutation(len(query))
    return Shown(query[mixed], values[mixed], known[mixed], np.full(len(query), 60.0), CUTOFF)


def slowly(given: Shown) -> list[Ranking]:
    found = []
    for query in np.unique(given.queries):
        mine = np.flatnonzero(given.queries == query)
        if np.isfinite(given.grades[mine]).any():
            judged = {f"d{at}": int(given.grades[at]) for at in mine if np.isfinite(given.grades[at])}
            found.append(rank({f"d{at}": float(given.scores[at]) for at in mine}, judged, 1, 1_000, False, 0))
    return found


@pytest.mark.parametrize("labelled", [1.0, 0.3])
def test_measures_are_those_of_trec_eval(labelled: float) -> None:
    given = shown(300, 3, labelled=labelled)
    beside = slowly(given)
    found = {one.name: one for one in scores.of(rankings.ranked(given), "")}
    means = {
        "ndcg@5": np.mean([gains.ndcg_cut(one, (CUTOFF,))[0] for one in beside]),
        "mrr": np.mean([binary.reciprocal_rank(one) for one in beside]),
        "precision@5": np.mean([binary.precision(one, (CUTOFF,))[0] for one in beside]),
        "recall@5": np.mean([binary.recall(one, (CUTOFF,))[0] for one in beside]),
    }
    for name, value in means.items():
        one = found[name]
        assert one.value == pytest.approx(value) and one.n == len(beside), name
        assert one.low is not None and one.high is not None and one.low < one.value < one.high


def test_parts_of_the_queries_add_up_to_the_whole() -> None:
    given = shown(200, 5)
    parts = []
    for half in (given.queries < 100, given.queries >= 100):
        columns = (given.queries[half], given.scores[half], given.grades[half], given.lags[half])
        parts.append(tally.unpack(tally.pack(rankings.ranked(Shown(*columns, CUTOFF)))))
    whole, merged = rankings.ranked(given), tally.total(parts)
    assert merged.queries == pytest.approx(whole.queries) and (merged.gains == whole.gains).all()
    assert merged.is_ranking and merged.judged == 200 and merged.labelled == 1_600


def test_a_ranking_of_no_skill_breaches_and_an_equal_one_does_not() -> None:
    base = rankings.ranked(shown(1_000, 1))
    alike = [rankings.ranked(shown(50, 100 + at)) for at in range(48)]
    assert judging_rankings.judge(base, alike, tally.total(alike[-24:]), 0.02, 1.0).status == "ok"
    worse = [rankings.ranked(shown(50, 200 + at, skill=0.3)) for at in range(24)]
    found = judging_rankings.judge(base, alike + worse, tally.total(worse), 0.02, 1.0)
    assert found.status == "breach" and found.value is not None and found.before is not None
    assert found.value < found.before - 0.05 and "nDCG@5" in found.why
    assert judging_rankings.judge(base, alike, Tally(cutoff=CUTOFF), 0.02, None).status == "not_assessed"


def test_kappa_is_its_definition() -> None:
    """Observed agreement less what chance gives, as a share of the rest."""
    table = {"a": {"a": 25, "b": 10}, "b": {"a": 15, "b": 50}}
    found = agreement.kappa(table)
    expected = (0.75 - 0.35 * 0.40 - 0.65 * 0.60) / (1 - 0.35 * 0.40 - 0.65 * 0.60)
    assert found is not None and found.value == pytest.approx(expected) and found.n == 100
    ordered = {"1": {"1": 30, "2": 10}, "2": {"2": 20, "3": 10}, "3": {"3": 30}}
    plain, weighted = agreement.kappa(ordered), agreement.kappa(ordered, weighted=True)
    assert plain is not None and weighted is not None and weighted.value > plain.value
    assert agreement.kappa({"a": {"a": 9}}) is None


def test_kappas_interval_holds_the_truth() -> None:
    random = np.random.default_rng(7)
    shares = np.array([0.4, 0.1, 0.15, 0.35])
    truth = agreement.kappa({"a": {"a": 400, "b": 100}, "b": {"a": 150, "b": 350}})
    assert truth is not None
    held = 0
    for _ in range(400):
        a, b, c, d = random.multinomial(300, shares).tolist()
        one = agreement.kappa({"a": {"a": a, "b": b}, "b": {"a": c, "b": d}})
        assert one is not None
        held += abs(one.value - truth.value) <= scores.Z * one.spread
    assert 0.92 <= held / 400 <= 0.98


def test_alpha_of_three_sources_with_gaps() -> None:
    """Four observers of twelve things, beside the definition."""
    rows = ["123321412???", "123322412253", "?33323422511", "123324412511"]
    values = ["1", "2", "3", "4", "5"]
    outputs = Coded(values, np.zeros(12, np.int64))
    said = []
    for name, row in enumerate(rows):
        at = np.array([place for place, one in enumerate(row) if one != "?"])
        codes = np.array([values.index(row[place]) for place in at])
        said.append(Said(f"s{name}", at, Coded(values, codes)))
    none = np.full(12, np.nan)
    found = tally.classified(Classified(outputs, Coded(values, np.zeros(12, np.int64)), none, none, said=tuple(said)))
    units = [[row[at] for row in rows if row[at] != "?"] for at in range(12)]
    pairable = [unit for unit in units if len(unit) > 1]
    every = [one for unit in pairable for one in unit]
    apart = sum(sum(a != b for a in unit for b in unit) / (len(unit) - 1) for unit in pairable) / len(every)
    chance = sum(a != b for a in every for b in every) / len(every) / (len(every) - 1)
    assert agreement.alpha(found.coincidences) == pytest.approx(1 - apart / chance)


def test_a_judges_pass_rate_is_corrected_by_the_people_who_looked() -> None:
    """It passes a fifth of what people would not; every tenth answer is looked at."""
    random = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        truth = random.random(5_000) < 0.6
        outputs = (truth | (random.random(5_000) < 0.2)).astype(int)
        codes = np.where(random.random(5_000) < 0.1, truth.astype(int), -1)
        lags = np.where(codes >= 0, 60.0, np.nan)
        two = ["fail", "pass"]
        one = tally.classified(Classified(Coded(two, outputs), Coded(two, codes), lags, np.full(5_000, np.nan)))
        found = {score.name: score for score in scores.of(one, "pass")}
        raw, mended = found["positive_rate"], found["positive_rate_corrected"]
        assert raw.low is not None and raw.low > 0.6 and mended.low is not None and mended.high is not None
        held += mended.low <= 0.6 <= mended.high
    assert held >= 53
