"""A run against judgements: each query by itself, and all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

from afterlaunch.rankings.binary import LEAST
from afterlaunch.rankings.files import Groups, Reference, Run, Subgroups
from afterlaunch.rankings.measures import GEOMETRIC, NONE, SUM, Measure, chosen
from afterlaunch.rankings.preferences import Preferences
from afterlaunch.rankings.ranking import ordered, rank

NO_REFERENCE = -1000000.0
"""The score of a query whose reference is missing, as trec_eval has it."""
Values = dict[str, float | int | str]
Judged = Mapping[str, Groups] | Mapping[str, Subgroups]


@dataclass(frozen=True)
class Choice:
    """`complete`: the mean over all judged queries; one without results counts as nothing found. `level`: the least
    grade that is relevant. `most`: documents looked at for each query. `collection`: documents there are, for the
    measure utility. `form`: of the judgements."""

    measures: Sequence[str] = ()
    complete: bool = False
    level: int = 1
    most: int = 1 << 62
    judged_only: bool = False
    collection: int = 0
    form: str = "qrels"


@dataclass
class Scores:
    """`all` and each of `queries` map names of measures to values, in their order. `all` is None where no query has
    both results and judgements."""

    run: str
    measures: list[Measure]
    head: frozenset[str]
    all: Values | None = None
    queries: dict[str, Values] = field(default_factory=dict)
    without_results: list[str] = field(default_factory=list)
    without_judgements: list[str] = field(default_factory=list)
    standardised: bool = False


def score(judged: Judged, run: Run, choice: Choice, reference: Reference | None = None) -> Scores:
    """1. Queries with both results and judgements, by name. 2. Their rankings and values. 3. With a reference: each
    value as its distance from the reference's mean in standard deviations. 4. All of them."""
    measures, head = chosen(choice.measures, choice.form)
    order = sorted(run.found, key=_bytes)
    out = Scores(run.name, measures, head, standardised=reference is not None)
    out.without_judgements = [query for query in order if query not in judged]
    out.without_results = [query for query in sorted(judged, key=_bytes) if query not in run.found]
    for query in order:
        if query in judged:
            values = _values(run.found[query], judged[query], choice, measures)
            out.queries[query] = values if reference is None else _standardised(query, values, reference)
    if out.queries:
        missing = len(out.without_results) if choice.complete else 0
        out.all = _all(out, missing)
        if choice.complete and "num_rel" in out.all:
            out.all["num_rel"] = _relevant(judged)
    return out


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _values(found: dict[str, float], groups: Any, choice: Choice, measures: list[Measure]) -> Values:
    if choice.form in ("prefs", "qrels_prefs"):
        return _named(measures, [Preferences(ordered(found)[: choice.most], groups)])
    return _named(
        measures,
        [
            rank(found, groups[group], choice.level, choice.most, choice.judged_only, choice.collection)
            for group in sorted(groups, key=_bytes)
        ],
    )


def _named(measures: list[Measure], rankings: list[Any]) -> Values:
    out: Values = {}
    for measure in measures:
        out.update(zip(measure.names(), measure.values(rankings), strict=True))
    return out


def _standardised(query: str, values: Values, reference: Reference) -> Values:
    out: Values = {}
    for name, value in values.items():
        if isinstance(value, str):
            out[name] = value
            continue
        mean, deviation = reference.get((query, name), (None, 0.0))
        if mean is None:
            out[name] = NO_REFERENCE
        elif deviation:
            out[name] = (value - mean) / deviation
        else:
            out[name] = 0.0 if value == mean else NO_REFERENCE
    return out


def _all(scores: Scores, missing: int) -> Values:
    """A query that is missing adds nothing to a sum; to a geometric mean it adds the least value."""
    over = len(scores.queries) + missing
    out: Values = {"num_q": over} if "num_q" in scores.head else {}
    for measure in scores.measures:
        if measure.over == NONE:
            continue
        for name in measure.names():
            total: Any = sum(values[name] for values in scores.queries.values())
            if measure.over == SUM:
                out[name] = total
            elif measure.over == GEOMETRIC:
                out[name] = exp((total + missing * log(LEAST)) / over)
            else:
                out[name] = total / over
    return out


def _relevant(judged: Any) -> int:
    """Over all judged queries; of any grade above 0, as trec_eval counts here whatever the level."""
    return sum(grade > 0 for groups in judged.values() for grades in groups.values() for grade in grades.values())
