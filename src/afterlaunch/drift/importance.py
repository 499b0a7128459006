"""Whether a model still looks at the same features: ranks of mean absolute attributions, then and now. Pure.

1. Of each feature's attributions the profile gives the mean and the spread of their absolute values (from its cells).
2. Ranks now are compared with the reference's: Kendall's tau of the 50 most important, rank-biased overlap (p = 0.9),
and by how many places one of the first five moved. 3. What chance gives is drawn: pairs of a reference and a window of
the present size, both with the reference's means, each mean with its own error; features whose means cannot be told
apart change places in these draws too, and so prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from afterlaunch.profiles import numeric
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.numeric import NumericProfile

DRAWS = 4_000
TOP, NEAR, RANKED = 5, 10, 50
LEAST_ROWS, LEAST_FEATURES = 200, 3
PATIENCE = 0.9  # of rank-biased overlap


@dataclass(frozen=True)
class Importances:
    """Arrays in the order of `names`; `error`: of the mean of the absolute attributions."""

    names: tuple[str, ...]
    mean: Array
    spread: Array
    rows: int

    @property
    def error(self) -> Array:
        return np.asarray(self.spread / np.sqrt(max(self.rows, 1)))


@dataclass(frozen=True)
class Compared:
    """`chance`: that ranks differ so much without a change, of both questions together. `left`: of the first five then,
    those that are not among the first ten now."""

    tau: float
    overlap: float
    moved: str
    places: int
    chance: float
    left: tuple[str, ...]
    then: tuple[str, ...]
    now: tuple[str, ...]


def importances(profiles: Mapping[str, NumericProfile]) -> Importances:
    """Of columns of attributions."""
    found = [_absolute(one) for one in profiles.values()]
    rows = min((one.count for one in profiles.values()), default=0)
    return Importances(tuple(profiles), np.array([one[0] for one in found]), np.array([one[1] for one in found]), rows)


def _absolute(profile: NumericProfile) -> tuple[float, float]:
    if not profile.count:
        return 0.0, 0.0
    bounds = np.clip(numeric.ends(profile), profile.least, profile.greatest)
    middles = np.abs((bounds[1:] + bounds[:-1]) / 2)
    weights = profile.cells / profile.count
    mean = float((weights * middles).sum())
    return mean, float(np.sqrt(max(float((weights * middles**2).sum()) - mean * mean, 0.0)))


def assessable(before: Importances, now: Importances) -> str:
    """Why not; '' where they can be compared."""
    if len(before.names) < LEAST_FEATURES:
        return f"{LEAST_FEATURES} features with attributions are needed."
    if min(before.rows, now.rows) < LEAST_ROWS:
        return f"{LEAST_ROWS} rows with attributions are needed in either; there are {min(before.rows, now.rows)}."
    return "" if now.mean.any() and before.mean.any() else "All attributions are zero."


def compare(before: Importances, now: Importances) -> Compared:
    """Of what `assessable` has nothing against."""
    order = np.argsort(-before.mean, kind="stable")[:RANKED]
    had, has = _ranks(before.mean[None])[0], _ranks(now.mean[None])[0]
    tau, moved = _tau(before.mean[None, order], now.mean[None, order])[0], has[order[:TOP]] - had[order[:TOP]]
    furthest = int(np.abs(moved).argmax())
    dice = np.random.default_rng(len(before.names))
    shape = (DRAWS, len(before.names))
    first = np.abs(before.mean + before.error * dice.normal(size=shape))
    second = np.abs(before.mean + before.spread / np.sqrt(now.rows) * dice.normal(size=shape))
    tops = np.argsort(-first, 1, kind="stable")[:, :TOP]
    drawn = np.abs(np.take_along_axis(_ranks(second), tops, 1) - np.arange(tops.shape[1])).max(1)
    p_moved = (1 + int((drawn >= abs(int(moved[furthest]))).sum())) / (1 + DRAWS)
    part = slice(0, DRAWS // 2)  # pairs of 50 features are many
    taus = _tau(first[part][:, order], second[part][:, order])
    p_tau = (1 + int((taus <= tau + 1e-12).sum())) / (1 + len(taus))
    names = np.array(before.names, object)
    ranked_now = np.argsort(-now.mean, kind="stable")
    left = tuple(names[at] for at in order[:TOP] if has[at] >= NEAR)
    return Compared(
        float(tau),
        _overlap(order, ranked_now),
        str(names[order[furthest]]),
        int(moved[furthest]),
        min(1.0, 2 * min(p_moved, p_tau)),
        left,
        tuple(names[order[:NEAR]]),
        tuple(names[ranked_now[:NEAR]]),
    )


def _ranks(means: Array) -> Array:
    """(D, F): 0 is the most important."""
    order = np.argsort(-means, 1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(means.shape[1]), means.shape).copy(), 1)
    return ranks


def _tau(one: Array, other: Array) -> Array:
    """(D,): Kendall's tau-b of each row (Kendall 1945)."""
    above = np.triu_indices(one.shape[1], 1)
    found = np.empty(len(one))
    for at in range(0, len(one), 200):
        signs = [np.sign(part[at : at + 200][:, above[0]] - part[at : at + 200][:, above[1]]) for part in (one, other)]
        ties = [np.abs(sign).sum(1) for sign in signs]
        found[at : at + 200] = (signs[0] * signs[1]).sum(1) / np.maximum(np.sqrt(ties[0] * ties[1]), 1e-12)
    return found


def _overlap(one: Array, other: Array) -> float:
    """Rank-biased overlap to the depth of the shorter list, scaled to 1 for equal ones (Webber et al. 2010)."""
    depth = min(len(one), len(other))
    shared = [len(set(one[:at].tolist()) & set(other[:at].tolist())) / at for at in range(1, depth + 1)]
    weights = PATIENCE ** np.arange(depth)
    return float((weights * shared).sum() / weights.sum())
