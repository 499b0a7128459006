"""Why a cost differs from another: a sum of parts that are named, and that add up to the difference. Pure.

Of each group of calls, cost = all calls * the group's share of them * tokens a call * what the mix of tokens costs by
list price * what was paid of the list price. The logarithmic mean Divisia index (LMDI I: B. W. Ang, Energy Policy
33/7, 2005, doi 10.1016/j.enpol.2003.10.010) gives each factor its part, without a rest and the same in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, log1p

from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.windows import Window

VOLUME, MIX, TOKENS, CACHE, OUTPUT, PRICE = "volume", "mix", "tokens_per_call", "cache", "output_share", "price"
FACTORS = (VOLUME, MIX, TOKENS, CACHE, OUTPUT, PRICE)
WORDS = {
    VOLUME: "more or fewer calls",
    MIX: "which models, routes and agents are called",
    TOKENS: "tokens per call",
    CACHE: "prompt-cache hits",
    OUTPUT: "share of output and reasoning",
    PRICE: "price paid per token",
}
Key = tuple[str | None, ...]
Weights = Callable[[Key], Mapping[str, float] | None]
"""Of a group: list price of a token by bucket, None where nobody has priced its model."""


@dataclass(frozen=True)
class Group:
    """What one group of calls cost, in nano-USD; `calls` are those of known cost."""

    key: Key
    calls: int
    cost_nano: int
    buckets: Mapping[str, int]

    @property
    def tokens(self) -> int:
        return sum(self.buckets.values())


@dataclass(frozen=True)
class Share:
    """Of one group: how much of the difference is its own, and by which factor, in nano-USD."""

    key: Key
    before_nano: int
    now_nano: int
    parts: Mapping[str, int]

    @property
    def difference(self) -> int:
        return self.now_nano - self.before_nano

    @property
    def main(self) -> str:
        """The factor that moved it most."""
        return max(self.parts, key=lambda name: abs(self.parts[name]))


@dataclass(frozen=True)
class Drivers:
    """`parts` sums to now_nano - before_nano, and so do the differences of `groups`, those that moved most first."""

    before_nano: int
    now_nano: int
    parts: Mapping[str, int]
    groups: Sequence[Share]

    @property
    def difference(self) -> int:
        return self.now_nano - self.before_nano


def group_of(row: Window, names: Sequence[str]) -> Group:
    return Group(
        tuple(row.key[name] for name in names), max(0, row.calls - row.calls_unknown_cost), row.cost_nano, row.buckets
    )


def explain(before: Iterable[Group], now: Iterable[Group], weights: Weights) -> Drivers:
    """The two must be of times of the same length, grouped alike."""
    earlier, later = {one.key: one for one in before}, {one.key: one for one in now}
    calls = sum(one.calls for one in earlier.values()), sum(one.calls for one in later.values())
    shares = [
        _share(key, earlier.get(key), later.get(key), calls, weights)
        for key in sorted({*earlier, *later}, key=lambda key: tuple(part or "" for part in key))
    ]
    shares.sort(key=lambda one: -abs(one.difference))
    parts = {name: sum(one.parts[name] for one in shares) for name in FACTORS}
    return Drivers(sum(one.before_nano for one in shares), sum(one.now_nano for one in shares), parts, shares)


def _share(key: Key, before: Group | None, now: Group | None, calls: tuple[int, int], weights: Weights) -> Share:
    was, is_ = before.cost_nano if before else 0, now.cost_nano if now else 0
    parts = dict.fromkeys(FACTORS, 0)
    if before is None or now is None or not _whole(before) or not _whole(now):
        parts[MIX] = is_ - was  # what is new or gone is a matter of who is called
        return Share(key, was, is_, parts)
    mean = was if was == is_ else (is_ - was) / log1p((is_ - was) / was)
    weight = weights(key)
    ratios = {
        VOLUME: calls[1] / calls[0],
        MIX: (now.calls / calls[1]) / (before.calls / calls[0]),
        TOKENS: (now.tokens / now.calls) / (before.tokens / before.calls),
        **_composition(before, now, weight),
    }
    for name, ratio in ratios.items():
        parts[name] = round(mean * log(ratio))
    parts[PRICE] = is_ - was - sum(parts[name] for name in ratios)
    return Share(key, was, is_, parts)


def _whole(one: Group) -> bool:
    return one.calls > 0 and one.cost_nano > 0 and one.tokens > 0


def _composition(before: Group, now: Group, weight: Mapping[str, float] | None) -> dict[str, float]:
    """How the list price of an average token changed: by where the input came from, and by how much of it is output.
    Without list prices neither can be told from the price, and is left in it."""
    if weight is None:
        return {}
    was, is_ = _price(_mix(before), weight), _price(_mix(now), weight)
    between = _price(_input_of(now, _mix(before)), weight)
    if was <= 0 or is_ <= 0 or between <= 0:
        return {}
    return {CACHE: between / was, OUTPUT: is_ / between}


def _mix(one: Group) -> dict[str, float]:
    return {name: one.buckets.get(name, 0) / one.tokens for name in BUCKETS}


def _input_of(one: Group, mix: Mapping[str, float]) -> dict[str, float]:
    """`mix`, with its input split as that of `one`."""
    inputs = [name for name in BUCKETS if name.startswith("in_")]
    own, whole = sum(one.buckets.get(name, 0) for name in inputs), sum(mix[name] for name in inputs)
    if not own:
        return dict(mix)
    return {**mix, **{name: whole * one.buckets.get(name, 0) / own for name in inputs}}


def _price(mix: Mapping[str, float], weight: Mapping[str, float]) -> float:
    return sum(share * weight[name] for name, share in mix.items())
