"""Window after window against one reference: warnings by control charts, pages by e-detectors. Pure, for many streams
at once: arrays have a row for each stream.

1. A window's rows become their mid-ranks u among the reference's, from the counts of its cells; an atom's rows share
   one rank, and variances allow for that. 2. z = (mean u - 1/2) / sqrt(var u (1/n + 1/m)), and the like for the spread
   (2u - 1)^2. 3. Warnings: EWMAs of z and z itself share one budget of false alarms. 4. Pages: a mixture of
   Shiryaev-Roberts e-detectors (Shin, Ramdas and Rinaldo); its ARL is at least A windows whatever the distribution, as
   long as the mean of the scores stays within epsilon, which covers the error of a reference of m rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from afterlaunch.drift import run_lengths, statistics, thresholds
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import distinct
from afterlaunch.profiles.numeric import NumericProfile

CELLS = 40  # enough ranks: 320 would change a variance by 1 in 1,600
BETS = (0.05, 0.1, 0.2, 0.4, 0.8)
LEAST_REFERENCE = 100
# The charts, and their shares of the false alarms.
FAST, SLOW = 0.4, 0.1
BUDGET = {"fast": 0.8, "single": 0.05, "slow": 0.1, "spread": 0.05}


@dataclass(frozen=True)
class Ranks:
    """What the reference makes of each cell. `u`, `v` (F, C): mid-rank and (2u - 1)^2; the others (F,). `lasting`: 1
    for a stream that has one reference in all windows, whose error therefore stays; 0 where neighbouring windows have
    references of their own."""

    u: Array
    v: Array
    size: Array
    var_u: Array
    mean_v: Array
    var_v: Array
    lasting: Array


@dataclass(frozen=True)
class State:
    """A few dozen numbers a stream; `log_r` (F, 2 scores, 2 signs, 5 bets)."""

    fast: Array
    slow: Array
    spread: Array
    log_r: Array
    windows: Array

    @classmethod
    def fresh(cls, streams: int) -> State:
        log_r = np.full((streams, 2, 2, len(BETS)), -np.inf)
        return cls(np.zeros(streams), np.zeros(streams), np.zeros(streams), log_r, np.zeros(streams, np.int64))


@dataclass(frozen=True)
class Promise:
    """`warning_arl`, `page_arl`: windows between false alarms of one stream, on average at least. `tolerance`: a change
    of the mean rank that does not matter."""

    warning_arl: float = 1_000.0
    page_arl: float = 1_000.0
    tolerance: float = 0.0


@dataclass(frozen=True)
class Signals:
    """Of one window. `assessed`: the window had rows and the reference enough of them; else nothing moved."""

    assessed: Array
    z: Array
    spread_z: Array
    warned: Array
    paged: Array
    log_e: Array


def cells_of(profile: NumericProfile | CategoryProfile) -> Array:
    """Counts in the order in which ranks are made of them."""
    return profile.cells[profile.layout.drawn] if isinstance(profile, CategoryProfile) else profile.cells


def starts_of(reference: Array) -> Array:
    """Where the at most 40 groups of a reference's cells begin. What lies outside its range keeps groups of its own,
    and so does every value of a column with few."""
    starts = statistics.grouped_at(reference, CELLS - 2)
    return distinct(np.concatenate((starts, [1, len(reference) - 1])))


def padded(cells: Array, starts: Array) -> Array:
    """The cells of one stream in its groups, with empty ones up to 40."""
    found = np.zeros(CELLS, np.int64)
    found[: len(starts)] = statistics.grouped(cells, starts)
    return found


def ranks(reference: Array, lasting: Array | None = None) -> Ranks:
    """`reference` (F, C): counts. A cell without mass lies between its neighbours. `lasting`: all, where it is None."""
    size = reference.sum(1).astype(np.float64)
    share = reference / np.maximum(size, 1)[:, None]
    u = np.cumsum(share, 1) - share / 2
    v = (2 * u - 1) ** 2
    mean_v = (share * v).sum(1)
    # A reference of one value knows its variance only up to what it may not have seen yet.
    least = 1 / (np.maximum(size, 1) + 1)
    var_u = np.maximum((share * (u - 0.5) ** 2).sum(1), least / 4)
    var_v = np.maximum((share * v**2).sum(1) - mean_v**2, least)
    return Ranks(u, v, size, var_u, mean_v, var_v, np.ones(len(size)) if lasting is None else lasting)


def step(known: Ranks, state: State, counts: Array, promise: Promise) -> tuple[State, Signals]:
    """One closed window of every stream. `counts` (F, C). A chart that alarmed begins anew."""
    n = counts.sum(1).astype(np.float64)
    assessed = (n > 0) & (known.size >= LEAST_REFERENCE)
    rows = np.maximum(n, 1)
    s = 1 / rows + 1 / np.maximum(known.size, 1)
    z = np.where(assessed, ((counts * known.u).sum(1) / rows - 0.5) / np.sqrt(known.var_u * s), 0.0)
    spread_z = np.where(assessed, ((counts * known.v).sum(1) / rows - known.mean_v) / np.sqrt(known.var_v * s), 0.0)
    charted, warned = _warn(state, z, spread_z, assessed, known.lasting * rows / (rows + known.size), promise)
    log_r, log_e, paged = _page(known, charted.log_r, counts, assessed, promise)
    after = replace(charted, log_r=log_r, windows=state.windows + assessed)
    return after, Signals(assessed, z, spread_z, warned, paged, log_e)


def _warn(
    state: State, z: Array, spread_z: Array, assessed: Array, share: Array, promise: Promise
) -> tuple[State, Array]:
    arl = {name: promise.warning_arl / part for name, part in BUDGET.items()}
    fast = np.where(assessed, (1 - FAST) * state.fast + FAST * z, state.fast)
    slow = np.where(assessed, (1 - SLOW) * state.slow + SLOW * z, state.slow)
    spread = np.where(assessed, (1 - FAST) * state.spread + FAST * spread_z, state.spread)
    warned = np.abs(fast) > thresholds.at(thresholds.EWMA_FAST, share, arl["fast"])
    warned |= np.abs(slow) > thresholds.at(thresholds.EWMA_SLOW, share, arl["slow"])
    warned |= np.abs(spread) > thresholds.at(thresholds.EWMA_FAST, share, arl["spread"])
    warned |= np.abs(z) > run_lengths.single(arl["single"])
    warned &= assessed
    kept = np.where(warned, 0.0, 1.0)
    return replace(state, fast=fast * kept, slow=slow * kept, spread=spread * kept), warned


def _page(known: Ranks, log_r: Array, counts: Array, assessed: Array, promise: Promise) -> tuple[Array, Array, Array]:
    size = np.maximum(known.size, 1)
    room_u = (3 * np.sqrt(known.var_u / size) + promise.tolerance)[:, None]
    room_v = (3 * np.sqrt(known.var_v / size) + 2 * promise.tolerance)[:, None]
    gains = np.empty(log_r.shape)
    for score, (value, room) in enumerate(((known.u - 0.5, room_u), (known.v - known.mean_v[:, None], room_v))):
        for sign, turned in enumerate((value - room, -value - room)):
            for bet, weight in enumerate(BETS):
                gains[:, score, sign, bet] = (counts * np.log1p(np.maximum(weight * turned, -0.999))).sum(1)
    moved = np.logaddexp(0.0, log_r) + gains
    log_r = np.where(assessed[:, None, None, None], moved, log_r)
    parts = log_r.reshape(len(log_r), -1)
    top = np.maximum(parts.max(1), -1e300)
    log_e = top + np.log(np.exp(parts - top[:, None]).mean(1) + 1e-300)
    paged = assessed & (log_e >= np.log(promise.page_arl))
    return np.where(paged[:, None, None, None], -np.inf, log_r), log_e, paged


def cusum(up: Array, down: Array, z: Array, slack: float, threshold: Array) -> tuple[Array, Array, Array]:
    """One window of a two-sided CUSUM: sums above and below, and which alarmed (those begin anew)."""
    up, down = np.maximum(0.0, up + z - slack), np.maximum(0.0, down - z - slack)
    alarmed = (up > threshold) | (down > threshold)
    return np.where(alarmed, 0.0, up), np.where(alarmed, 0.0, down), alarmed
