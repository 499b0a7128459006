"""What may have caused it: everything that changed, ranked by when it did and by how much of the deterioration the part
of the traffic that it touched explains. Pure.

A deterioration is a measure per call, after against before. For one dimension (model, version, route, …) it is the
sum, over the dimension's values, of what the value itself does worse, `w1 (r1 - r0)`, and of what only the mix of the
traffic changed, `(w1 - w0) (r0 - R0)`, where w is a value's share of the calls, r its level and R the level of all
(Kitagawa 1955). So a tenant that was always slow and sends more now is told apart from a model that became slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LEAST_CALLS = 20  # of a value, before or after, to be spoken of
LEAST_EXPLAINED = 0.1
HALF_HOURS = 2.0  # a change that lies so much further back is half as likely
UNTIMED = 0.5  # weight of what has no instant of its own
UNKNOWN = 0.25  # weight of a change of which nobody can say what it touched


@dataclass(frozen=True)
class Part:
    """One value of a dimension: calls and amount (failures, seconds, money) before and after the onset. None: calls
    that do not tell the dimension."""

    dimension: str
    value: str | None
    calls_before: int
    before: float
    calls_after: int
    after: float
    first_seen: float | None = None  # Unix seconds, when the value is new

    @property
    def words(self) -> str:
        return f"{self.dimension} {self.value}" if self.value else f"calls that tell no {self.dimension}"


@dataclass(frozen=True)
class Explained:
    """`share` of the deterioration that the part itself explains; `traffic`: the share of the calls that it has had
    before and after, the smaller one."""

    part: Part
    share: float
    traffic: float
    now: float
    was: float | None

    @property
    def lift(self) -> float:
        return self.share - self.traffic


@dataclass(frozen=True)
class Dimension:
    """`mix`: the share of the deterioration that only the shift between the values explains."""

    name: str
    mix: float
    parts: tuple[Explained, ...]


@dataclass(frozen=True)
class Changed:
    """`touches`: (dimension, value) of the traffic that it altered; empty when nobody knows. `component`: of the call
    graph."""

    id: str
    kind: str
    title: str
    at: float
    touches: tuple[tuple[str, str], ...] = ()
    component: str = ""
    link: str = ""


@dataclass(frozen=True)
class Cause:
    """`kind`: change, new_value, slice or traffic_mix. `explained`: share of the deterioration, None when it can't be
    told. `score`: `timing` times `explained`, for the order alone."""

    kind: str
    name: str
    score: float
    timing: float
    explained: float | None
    at: float | None
    explanation: str
    link: str = ""


def explain(dimension: str, parts: Sequence[Part]) -> Dimension | None:
    """None when nothing got worse, or nothing can be compared."""
    calls_before, calls_after = sum(one.calls_before for one in parts), sum(one.calls_after for one in parts)
    if not calls_before or not calls_after:
        return None
    level = sum(one.before for one in parts) / calls_before
    worse = sum(one.after for one in parts) / calls_after - level
    if worse <= 0:
        return None
    out, mix = [], 0.0
    for one in parts:
        share_before, share_after = one.calls_before / calls_before, one.calls_after / calls_after
        was = one.before / one.calls_before if one.calls_before else None
        now = one.after / one.calls_after if one.calls_after else 0.0
        reference = level if was is None else was
        mix += (share_after - share_before) * (reference - level)
        own = share_after * (now - reference)
        out.append(Explained(one, own / worse, min(share_before, share_after), now, was))
    out.sort(key=lambda one: (-one.share, one.part.words))
    return Dimension(dimension, mix / worse, tuple(out))


def timing(at: float, onset: float, slack: float) -> float:
    """How well an instant fits as the beginning: 1 at the onset, less the longer before, 0 after it. `slack`: seconds
    by which the onset may be wrong."""
    if at > onset + slack:
        return 0.0
    return float(0.5 ** (max(onset - at, 0.0) / 3600 / HALF_HOURS))


def rank(
    onset: float,
    slack: float,
    changes: Iterable[Changed],
    dimensions: Sequence[Dimension],
    components: Mapping[str, float] | None = None,
) -> list[Cause]:
    """`components`: own shares of the deterioration by component, as `blame` finds them. The likeliest first; what
    began after the onset stays listed, last, with score 0. A part that a change in time touched is told by it alone."""
    explained = {(one.name, part.part.value): part for one in dimensions for part in one.parts}
    changes = list(changes)
    causes = [_of_change(one, onset, slack, explained, components or {}) for one in changes]
    told = {part for one in changes if timing(one.at, onset, slack) for part in one.touches}
    for dimension in dimensions:
        new = [one for one in dimension.parts if _telling(one) and (dimension.name, one.part.value) not in told]
        causes += [_of_part(one, onset, slack) for one in new]
        if dimension.mix >= LEAST_EXPLAINED:
            said = f"{dimension.mix:.0%} of it comes from a shift of the traffic between values of {dimension.name}."
            name = f"traffic mix by {dimension.name}"
            causes.append(Cause("traffic_mix", name, UNTIMED * dimension.mix, UNTIMED, dimension.mix, None, said))
    return sorted(causes, key=lambda one: (-one.score, -(one.at or 0.0), one.name))


def _telling(one: Explained) -> bool:
    part = one.part
    return max(part.calls_before, part.calls_after) >= LEAST_CALLS and one.lift >= LEAST_EXPLAINED


def _of_part(one: Explained, onset: float, slack: float) -> Cause:
    part = one.part
    if part.calls_before == 0:
        fits = UNTIMED if part.first_seen is None else timing(part.first_seen, onset, slack)
        said = f"{part.words} had no calls before; it explains {one.share:.0%} of what became worse."
        return Cause("new_value", part.words, fits * min(one.lift, 1.0), fits, one.share, part.first_seen, said)
    said = f"{one.share:.0%} of it comes from {part.words}, which has {one.traffic:.0%} of the calls."
    return Cause("slice", part.words, UNTIMED * min(one.lift, 1.0), UNTIMED, one.share, None, said)


def _of_change(
    change: Changed,
    onset: float,
    slack: float,
    explained: Mapping[tuple[str, str | None], Explained],
    components: Mapping[str, float],
) -> Cause:
    fits = timing(change.at, onset, slack)
    shares = [explained[one].share for one in change.touches if one in explained]
    if change.component in components:
        shares.append(components[change.component])
    share = min(max(shares), 1.0) if shares else None
    if fits == 0:
        said = f"It came {_span(change.at - onset)} after it began."
    else:
        said = f"{_span(onset - change.at)} before it began"
        said += "; how much what it touched explains can't be told." if share is None else f"; explains {share:.0%}."
    weight = UNKNOWN if share is None else max(share, 0.0)
    name = f"{change.kind}: {change.title}"
    return Cause("change", name, fits * weight, fits, share, change.at, said, change.link)


def _span(seconds: float) -> str:
    minutes = round(abs(seconds) / 60)
    if minutes < 1:
        return "Less than a minute"
    if minutes < 120:
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    return f"{minutes / 60:.1f} hours"
