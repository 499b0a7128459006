"""Which slices carry a change: every value of every declared segment is a candidate, and all of them are tested, so
that the share of false ones among those named is bounded (Benjamini and Hochberg). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from afterlaunch.drift.chances import normal_quantile, normal_tail
from afterlaunch.drift.statistics import benjamini_hochberg, compare_rates
from afterlaunch.performance.tally import Tally

LEAST = 100  # labelled rows on either side
ALPHA = 0.05
WORSE, BETTER, ALIKE, NOT_ASSESSED = "worse", "better", "no_change_found", "not_assessed"
DIFFUSE, BEYOND = 0.2, 1.5  # of the change, which the first slice must explain; times its share of the rows


@dataclass(frozen=True)
class Slice:
    """`before`, `now`: mean losses, with `n_before`, `n_now` labelled rows; `low`, `high`: of their difference, 90 %.
    `mix`, `within`: what it adds to the change of the whole, by its share of the rows and by its own loss."""

    key: str
    value: str
    verdict: str
    before: float | None
    now: float | None
    low: float | None
    high: float | None
    q: float | None
    n_before: int
    n_now: int
    mix: float = 0.0
    within: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.key} = {self.value}"

    def as_document(self) -> dict[str, object]:
        names = ("key", "value", "verdict", "before", "now", "low", "high", "n_before", "n_now", "mix", "within")
        return {name: getattr(self, name) for name in names} | {"q_value": self.q}


def ranked(reference: Tally, current: Tally) -> list[Slice]:
    """Those that are worse first, by what they add."""
    tested: list[tuple[str, str, list[float], list[float], float, float, float]] = []
    rest: list[Slice] = []
    for key in sorted(set(reference.segments) | set(current.segments)):
        then, now = reference.segments.get(key, {}), current.segments.get(key, {})
        for value in sorted(set(then) | set(now)):
            one, other = then.get(value, [0.0] * 4), now.get(value, [0.0] * 4)
            if not one[1] and not other[1]:
                continue  # nobody labelled it
            if min(one[1], other[1]) < LEAST:
                rest.append(_thin(key, value, one, other))
            else:
                tested.append(
                    (
                        key,
                        value,
                        one,
                        other,
                        *_compared(one, other, not (reference.is_regression or reference.is_ranking)),
                    )
                )
    q_values = benjamini_hochberg([one[4] for one in tested]) if tested else []
    found = [_slice(one, q, reference, current) for one, q in zip(tested, q_values, strict=True)]
    order = {WORSE: 0, BETTER: 1, ALIKE: 2}
    return sorted(found, key=lambda one: (order[one.verdict], -(one.mix + one.within), one.name)) + rest


def _thin(key: str, value: str, one: list[float], other: list[float]) -> Slice:
    before, now = (row[2] / row[1] if row[1] else None for row in (one, other))
    return Slice(key, value, NOT_ASSESSED, before, now, None, None, None, int(one[1]), int(other[1]))


def _compared(one: list[float], other: list[float], are_shares: bool) -> tuple[float, float, float]:
    """p-value, and the 90 % interval of the difference of mean losses."""
    if are_shares:
        rate = compare_rates(int(one[2]), int(one[1]), int(other[2]), int(other[1]))
        return rate.p, rate.low, rate.high
    return welch(one[1], one[2], one[3], other[1], other[2], other[3])


def welch(
    n: float, total: float, squares: float, m: float, others: float, other_squares: float
) -> tuple[float, float, float]:
    """Means of two large samples."""
    difference = others / m - total / n
    spread = sqrt(max(squares / n - (total / n) ** 2, 0.0) / n + max(other_squares / m - (others / m) ** 2, 0.0) / m)
    if not spread:
        return (1.0 if not difference else 0.0), difference, difference
    room = normal_quantile(0.95) * spread
    return normal_tail(difference / spread), difference - room, difference + room


def _slice(
    one: tuple[str, str, list[float], list[float], float, float, float], q: float, then: Tally, now: Tally
) -> Slice:
    key, value, before, after, _, low, high = one
    loss_before, loss_now = before[2] / before[1], after[2] / after[1]
    share_before, share_now = before[1] / _labelled(then, key), after[1] / _labelled(now, key)
    whole = sum(row[2] for row in then.segments[key].values()) / _labelled(then, key)
    # round the whole's loss, so that a slice that only grows adds what it is worse than the rest
    mix, within = (share_now - share_before) * (loss_before - whole), share_now * (loss_now - loss_before)
    verdict = ALIKE if q > ALPHA else WORSE if loss_now > loss_before else BETTER
    counts = int(before[1]), int(after[1])
    return Slice(key, value, verdict, loss_before, loss_now, low, high, q, *counts, mix, within)


def _labelled(tally: Tally, key: str) -> float:
    return sum(row[1] for row in tally.segments[key].values())


def told(found: list[Slice], change: float) -> str:
    """Which slice carries the change of the mean loss, in a sentence; empty where none was found."""
    worse = [one for one in found if one.verdict == WORSE]
    if not worse or change <= 0:
        return ""
    first = worse[0]
    part = (first.mix + first.within) / change
    share = first.n_now / max(sum(one.n_now for one in found if one.key == first.key), 1)
    if part < max(DIFFUSE, BEYOND * share):
        return f"No slice stands out: {first.name}, the first, explains {part:.0%} with {share:.0%} of the labels."
    return f"{first.name} explains {min(part, 1.0):.0%} of it with {share:.0%} of the labels."
