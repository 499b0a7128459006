"""One column that follows from another: in each group of records with one value there, the majority here.

A dependency holds where at most one percent of the records depart from it without a reason. A value that is missing,
or that is a slip of the majority's, departs with a reason: it is an error rather than a counter-example.

It shows through noise, as when many sources tell of one thing, where nearly every large group agrees by half or more
and no second value comes near: good for a warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from afterlaunch.data_contracts.similar import alike

UNEXPLAINED, DEPARTING = 0.01, 0.1
GROUPS = 20
CONSTANT = 0.95
GROUP, STRONG, SECOND = 3, 0.6, 0.1
LARGE, AGREEING, APART = 10, 0.8, 0.3
"""A majority needs three records, and six in ten of its group."""

Pairs = Mapping[tuple[str, str], int]
"""(value there, value here) → records. Missing values here are ''; there, they are left out."""


@dataclass(frozen=True)
class Majorities:
    """`of`: value there → the majority here."""

    of: dict[str, str]
    others: dict[str, set[str]]
    """Value there → values here that are frequent beside the majority: no errors, but a second truth."""
    agreed: dict[str, str]
    """Value there → the one value here on which two records or more agree without exception."""
    departing: int
    unexplained: int
    records: int
    large: int
    agreeing: int
    """Groups of ten or more, and how many of them agree by half, the second value having at most half of that."""

    @property
    def holds(self) -> bool:
        groups = len(self.of) >= GROUPS
        few = self.unexplained <= UNEXPLAINED * self.records and self.departing <= DEPARTING * self.records
        return groups and self.records > 0 and few

    @property
    def shows(self) -> bool:
        """Through noise: where most groups have a majority of their own."""
        apart = len(set(self.of.values())) >= APART * len(self.of)
        return self.large >= GROUPS and self.agreeing >= AGREEING * self.large and apart


def majorities(pairs: Pairs) -> Majorities:
    groups: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for (there, here), n in pairs.items():
        groups[there].append((n, here))
    of: dict[str, str] = {}
    others: dict[str, set[str]] = {}
    agreed: dict[str, str] = {}
    departing = unexplained = records = large = agreeing = 0
    for there, held in groups.items():
        size = sum(n for n, _ in held)
        present = [one for one in held if one[1]]
        if len(held) == 1 and present and size > 1:
            agreed[there] = present[0][1]
        if size < GROUP or not present:
            continue
        most, majority = max(present)
        if size >= LARGE:
            large += 1
            second = max((n for n, here in present if here != majority), default=0)
            agreeing += most >= 0.5 * sum(n for n, _ in present) and second <= 0.5 * most
        records += size
        if most < STRONG * sum(n for n, _ in present):
            departing += size - most
            unexplained += size - most
            continue
        of[there] = majority
        rivals = {here for n, here in held if n > max(2, SECOND * most) and here not in ("", majority)}
        others[there] = {here for here in rivals if not alike(here, majority)}
        for n, here in held:
            if here != majority:
                departing += n
                unexplained += 0 if not here or alike(here, majority) else n
    return Majorities(of, others, agreed, departing, unexplained, records, large, agreeing)
