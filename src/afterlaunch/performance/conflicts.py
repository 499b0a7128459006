"""Predictions with the very same features and different labels. Pure.

Of each content that was labelled at least twice: the chance that two of its labels differ. 1. Its mean is compared with
the baseline's. 2. For every source: how often its labels differ from those of others on the same contents, beside how
often those of the others differ among themselves; who is certainly worse is named, and the rest are asked again without
it. Contents are a fair sample of all (`sampling`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import sqrt

import numpy as np

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.performance import checks
from afterlaunch.performance.checks import Check
from afterlaunch.performance.crossing import Array
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH, WARNING
from afterlaunch.performance.sources import LEAST, Trouble
from afterlaunch.performance.tally import Tally

KIND, TITLE = "conflicts", "Same features, same label"
METHOD = "chance that two labels of one content differ, against the baseline; each source against the others"
MORE, WORSE = 0.03, 0.05  # of that chance: all together, and one source beyond the others
Labels = dict[str, dict[str, int]]  # of one content: by source, how often which label


def check(before: Tally, now: Tally) -> Check:
    then, here = _contents(before), _contents(now)
    had, has = _all(then), _all(here)
    if not then and not here:
        why = "Features were not kept when these predictions came."
        return checks.unknown(KIND, TITLE, METHOD, why)
    if len(has) < LEAST:
        why = f"{len(has)} of the sampled contents were labelled twice; {LEAST} are needed."
        return checks.unknown(KIND, TITLE, METHOD, why, len(has))
    troubles = _named(here)
    if not troubles and len(had) >= LEAST:
        low = _beyond(has, had, 1 - 1 / HOURS)
        if low > MORE:
            said = (
                f"Two labels of the same features differ in {has.mean():.1%} of {len(has):,} contents,"
                f" in {had.mean():.1%} of {len(had):,} in the baseline."
            )
            troubles.append(Trouble(KIND, (), WARNING, said))
    calm = f"Two labels of the same features differ in {has.mean():.1%} of {len(has):,} contents"
    calm += f", {had.mean():.1%} in the baseline." if len(had) >= LEAST else "; the baseline has too few to compare."
    return checks.of(KIND, TITLE, METHOD, len(has), troubles, calm)


def _contents(tally: Tally) -> list[Labels]:
    found = []
    for counts in tally.contents.values():
        if sum(counts.values()) > 1:
            labels: Labels = defaultdict(dict)
            for word, count in counts.items():
                source, _, label = word.partition("\t")
                labels[source][label] = count
            found.append(dict(labels))
    return found


def _summed(labels: Labels, names: set[str] | None = None) -> dict[str, int]:
    found: dict[str, int] = {}
    for source, told in labels.items():
        if names is None or source in names:
            for label, count in told.items():
                found[label] = found.get(label, 0) + count
    return found


def _within(counts: Mapping[str, int]) -> float | None:
    n = sum(counts.values())
    return 1 - sum(one * (one - 1) for one in counts.values()) / (n * (n - 1)) if n > 1 else None


def _all(contents: list[Labels], names: set[str] | None = None) -> Array:
    found = [_within(_summed(one, names)) for one in contents]
    return np.array([one for one in found if one is not None])


def _against(contents: list[Labels], name: str, others: set[str]) -> Array:
    found = []
    for one in contents:
        mine, theirs = one.get(name, {}), _summed(one, others)
        n, m = sum(mine.values()), sum(theirs.values())
        if n and m:
            found.append(1 - sum(count * theirs.get(label, 0) for label, count in mine.items()) / (n * m))
    return np.array(found)


def _beyond(one: Array, other: Array, level: float) -> float:
    """The least by which the first mean certainly exceeds the second; contents are independent."""
    spread = sqrt(sum(max(float(side.var()), 1 / len(side) ** 2) / len(side) for side in (one, other)))
    return float(one.mean() - other.mean()) - normal_quantile(level) * spread


def _named(contents: list[Labels]) -> list[Trouble]:
    active = {source for one in contents for source in one}
    level = 1 - 1 / (HOURS * max(len(active), 1))
    found: list[Trouble] = []
    while len(active) > 2:
        asked = []
        for name in sorted(active):
            others = active - {name}
            mine, theirs = _against(contents, name, others), _all(contents, others)
            if min(len(mine), len(theirs)) >= LEAST:
                asked.append((_beyond(mine, theirs, level), name, mine, theirs))
        if not asked:
            break
        low, name, mine, theirs = max(asked, key=lambda one: one[:2])
        if low <= WORSE:
            break
        said = (
            f"Labels of {name} differ from those of others in {mine.mean():.1%} of {len(mine):,} contents with the same"
            f" features; those of the others differ among themselves in {theirs.mean():.1%}."
        )
        found.append(Trouble(KIND, (name,), BREACH, said))
        active.discard(name)
    return found
