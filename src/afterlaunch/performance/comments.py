"""Comments that nearly repeat one another: a sign that feedback is made, not given. Pure.

A comment becomes 64 bytes (MinHash of its runs of five characters, Broder 1997; one byte of each minimum, Li and König
2010), from which it cannot be read; the share of equal bytes tells the Jaccard similarity of two comments to about
0.05. Those that share four bytes of one of 16 places are compared (two of similarity 0.8 are missed once in 5,000), and
repeat each other from 0.8 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from afterlaunch.ground.shares import newcombe
from afterlaunch.performance import checks
from afterlaunch.performance.checks import Check
from afterlaunch.performance.crossing import Array
from afterlaunch.performance.following import HOURS
from afterlaunch.performance.judging import BREACH
from afterlaunch.performance.sources import Trouble
from afterlaunch.profiles.hashing import mixed

HASHES, PLACES = 64, 16
RUN, LONGEST, LEAST_WORDS = 5, 1_000, 5  # characters; a comment of fewer words repeats others by chance
SIMILAR = 0.8
LEAST = 50  # comments of a source in a day, and before
MORE = 0.10  # of the comments, beyond the share before
KIND, TITLE = "comments", "Comments do not repeat one another"
METHOD = f"MinHash of runs of {RUN} characters, Jaccard similarity of {SIMILAR} or more; a day against the days before"
_FACTORS = mixed(np.arange(HASHES, dtype=np.uint64)) | np.uint64(1)
_SHIFTS = mixed(np.arange(HASHES, 2 * HASHES, dtype=np.uint64))


def signature(text: str) -> Array | None:
    """(64,) bytes; None: fewer than five words."""
    plain = " ".join("".join(one if one.isalnum() else " " for one in text.lower()).split())[:LONGEST]
    if plain.count(" ") < LEAST_WORDS - 1:
        return None
    letters = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    runs = np.zeros(len(letters) - RUN + 1, np.uint64)
    for at in range(RUN):
        runs = runs * np.uint64(0x1000193) + letters[at : at + len(runs)]
    hashes = mixed(np.unique(runs))
    least = ((hashes[None, :] * _FACTORS[:, None] + _SHIFTS[:, None]) >> np.uint64(24)).min(1)
    found: Array = (mixed(least) & np.uint64(0xFF)).astype(np.uint8)
    return found


def similarity(one: Array, other: Array) -> Array:
    """Of rows of signatures (…, 64): unequal ones agree in a byte by chance once in 256."""
    same = (one == other).mean(-1)
    found: Array = np.clip((same - 1 / 256) / (1 - 1 / 256), 0.0, 1.0)
    return found


def groups(signatures: Array) -> Array:
    """(n, 64) to (n,): which comments repeat one another, directly or by others, by the first of them."""
    n = len(signatures)
    parent = np.arange(n)

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = int(parent[at])
        return at

    keys = np.ascontiguousarray(signatures).view("<u4").reshape(n, PLACES)
    for place in range(PLACES):
        order = np.argsort(keys[:, place], kind="stable")
        here = keys[order, place]
        first = np.maximum.accumulate(np.where(np.append(True, here[1:] != here[:-1])[:n], np.arange(n), 0))
        for other in (order[first], np.append(order[:1], order[:-1])):  # with the first of its place, and its neighbour
            alike = (keys[order, place] == keys[other, place]) & (order != other)
            alike[alike] = similarity(signatures[order[alike]], signatures[other[alike]]) >= SIMILAR
            for a, b in zip(order[alike].tolist(), other[alike].tolist(), strict=True):
                one, two = root(a), root(b)
                parent[max(one, two)] = min(one, two)
    return np.array([root(at) for at in range(n)], np.int64)


@dataclass(frozen=True)
class Comments:
    """`sources` (n,) point into `names`; `fresh` (n,): of the last day."""

    signatures: Array
    sources: Array
    names: Sequence[str]
    fresh: Array
    too_short: int = 0


def check(given: Comments) -> Check:
    n = int(given.fresh.sum())
    short = f" {given.too_short:,} are too short to tell." if given.too_short else ""
    if not len(given.signatures):
        return checks.unknown(KIND, TITLE, METHOD, f"No comment of {LEAST_WORDS} words came with labels.{short}")
    group = groups(given.signatures)
    size = np.bincount(group, minlength=len(group))[group]
    old = ~given.fresh
    size_before = np.bincount(group[old], minlength=len(group))[group]
    repeats = np.where(given.fresh, size, size_before) > 1
    troubles, assessed, shares = [], 0, []
    for code, name in enumerate(given.names):
        mine = given.sources == code
        now, then = mine & given.fresh, mine & old
        if then.sum() < LEAST:
            then = old & ~mine
        if now.sum() < LEAST or then.sum() < LEAST:
            continue
        assessed += 1
        hits, count, had, before = (int(one.sum()) for one in (now & repeats, now, then & repeats, then))
        shares.append((hits / count, name))
        if newcombe(hits, count, had, before, 1 - 2 / (HOURS * len(given.names)))[0] > MORE:
            most = int(np.bincount(group[now]).max())
            said = (
                f"{hits / count:.0%} of {count:,} comments of {name} in the last day nearly repeat another,"
                f" {had / before:.0%} of {before:,} before; one came {most:,} times."
            )
            troubles.append(Trouble(KIND, (name,), BREACH, said))
    if not assessed:
        why = f"It takes {LEAST} comments of a source in a day and {LEAST} before; {n:,} came in the last day.{short}"
        return checks.unknown(KIND, TITLE, METHOD, why, n)
    most_of, name = max(shares)
    calm = f"At most {most_of:.0%} of a source's comments ({name}) repeat another, no more than before.{short}"
    return checks.of(KIND, TITLE, METHOD, n, troubles, calm)
