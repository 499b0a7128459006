"""What caches would have answered, played over a sample of calls in order of time. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from afterlaunch.savings.facts import Rate, Said

FEWEST = 100
BLOCKS = 10
LIFE_NS = 300 * 10**9
SHORTEST = 1_024
"""Tokens: no provider caches a shorter prefix."""
LOOKED_BACK = 16
STUDENT = 2.262
"""Of nine degrees of freedom, 95 %."""


@dataclass(frozen=True)
class Simulated:
    """`share` of the sample's cost that would not have been paid, `half` of its 95 % interval: from ten blocks of
    time, by Student's t."""

    calls: int
    hits: int
    share: float
    half: float
    share_now: float = 0.0
    share_then: float = 0.0

    @property
    def figures(self) -> Mapping[str, Any]:
        return {"sample": self.calls, "hits": self.hits, "share_of_cost": round(self.share, 4)}


def _over_blocks(calls: Sequence[Said], saved: Sequence[float]) -> tuple[float, float]:
    """(share of the cost saved, half of its interval)."""
    costs = [float(one.cost_nano or 0) for one in calls]
    whole = sum(costs)
    size = -(-len(calls) // BLOCKS)
    shares = []
    for at in range(0, len(calls), size):
        cost = sum(costs[at : at + size])
        if cost:
            shares.append(sum(saved[at : at + size]) / cost)
    share = sum(saved) / whole if whole else 0.0
    half = STUDENT * stdev(shares) / len(shares) ** 0.5 if len(shares) > 2 else fmean(shares or [0.0])
    return share, half


def duplicates(said: Sequence[Said], minutes: int) -> Simulated | None:
    """Prompts that came word for word within so many minutes before. None for too small a sample."""
    known = [one for one in said if one.cost_nano is not None]
    if len(known) < FEWEST:
        return None
    seen: dict[tuple[str, int], int] = {}
    saved, hits = [], 0
    for one in known:
        key = (one.text, one.length)
        first = seen.get(key)
        hit = first is not None and one.at_ns - first <= minutes * 60 * 10**9
        if not hit:
            seen[key] = one.at_ns
        hits += hit
        saved.append(float(one.cost_nano or 0) if hit else 0.0)
    share, half = _over_blocks(known, saved)
    return Simulated(len(known), hits, share, half)


def in_prompt_cache(said: Sequence[Said], rate: Rate) -> Simulated | None:
    """Prefixes that a provider's cache would have held, beyond those that it did. None for too small a sample."""
    known = [one for one in said if one.cost_nano is not None and one.inputs and one.length]
    if len(known) < FEWEST or rate.input is None or rate.cache_read is None:
        return None
    recent: deque[tuple[Said, bool]] = deque(maxlen=LOOKED_BACK)
    less, more = rate.input - rate.cache_read, max(0, (rate.cache_write or rate.input) - rate.input)
    saved, hits, then = [], 0, 0
    for one in known:
        tokens, written = _held(one, recent)
        extra = max(0, tokens - (one.cached or 0))
        hits += tokens > 0
        then += max(tokens, one.cached or 0)
        saved.append((extra * less - (tokens * more if extra and not written else 0)) / 1000)
        recent.append((one, tokens > 0))
    share, half = _over_blocks(known, saved)
    inputs = sum(one.inputs for one in known)
    now = sum(one.cached or 0 for one in known)
    return Simulated(len(known), hits, share, half, now / inputs, then / inputs)


def shared(a: str, b: str) -> int:
    """How many characters both begin with; few comparisons of long pieces instead of one for each character."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _held(one: Said, recent: Sequence[tuple[Said, bool]]) -> tuple[int, bool]:
    """(tokens of the longest prefix that a call of the last minutes shares, whether that one's was cached already)."""
    best, written = 0, False
    for other, was in recent:
        if one.at_ns - other.at_ns > LIFE_NS:
            continue
        length = shared(one.text, other.text)
        if length > best:
            best, written = length, was
    tokens = int(one.inputs * best / one.length)
    return (tokens, written) if tokens >= SHORTEST else (0, False)
