"""Whether the answers of a trial are as good as those that callers get, by what every call tells: how they ended, how
long they are, and what evaluations scored. Pure.

A cheaper answer that is cut off, refused or fails more often is no saving. Differences of shares are told with their
95 % interval (Newcombe's); those of scores with the normal one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from afterlaunch.ground.shares import newcombe
from afterlaunch.look.formats import percent
from afterlaunch.savings.facts import Score

FEWEST = 100
MARGIN = 0.02
"""What more of them may fail, be refused or be cut off, surely, before the trial is refuted."""
ENDS = {"failed": "failed", "refused": "were refused", "truncated": "were cut off at the limit"}


@dataclass(frozen=True)
class Answered:
    """Calls of one arm; `scores`: evaluations by name."""

    calls: int = 0
    failed: int = 0
    refused: int = 0
    truncated: int = 0
    output_tokens: int = 0
    scores: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """`words` tell it; `worse`: surely, by more than the margin."""

    name: str
    words: str
    worse: bool


def differences(before: Answered, after: Answered, margins: Mapping[str, float]) -> list[Difference]:
    """None of them while either has fewer than 100 calls. `margins`: by how much each evaluation may be worse; others
    are told, and decide nothing."""
    if before.calls < FEWEST or after.calls < FEWEST:
        return []
    out = []
    for name, verb in ENDS.items():
        was, is_ = (getattr(before, name), before.calls), (getattr(after, name), after.calls)
        low, high = newcombe(*is_, *was)
        said = f"{percent(*is_)} of the copies {verb}, {percent(*was)} of the answers ({low:+.1%} to {high:+.1%})"
        out.append(Difference(name, said, low > MARGIN))
    lengths = [
        one.output_tokens / (one.calls - one.failed) if one.calls > one.failed else 0.0 for one in (before, after)
    ]
    out.append(Difference("length", f"{lengths[1]:,.0f} output tokens a copy, {lengths[0]:,.0f} an answer", False))
    out += [
        _scored(name, before.scores[name], one, margins.get(name))
        for name, one in sorted(after.scores.items())
        if name in before.scores and min(one.count, before.scores[name].count) > 1
    ]
    return out


def _scored(name: str, before: Score, after: Score, margin: float | None) -> Difference:
    half = sqrt(before.half**2 + after.half**2)
    difference = after.mean - before.mean
    said = f"{name}: {after.mean:.3g} of {after.count:,} copies, {before.mean:.3g} of {before.count:,} answers"
    said += f" ({difference - half:+.3g} to {difference + half:+.3g})"
    return Difference(name, said, margin is not None and difference + half < -margin)


def as_document(found: list[Difference]) -> list[dict[str, Any]]:
    return [{"name": one.name, "words": one.words, "worse": one.worse} for one in found]
