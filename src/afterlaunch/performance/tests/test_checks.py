"""What is asked of labels: conflicts, skew, repeated comments, narrowing. Quiet where nothing is wrong, named where it
is, and not assessed where there is too little."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.performance import checks, comments, conflicts, rankings, reviewers, sampling, shown, tally
from afterlaunch.performance.comments import Comments
from afterlaunch.performance.crossing import Array, Coded, Said
from afterlaunch.performance.rankings import Shown
from afterlaunch.performance.tally import PROBABILITY, Classified, Tally

TWO = ["0", "1"]
NAMES = ("ann", "ben", "eve")


def labelled(
    seed: int, n: int = 3_000, wrong: float = 0.0, skew: float = 0.0, scored: bool = True, noise: float = 0.05
) -> Tally:
    """Three sources share the work, over 600 contents. `wrong`, `skew`: of eve, labels turned, ones put for zeros."""
    random = np.random.default_rng(seed)
    content = random.integers(0, 600, n)
    truth = (content * 7919 % 600 < 240).astype(int)
    score = np.clip(np.where(truth == 1, 0.75, 0.25) + random.normal(0, 0.1, n), 0.01, 0.99)
    label = np.where(random.random(n) < noise, 1 - truth, truth)
    by = random.integers(0, 3, n)
    label = np.where((by == 2) & (random.random(n) < wrong), 1 - label, label)
    label = np.where((by == 2) & (random.random(n) < skew), 1, label)
    rows = [np.flatnonzero(by == at) for at in range(3)]
    said = tuple(Said(name, at, Coded(TWO, label[at])) for name, at in zip(NAMES, rows, strict=True))
    scores = score if scored else np.full(n, np.nan)
    speaks = PROBABILITY if scored else ""
    given = Classified(Coded(TWO, truth), Coded(TWO, label), np.full(n, 60.0), scores, speaks, "1", said=said)
    found = tally.classified(given)
    words = [f"{NAMES[one]}\t{code}" for one, code in zip(by.tolist(), label.tolist(), strict=True)]
    bits = (content.astype(np.uint64) * np.uint64(2_654_435_761) % np.uint64(1 << 32)).astype(np.uint32)
    found.contents, found.contents_below = sampling.sampled(bits, words, 1_000)
    return found


def test_samples_add_up_whatever_the_order_and_keep_what_is_below_their_line() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 1 << 32, 3_000, dtype=np.uint64).astype(np.uint32)
    bits[1_000:] = bits[:2_000]
    parts = [sampling.sampled(some, ["a"] * len(some)) for some in np.split(bits, 3)]
    one = sampling.merged(*sampling.merged(*parts[0], *parts[1]), *parts[2])
    other = sampling.merged(*parts[2], *sampling.merged(*parts[1], *parts[0]))
    assert one == other
    kept, line = one
    inside = bits[bits / sampling.SPACE < line]
    values, counts = np.unique(inside, return_counts=True)
    truth = {f"{int(value):08x}": int(count) for value, count in zip(values, counts, strict=True)}
    assert {key: sum(told.values()) for key, told in kept.items()} == truth
    nothing: sampling.Contents = {}
    assert sampling.merged(*one, nothing, 1.0) == one


def test_tallies_with_samples_survive_packing() -> None:
    found = labelled(1)
    again = tally.unpack(tally.pack(found))
    assert again.contents == found.contents and again.source_labels == found.source_labels
    assert found.merge(Tally()).contents == found.contents


@pytest.mark.parametrize("check", [conflicts.check, reviewers.check])
@pytest.mark.parametrize("scored", [True, False])
def test_sources_that_are_as_ever_are_named_hardly_ever(check: object, scored: bool) -> None:
    assert callable(check)
    told = [check(labelled(seed, scored=scored), labelled(seed + 1_000, scored=scored)) for seed in range(60)]
    assert all(one.status in ("ok", "breach", "warning") for one in told)
    assert sum(one.status != "ok" for one in told) <= 1


def test_a_source_whose_labels_conflict_with_the_same_features_is_named() -> None:
    told = [conflicts.check(labelled(seed), labelled(seed + 500, wrong=0.3)) for seed in range(20)]
    named = [one.troubles for one in told if one.status == "breach"]
    assert len(named) >= 18 and all([trouble.sources for trouble in one] == [("eve",)] for one in named)
    assert "contents with the same features" in named[0][0].why


def test_conflicts_of_all_sources_together_are_a_warning() -> None:
    told = [conflicts.check(labelled(seed), labelled(seed + 500, noise=0.2)) for seed in range(10)]
    assert all(one.status == "warning" and one.troubles[0].sources == () for one in told)


def test_features_that_never_come_twice_are_not_assessed() -> None:
    before, now = labelled(1), labelled(2)
    now.contents = {key: {"ann\t1": 1} for key in now.contents}
    told = conflicts.check(before, now)
    assert told.status == "not_assessed" and "100 are needed" in told.why
    assert conflicts.check(Tally(), Tally()).status == "not_assessed"


@pytest.mark.parametrize("scored", [True, False])
def test_a_skewed_source_is_named_and_only_it(scored: bool) -> None:
    told = [
        reviewers.check(labelled(seed, scored=scored), labelled(seed + 500, skew=0.5, scored=scored))
        for seed in range(20)
    ]
    assert all({trouble.sources for trouble in one.troubles} == {("eve",)} for one in told)
    assert sum(one.status == "breach" for one in told) >= 15
    mild = [reviewers.check(labelled(seed), labelled(seed + 500, skew=0.2)) for seed in range(20)]
    assert sum(one.status == "warning" for one in mild) >= 15


def test_a_source_that_has_always_been_so_is_as_ever() -> None:
    told = [reviewers.check(labelled(seed, skew=0.5), labelled(seed + 500, skew=0.5)) for seed in range(20)]
    assert sum(one.status != "ok" for one in told) <= 1


def test_one_source_is_not_assessed_and_two_are_both_named() -> None:
    before, now = labelled(1), labelled(2, skew=0.5)
    for one in (before, now):
        for told in (one.sources, one.source_cells, one.source_labels):
            told.pop("ben")
    both = reviewers.check(before, now)
    assert both.status == "warning" and both.troubles[0].sources == ("ann", "eve")
    for told in (now.sources, now.source_cells):
        told.pop("ann")
    assert reviewers.check(before, now).status == "not_assessed"


WORDS = [
    "this",
    "answer",
    "was",
    "very",
    "helpful",
    "not",
    "quite",
    "what",
    "asked",
    "price",
    "wrong",
    "order",
    "late",
    "support",
    "kind",
    "slow",
    "good",
    "bad",
    "again",
    "never",
    "why",
    "because",
    "delivery",
    "invoice",
    "refund",
    "parcel",
    "letter",
    "phone",
    "email",
    "week",
    "day",
    "hour",
]


def sentence(random: np.random.Generator, words: int = 9) -> str:
    return " ".join(random.choice(WORDS, words))


def said(
    random: np.random.Generator, count: int, source: int, fresh: bool, copies: float = 0.0
) -> list[tuple[Array, int, bool]]:
    stamp = sentence(np.random.default_rng(99), 14)
    found = []
    for at in range(count):
        text = f"{stamp} {at % 7}" if random.random() < copies else sentence(random)
        made = comments.signature(text)
        assert made is not None
        found.append((made, source, fresh))
    return found


def gathered(rows: list[tuple[Array, int, bool]]) -> Comments:
    names = ("site", "app")
    table, sources, fresh = zip(*rows, strict=True)
    return Comments(np.stack(table), np.array(sources), names, np.array(fresh))


def test_similarity_is_that_of_their_runs_of_characters() -> None:
    random = np.random.default_rng(4)
    gaps = []
    for _ in range(100):
        one = sentence(random, 12)
        other = " ".join([*one.split()[: int(random.integers(4, 12))], sentence(random, 3)])
        runs = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (one, other)]
        truth = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
        hashed = comments.signature(one), comments.signature(other)
        assert hashed[0] is not None and hashed[1] is not None
        gaps.append(float(comments.similarity(hashed[0], hashed[1])) - truth)
    assert abs(np.mean(gaps)) < 0.02 and np.std(gaps) < 0.07
    assert comments.signature("too short for that") is None
    loud, plain = (comments.signature(text) for text in ("The  ORDER came late, again!", "the order came late again"))
    assert loud is not None and plain is not None and bool((loud == plain).all())


def test_comments_that_repeat_one_another_are_grouped() -> None:
    random = np.random.default_rng(5)
    texts = [sentence(random, 20) for _ in range(200)]
    texts += [f"{texts[at]} ok" for at in range(50)]
    rows = [comments.signature(text) for text in texts]
    group = comments.groups(np.stack([one for one in rows if one is not None]))
    assert (group[200:] == np.arange(50)).all() and len(set(group[:200].tolist())) == 200


def test_a_flood_of_copies_names_its_source_and_ordinary_days_do_not() -> None:
    quiet = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        past = said(random, 300, 0, False, 0.05) + said(random, 300, 1, False, 0.05)
        calm = past + said(random, 100, 0, True, 0.05) + said(random, 100, 1, True, 0.05)
        quiet += comments.check(gathered(calm)).status == "ok"
        flood = past + said(random, 100, 0, True, 0.05) + said(random, 100, 1, True, 0.6)
        told = comments.check(gathered(flood))
        assert told.status == "breach" and [one.sources for one in told.troubles] == [("app",)]
    assert quiet >= 19


def test_few_comments_are_not_assessed() -> None:
    random = np.random.default_rng(1)
    assert comments.check(gathered(said(random, 20, 0, True))).status == "not_assessed"
    empty = Comments(np.zeros((0, 64), np.uint8), np.zeros(0, np.int64), [], np.zeros(0, bool), 3)
    assert "3 are too short" in comments.check(empty).why


def rankings_of(seed: int, spread: float, queries: int = 400, explored: float = 0.0, items: bool = True) -> Tally:
    """Ten items a query, drawn of 2,000 by a power of their rank."""
    random = np.random.default_rng(seed)
    weights = np.arange(1, 2_001) ** -spread
    drawn = random.choice(2_000, queries * 10, p=weights / weights.sum()).astype(np.uint32) * np.uint32(2_654_435_761)
    asked = np.repeat(np.arange(queries), 10)
    tried = Coded(["false", "true"], (random.random(queries) < explored).astype(int)[asked])
    scores, grades = random.normal(size=len(drawn)), random.integers(0, 2, len(drawn)).astype(float)
    given = Shown(asked, scores, grades, np.full(len(drawn), 60.0), 5, {"explored": tried}, drawn if items else None)
    return rankings.ranked(given)


def test_a_narrower_choice_is_told_and_chance_is_not() -> None:
    assert all(shown.check(rankings_of(seed, 0.6), rankings_of(seed + 50, 0.6)).status == "ok" for seed in range(30))
    told = shown.check(rankings_of(1, 0.6), rankings_of(2, 1.2))
    assert told.status == "warning" and "Fewer items share the places" in told.why
    assert shown.check(rankings_of(1, 1.2), rankings_of(2, 0.6)).status == "ok"


def test_what_is_shown_is_counted_alike_however_it_is_added_up() -> None:
    parts = [rankings_of(seed, 0.6, 100) for seed in range(4)]
    whole = tally.total(parts)
    assert sum(whole.items.values()) == 4 * 100 * 5
    assert shown.entropy(whole.items, 400)[0] == pytest.approx(
        shown.entropy(tally.unpack(tally.pack(whole)).items, 400)[0]
    )
    many = dict.fromkeys(range(2000), 1)
    assert 2_500 < float(shown.distinct(many).replace(",", "")) < 3_000  # 2,744 items fill 2,000 of 4,096 groups
    assert shown.distinct(dict.fromkeys(range(shown.GROUPS), 1)).startswith("more than")


def test_without_items_or_exploration_nothing_is_claimed() -> None:
    assert shown.check(rankings_of(1, 0.6), rankings_of(2, 0.6, items=False)).status == "not_assessed"
    assert shown.check(rankings_of(1, 0.6), rankings_of(2, 0.6, queries=50)).status == "not_assessed"
    assert shown.exploration(rankings_of(1, 0.6)).status == "not_assessed"
    assert shown.exploration(rankings_of(1, 0.6, explored=0.1)).status == "ok"
    assert checks.unknown("k", "T", "m", "Why.").why == "Not assessed. Why."
