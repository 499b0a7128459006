"""Measures of preferences: of two judged documents, is the better one retrieved first?

1. Judged documents are numbered: those retrieved by rank, then the others by name.
2. A group of judges prefers a document to all of a lower level in the same subgroup; several subgroups are put
   together, with what follows from them.
3. A preference is fulfilled where the better one stands first (`ret`: both were retrieved; `imp`: the better one alone
   was), and may be possible without that (neither was).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from afterlaunch.ground.errors import Invalid
from afterlaunch.rankings.files import Levels

MOST = 10_000
"""Judged documents of one query."""


@dataclass
class Group:
    """`better[i, j]`: i is preferred to j. `levels`: NaN where the group did not judge. `whole`: of one subgroup."""

    better: Any
    levels: Any
    retrieved: int
    whole: bool

    @cached_property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Fulfilled and possible among retrieved ones; the same where one was retrieved; possible where none was."""
        r, better = self.retrieved, self.better
        fulfilled, fulfilled_imp = int(np.triu(better[:r, :r]).sum()), int(better[:r, r:].sum())
        possible_imp = fulfilled_imp + int(better[r:, :r].sum())
        return fulfilled, int(better[:r, :r].sum()), fulfilled_imp, possible_imp, int(better[r:, r:].sum())

    def relevant(self, first: int) -> int:
        return int((self.levels[:first] > 0).sum())

    def others(self, first: int) -> int:
        levels = self.levels[:first]
        return int((levels <= 0).sum() if self.whole else (levels == 0).sum())


class Preferences:
    """Of one query: `ranked` are the retrieved documents, best first."""

    def __init__(self, ranked: list[str], groups: dict[str, dict[str, Levels]]) -> None:
        judged = {name for subgroups in groups.values() for levels in subgroups.values() for name in levels}
        if len(judged) > MOST:
            raise Invalid(f"{len(judged):,} judged documents of one query are too many for preferences.")
        order = [name for name in ranked if name in judged]
        self.retrieved = len(order)
        order += sorted(judged.difference(order), key=_bytes)
        place = {name: i for i, name in enumerate(order)}
        self.groups = [self._group(groups[name], place) for name in sorted(groups, key=_bytes)]

    def _group(self, subgroups: dict[str, Levels], place: dict[str, int]) -> Group:
        n = len(place)
        better, all_levels = np.zeros((n, n), bool), np.full(n, np.nan)
        for name in sorted(subgroups, key=_bytes):
            levels = np.full(n, np.nan)
            for document, level in subgroups[name].items():
                levels[place[document]] = level
            better |= levels[:, None] > levels[None, :]
            all_levels = np.where(np.isnan(levels), all_levels, levels)
        if len(subgroups) > 1:
            better = _closed(better)
        return Group(better, all_levels, self.retrieved, len(subgroups) == 1)

    @cached_property
    def conflicts(self) -> Any:
        """How many groups prefer i to j."""
        return np.sum([group.better for group in self.groups], axis=0, dtype=np.int64)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _closed(better: Any) -> Any:
    """With what follows: a before b, b before c, so a before c."""
    while True:
        more = better | (better.astype(np.float32) @ better.astype(np.float32) > 0)
        if (more == better).all():
            break
        better = more
    if (better & better.T).any():
        raise Invalid("A group of judges contradicts itself: of two documents each is preferred to the other.")
    return better


Parts = Callable[[Group], tuple[int, int]]


def all_of(group: Group) -> tuple[int, int]:
    a, b, c, d, e = group.counts
    return a + c, b + d + e


def retrieved_of(group: Group) -> tuple[int, int]:
    return group.counts[0], group.counts[1]


def implied_of(group: Group) -> tuple[int, int]:
    a, b, c, d, _ = group.counts
    return a + c, b + d


def simple(parts: Parts) -> Callable[[Preferences, Any], float]:
    """All preferences count alike."""

    def of(asked: Preferences, _: Any) -> float:
        fulfilled, possible = (sum(column) for column in zip(*map(parts, asked.groups), strict=True))
        return fulfilled / possible if possible else 0.0

    return of


def averaged(parts: Parts) -> Callable[[Preferences, Any], float]:
    """All groups of judges count alike."""

    def of(asked: Preferences, _: Any) -> float:
        told = [parts(group) for group in asked.groups]
        return sum(fulfilled / possible for fulfilled, possible in told if possible) / len(told)

    return of


def paired(areas: int) -> Callable[[Preferences, Any], float]:
    """All pairs of documents count alike. Areas: 1 both retrieved, 2 one of them too, 3 all."""

    def of(asked: Preferences, _: Any) -> float:
        counts, r = asked.conflicts, asked.retrieved
        total, pairs = 0.0, 0
        for mine, theirs in _areas(counts, r)[: min(areas, 2)]:
            both = mine + theirs
            held = both > 0
            pairs += int(held.sum())
            total += float((mine[held] / both[held]).sum())
        if areas == 3:
            rest = counts[r:, r:]
            pairs += int(np.triu(rest + rest.T, 1).astype(bool).sum())
        return total / pairs if pairs else 0.0

    return of


def _areas(counts: Any, r: int) -> list[tuple[Any, Any]]:
    first = counts[:r, :r]
    return [(np.triu(first, 1), np.triu(first.T, 1)), (counts[:r, r:], counts[r:, :r].T)]


def as_many_others(both_retrieved: bool) -> Callable[[Preferences, Any], float]:
    """Rnonrel: each group has as many documents that are not relevant as relevant ones: the first, or more made up."""

    def of(asked: Preferences, _: Any) -> float:
        told = list(_balanced(asked, both_retrieved))
        if any(not possible for _, possible in told):
            return 0.0
        return sum(fulfilled / possible for fulfilled, possible in told) / len(told)

    return of


def _balanced(asked: Preferences, both: bool) -> Iterator[tuple[int, int]]:
    for group in asked.groups:
        n, r = len(group.levels), asked.retrieved
        seen = r if both else n
        relevant, others = group.relevant(seen), group.others(seen)
        if relevant >= others:
            fulfilled, possible = retrieved_of(group) if both else all_of(group)
            more = relevant - others
            yield fulfilled + group.relevant(r) * more, possible + group.relevant(n) * more
        else:
            yield _fewer(group, r, relevant if group.whole else group.relevant(n), both)


def _fewer(group: Group, r: int, keep: int, both: bool) -> tuple[int, int]:
    """Only so many documents that are not relevant stay. Where a group is of one subgroup, the documents of its lowest
    level are compared with those kept of them, too: so the published measure counts."""
    seen = r if both else len(group.levels)
    better = group.better[:seen, :seen].copy()
    if group.whole:
        lowest = np.nanmin(group.levels)
        places = np.flatnonzero(group.levels == lowest)
        kept = places[:keep]
        gone = np.setdiff1d(places, kept)
        better[:, gone[gone < seen]] = False
        rows, columns = places[places < seen], kept[kept < seen]
        better[np.ix_(rows, columns)] = True
    else:
        places = np.flatnonzero(group.levels[:seen] == 0)
        gone = places[keep:]
        better[gone, :] = False
        better[:, gone] = False
    fulfilled = int(np.triu(better, 1)[:r].sum())
    return fulfilled, int(better.sum())
