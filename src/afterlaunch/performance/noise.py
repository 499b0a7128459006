"""How many labels of a source are wrong, as far as labels and scores can tell, and whether a model learns from itself.
Pure.

1. Where a calibrated score is sure (at least as sure as the mean of its class, after confident learning: Northcutt,
Jiang, Chuang 2021), labels of a source that say otherwise are counted, and those expected by the baseline's labels at
the same scores are taken off; with a share e of labels turned, d = d0 (1 - e) + (1 - d0) e tells e. 2. Of three sources
or more, pairwise agreement tells each one's errors where these are independent (two classes; Platanios et al. 2014).
3. People who saw an output agree with it no more often than those who did not, where it was chosen by chance who saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.ground.shares import newcombe
from afterlaunch.performance.crossing import SCORE_GROUPS, Array
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH, WARNING
from afterlaunch.performance.sources import ECHO, LEAST, Trouble
from afterlaunch.performance.tally import EXPOSED, PROBABILITY, Tally

LINE = 0.05  # of a source's labels that may be wrong
NOTED = 0.02
NOISE, LOOP, MODELS = "noise", "self_training", "model_labels"
LINEAGE = 0.10  # of the labels that may come from models
MODEL = "model:"  # what the name of such a source begins with
YES, NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}
HELD_OUT = 0.01  # share of predictions whose output nobody saw, below which nothing can be said
DRAWS, SEED = 400, 20_260_402


@dataclass(frozen=True)
class Noise:
    """Of one source: estimated share of wrong labels among `n` where a score is sure, with a 95 % interval; `sure`: the
    lower end that chance passes once in 1,000 looks at all sources."""

    share: float
    low: float
    high: float
    sure: float
    n: int


def groups(cells: Array) -> Array:
    return np.asarray(cells.sum(0).reshape(SCORE_GROUPS, -1).sum(1))


def by_scores(before: Tally, now: Tally) -> dict[str, Noise]:
    """Sources with labels enough."""
    if not before.speaks_of or before.speaks_of != now.speaks_of:
        return {}
    labelled, hits = groups(before.labelled_cells).astype(float), groups(before.hit_cells).astype(float)
    expects_hit, expects_miss = _sure(labelled, hits, before.speaks_of == PROBABILITY)
    against = np.where(expects_hit, labelled - hits, hits)
    usual = (against + 0.5) / (labelled + 1)
    region = (expects_hit | expects_miss) & (labelled >= 20)
    asked = {}
    for name, cells in now.source_cells.items():
        count, hit = np.array(cells[:SCORE_GROUPS], float), np.array(cells[SCORE_GROUPS:], float)
        if count[region].sum() >= LEAST:
            asked[name] = (count[region], np.where(expects_hit, count - hit, hit)[region])
    level = 1 - 1 / (HOURS * max(len(asked), 1))
    return {name: _noise(*told, usual[region], labelled[region], level) for name, told in asked.items()}


def _sure(labelled: Array, hits: Array, of_two: bool) -> tuple[Array, Array]:
    """Groups whose calibrated score is at least as sure of a hit (or of none) as on average where there is one."""
    chance = (hits + 0.5) / (labelled + 1)
    misses = labelled - hits
    if not hits.sum() or not misses.sum():
        return np.zeros(len(chance), bool), np.zeros(len(chance), bool)
    hit = chance >= max(float((hits * chance).sum() / hits.sum()), 0.5)
    miss = 1 - chance >= max(float((misses * (1 - chance)).sum() / misses.sum()), 0.5)
    return hit, miss & ~hit if of_two else np.zeros(len(chance), bool)


def _noise(count: Array, against: Array, usual: Array, known: Array, level: float) -> Noise:
    n = float(count.sum())
    found, expected = float(against.sum()) / n, float((count * usual).sum()) / n
    spread = found * (1 - found) / n + float(((count / n) ** 2 * usual * (1 - usual) / (known + 1)).sum())
    spread = sqrt(max(spread, 1 / n**2)) / (1 - 2 * expected)
    share = (found - expected) / (1 - 2 * expected)
    low, high = share - 1.96 * spread, share + 1.96 * spread
    sure = share - normal_quantile(level) * spread
    return Noise(max(share, 0.0), max(low, 0.0), min(max(high, 0.0), 1.0), sure, int(n))


def by_agreement(pairs: Mapping[str, Mapping[str, int]]) -> dict[str, Noise]:
    """Of sources that share labelled predictions with two others."""
    told: dict[frozenset[str], tuple[int, int]] = {}
    for key, counts in pairs.items():
        classes = {word for pair in counts for word in pair.split("\t")}
        n = sum(counts.values())
        if n >= LEAST and len(classes) == 2:
            same = sum(count for pair, count in counts.items() if len(set(pair.split("\t"))) == 1)
            told[frozenset(key.split("\t"))] = (same, n)
    names = sorted({name for pair in told for name in pair})
    random = np.random.default_rng(SEED)
    drawn = {
        pair: np.append(random.binomial(n, same / n, DRAWS) / n, same / n)
        for pair, (same, n) in sorted(told.items(), key=lambda one: sorted(one[0]))
    }
    found = {}
    level = 1 - 1 / (HOURS * max(len(names), 1))
    for name in names:
        each = []
        for one, other in combinations([each for each in names if each != name], 2):
            sides = [frozenset(pair) for pair in ((name, one), (name, other), (one, other))]
            if all(pair in drawn for pair in sides):
                a, b, c = (np.clip(2 * drawn[pair] - 1, 1e-3, 1.0) for pair in sides)
                each.append((1 - np.sqrt(np.clip(a * b / c, 0, 1))) / 2)
        if each:
            values = np.median(np.stack(each), 0)
            share, spread = float(values[-1]), max(float(values[:-1].std()), 1e-4)
            n = min(told[pair][1] for pair in told if name in pair)
            sure = share - normal_quantile(level) * spread
            found[name] = Noise(share, max(share - 1.96 * spread, 0.0), share + 1.96 * spread, sure, n)
    return found


def noisy(before: Tally, now: Tally) -> list[Trouble]:
    """A source alone that contradicts sure scores is wrong, or the truth changed: a warning. Where others agree with
    the scores, or with one another, it is the source."""
    found = []
    scored, agreed = by_scores(before, now), by_agreement(now.pairs)
    usual = by_agreement(before.pairs)
    for name in sorted({*scored, *agreed}):
        others = any(one.sure <= NOTED for other, one in scored.items() if other != name)
        one = agreed.get(name)
        if one and one.sure > max(LINE, 2 * usual[name].share if name in usual else 0.0):
            said = (
                f"{one.share:.1%} ({one.low:.1%} to {one.high:.1%}) of the labels of {name} are wrong, as far as"
                f" {one.n:,} predictions tell that other sources labelled too."
            )
            found.append(Trouble(NOISE, (name,), BREACH, said))
        elif (by := scored.get(name)) and by.sure > NOTED and by.high > LINE:
            said = (
                f"{by.share:.1%} ({by.low:.1%} to {by.high:.1%}) of the labels of {name} contradict sure scores beyond"
                f" what the baseline's did ({by.n:,} labels): "
            )
            certain = others and by.sure > LINE
            said += "those of other sources do not." if others else "they are wrong, or the truth has changed."
            found.append(Trouble(NOISE, (name,), BREACH if certain else WARNING, said))
    return found


@dataclass(frozen=True)
class Exposure:
    """Agreement of labels with outputs, where people saw the output and where they did not (a hold-out by chance).
    `why`: what could not be assessed, empty where it was."""

    held_out: float
    seen: tuple[int, int]
    unseen: tuple[int, int]
    excess: float | None
    why: str = ""


def exposure(now: Tally) -> Exposure | None:
    """None: predictions do not say who saw them."""
    told = now.segments.get(EXPOSED)
    if not told:
        return None
    sides: list[list[float]] = []
    for words in (YES, NO):
        rows = [values for name, values in told.items() if name.lower() in words]
        sides.append([float(sum(row[at] for row in rows)) for at in range(3)])
    seen, unseen = ((int(count), int(count - losses)) for _, count, losses in sides)
    every = sides[0][0] + sides[1][0]
    held_out = sides[1][0] / every if every else 0.0
    if held_out < HELD_OUT:
        why = f"{held_out:.1%} of the predictions are held out; {HELD_OUT:.0%} are needed to tell exposure from truth."
        return Exposure(held_out, seen, unseen, None, why)
    if min(seen[0], unseen[0]) < LEAST:
        why = f"Only {min(seen[0], unseen[0])} labels on one side; {LEAST} are needed."
        return Exposure(held_out, seen, unseen, None, why)
    return Exposure(held_out, seen, unseen, seen[1] / seen[0] - unseen[1] / unseen[0])


def loops(now: Tally) -> list[Trouble]:
    """Outputs that come back as labels."""
    found = []
    one = exposure(now)
    if one and one.excess is not None:
        low = newcombe(one.seen[1], one.seen[0], one.unseen[1], one.unseen[0], 1 - 2 / HOURS)[0]
        if low > ECHO:
            said = (
                f"{one.seen[1] / one.seen[0]:.1%} of {one.seen[0]:,} labels equal the output where people saw it,"
                f" {one.unseen[1] / one.unseen[0]:.1%} of {one.unseen[0]:,} where they did not: outputs make labels."
            )
            found.append(Trouble(LOOP, (), WARNING, said))
    every = sum(count for count, _ in now.sources.values())
    models = {name: count for name, (count, _) in now.sources.items() if name.startswith(MODEL)}
    if every >= LEAST and sum(models.values()) > LINEAGE * every:
        said = f"{sum(models.values()) / every:.0%} of {every:,} labels come from models ({', '.join(sorted(models))})."
        found.append(Trouble(MODELS, tuple(sorted(models)), WARNING, said))
    return found
