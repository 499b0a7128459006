"""Scores as text, byte for byte as trec_eval prints them, and as one document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from afterlaunch.rankings.measures import GEOMETRIC
from afterlaunch.rankings.scoring import Scores, Values


def lines(scores: Scores, queries: bool = False, summary: bool = True) -> Iterator[str]:
    """Name in 22 columns, query or `all`, value: whole numbers as such, others with four digits."""
    hidden = {name for one in scores.measures if one.over == GEOMETRIC for name in one.names()}
    if queries:
        for query, values in scores.queries.items():
            yield from _lines(scores, query, {name: value for name, value in values.items() if name not in hidden})
    if summary and scores.all is not None:
        if "runid" in scores.head:
            yield f"{'runid':<22}\tall\t{scores.run}"
        yield from _lines(scores, "all", scores.all)


def _lines(scores: Scores, query: str, values: Values) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, str):
            yield f"{name:<22}\t{query}\t'{value}'"
        elif scores.standardised:
            yield f"Z{name:<22}\t{query}\t{value:6.4f}"
        elif isinstance(value, int):
            yield f"{name:<22}\t{query}\t{value}"
        else:
            yield f"{name:<22}\t{query}\t{value:6.4f}"


def document(scores: Scores) -> dict[str, Any]:
    """Values in full; a geometric mean has no value of one query. `reason` says why there is none at all."""
    hidden = {name for one in scores.measures if one.over == GEOMETRIC for name in one.names()}
    return {
        "verdict": "scored" if scores.all is not None else "not_assessed",
        "reason": None if scores.all is not None else "no_query_in_common",
        "run": scores.run,
        "standardised": scores.standardised,
        "all": scores.all,
        "queries": {
            query: {name: value for name, value in values.items() if name not in hidden}
            for query, values in scores.queries.items()
        },
        "judged_without_results": scores.without_results,
        "results_without_judgements": scores.without_judgements,
    }
