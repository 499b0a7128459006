"""What is found, what is not assessed, and what must not be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean, stdev

import pytest

from afterlaunch.savings.caching import duplicates, in_prompt_cache, shared
from afterlaunch.savings.facts import Place, Rate, Said, Score, Terms, Use, answers_as, pooled
from afterlaunch.savings.measuring import Costs, compare
from afterlaunch.savings.rules import Idea, ideas
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.columns import BUCKETS

PLACE = Place("acme", "desk", "support", "triage", "openai", "big")
BIG = Rate(3_000_000, 300_000, 3_750_000, 15_000_000, 15_000_000, "big 1", True)
SMALL = Rate(300_000, 30_000, 375_000, 1_500_000, 1_500_000, "small 1", True)
BATCHED = replace(BIG, input=1_500_000, cache_read=150_000, output=7_500_000, reasoning=7_500_000, name="big 1 batch")
SECOND, USD = 10**9, 10**9


def prices(provider: str | None, model: str | None, facts: Mapping[str, str]) -> Rate | None:
    if model == "big":
        return BATCHED if facts else BIG
    return SMALL if model == "small" else None


def use(**more: object) -> Use:
    buckets = {**dict.fromkeys(BUCKETS, 0), "in_uncached": 20_000_000, "out_visible": 2_000_000}
    cost = BIG.of(buckets)
    assert cost
    made = Use(PLACE, 30, 10_000, 0, cost, buckets, terms=Terms(freshness_minutes=0, patience_hours=0))
    return replace(made, **more)  # type: ignore[arg-type]


def found(one: Use, kind: str) -> Idea | None:
    return next((idea for idea in ideas(one, prices) if idea.kind == kind), None)


def test_failed_calls_that_are_paid_for() -> None:
    one = found(use(failed=500, failed_nano=9 * USD), "failed_attempts")
    assert one and one.saving and one.saving.low < one.saving.middle == 9 * USD < one.saving.high
    assert found(use(failed=500, failed_nano=0), "failed_attempts") is None


def test_long_answers() -> None:
    steps = [(profiles.bucket(200), 9_920), (profiles.bucket(8_000), 80)]
    one = found(use(output=steps), "output_limit")
    assert one and one.saving and int(one.target) <= 256 and "80 of 10,000" in one.evidence[0]
    assert found(use(output=[(profiles.bucket(200), 10_000)]), "output_limit") is None


def said(texts: list[str], cached: int | None = 0, gap: int = 10, inputs: int = 4_000) -> list[Said]:
    cost = BIG.of({"in_uncached": inputs})
    return [Said(n * gap * SECOND, None, text, len(text), inputs, cached, cost) for n, text in enumerate(texts)]


PREFIX = "x" * 8_000


def test_prefixes_that_a_prompt_cache_would_hold() -> None:
    texts = [PREFIX + f"{number:08d}" * 250 for number in range(200)]
    one = found(use(said=said(texts), sampled=200), "prompt_caching")
    assert one and one.saving and 0 < one.saving.low <= one.saving.middle
    # four fifths of the input would be read at a tenth of its price
    assert one.saving.middle == pytest.approx(0.8 * 0.9 * use().month_nano, rel=0.02)
    already = found(use(said=said(texts, cached=3_200), sampled=200), "prompt_caching")
    assert already is None
    slow = found(use(said=said(texts, gap=600), sampled=200), "prompt_caching")
    assert slow is None  # the cache forgets sooner


def test_without_content_nobody_knows_what_a_cache_would_hold() -> None:
    one = found(use(sampled=500), "prompt_caching")
    assert one and one.saving is None and "0 of 500" in one.missing


def test_repeated_questions_need_a_word_on_freshness() -> None:
    texts = [f"question {number % 50}" for number in range(500)]
    kept = use(said=said(texts, inputs=500), sampled=500)
    assert found(kept, "response_caching") is None  # never, say its terms
    fresh = found(replace(kept, terms=Terms(freshness_minutes=60)), "response_caching")
    assert (
        fresh and fresh.saving and fresh.saving.middle == pytest.approx(0.8 * use().month_nano, rel=0.01)
    )  # after an hour it is asked anew
    unsaid = found(replace(kept, terms=None), "response_caching")
    assert unsaid and unsaid.saving is None and "how old an answer may be" in unsaid.missing


def test_batches_need_patience() -> None:
    unsaid = found(use(terms=None), "batch")
    assert unsaid and unsaid.saving is None
    assert found(use(terms=Terms(patience_hours=1)), "batch") is None
    for one in (use(terms=Terms(patience_hours=24)), use(production=False)):
        idea = found(one, "batch")
        assert idea and idea.saving and idea.saving.middle == pytest.approx(use().month_nano / 2)


BAR = Terms("correct", 0.9, 0.02, 0, 0, (("openai", "small"), ("openai", "big"), ("openai", "unpriced")))


def test_another_model_must_meet_the_bar() -> None:
    assert (
        (nobody := found(use(terms=None), "model_swap"))
        and nobody.saving is None
        and "no accuracy bar" in nobody.missing
    )
    unscored = [one for one in ideas(use(terms=BAR), prices) if one.kind == "model_swap"]
    assert {one.target: one.saving for one in unscored} == {"small": None, "unpriced": None}
    good, same = Score(400, 0.95, 0.1), Score(400, 0.955, 0.1)
    one = found(use(terms=BAR, scores={"correct": {"small": good, "big": same}}), "model_swap")
    assert one and one.saving and not one.refused
    assert one.saving.middle == pytest.approx(0.9 * use().month_nano)
    poor = found(use(terms=BAR, scores={"correct": {"small": Score(400, 0.9, 0.1)}}), "model_swap")
    assert poor and poor.saving and "not surely above 0.9" in poor.refused
    worse = {"small": Score(400, 0.95, 0.1), "big": Score(400, 0.99, 0.1)}
    lost = found(use(terms=BAR, scores={"correct": worse}), "model_swap")
    assert lost and "worse than big" in lost.refused


def test_whole_histories() -> None:
    rows = []
    for talk in range(20):
        for turn in range(30):
            at = (talk * 40 + turn) * SECOND
            inputs = 500 + turn * 300
            rows.append(Said(at, f"s{talk}", f"{talk} {turn}", 9, inputs, 0, BIG.of({"in_uncached": inputs})))
    one = found(use(said=rows, sampled=600), "prompt_trimming")
    assert one and one.saving and one.saving.middle > 0.2 * use().month_nano
    assert found(use(said=rows[:8], sampled=8), "prompt_trimming") is None


def test_small_places_are_left_alone() -> None:
    assert ideas(use(cost_nano=USD // 2), prices) == []
    assert ideas(use(calls=20), prices) == []


def test_samples_that_are_too_small_tell_nothing() -> None:
    assert duplicates(said(["a"] * 99), 60) is None and in_prompt_cache(said(["a"] * 99), BIG) is None


@pytest.mark.parametrize(("a", "b", "length"), [("", "", 0), ("abc", "abd", 2), ("a" * 9, "a" * 5, 5), ("x", "y", 0)])
def test_shared_beginnings(a: str, b: str, length: int) -> None:
    assert shared(a, b) == shared(b, a) == length


def costs(nano: int, count: int) -> Costs:
    return Costs([(profiles.bucket(nano), count)], nano * count)


def test_what_a_trial_shows() -> None:
    assert compare(costs(10**6, 99), costs(10**6, 500)).share is None
    half = compare(costs(10**6, 500), costs(5 * 10**5, 500))
    assert half.saves and half.share == pytest.approx(0.5)
    wide = Costs([(profiles.bucket(10**5), 60), (profiles.bucket(10**7), 60)], 606_000_000)
    unclear = compare(wide, Costs(wide.steps, 580_000_000))
    assert not unclear.saves and not unclear.costs_more
    assert compare(costs(5 * 10**5, 500), costs(10**6, 500)).costs_more


@pytest.mark.parametrize(
    ("answered", "asked", "same"),
    [
        ("gpt-4o-mini", "gpt-4o-mini", True),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", True),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5", True),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", False),
        (None, "gpt-4o", False),
        ("anything", "any.*", False),
    ],
)
def test_a_dated_name_is_the_model_that_was_asked_for(answered: str | None, asked: str, same: bool) -> None:
    assert answers_as(answered, asked) is same


def test_scores_of_dated_names_are_pooled() -> None:
    values = [[0.9, 1.0, 0.8], [0.5, 0.7]]
    samples = [Score(len(one), fmean(one), stdev(one)) for one in values]
    both, every = pooled(samples), [one for some in values for one in some]
    assert both and both.count == 5
    assert both.mean == pytest.approx(fmean(every)) and both.spread == pytest.approx(stdev(every))
    assert pooled([]) is None
    scores = {"small-2024-07-18": Score(20, 0.95, 0.1), "small": Score(20, 0.95, 0.1)}
    found_one = found(use(terms=BAR, scores={"correct": scores}), "model_swap")
    assert found_one and found_one.saving and found_one.figures["scored"] == 40
