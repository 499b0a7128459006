"""What the counts of policies mean. Pure.

A policy is judged by itself, a route by its gravest policy. A rising share of matches, of checks that could not be
made, or of what people let through is a finding; too few checks, or no past to compare with, is not assessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from afterlaunch.contracts.guard_counts import Counts
from afterlaunch.verdicts.words import CHANCE, MINIMUM_CALLS, Finding, Status, chance_of, judge_share

RISE = 2.0  # times the usual share
LEAST_SHARE = 0.02  # below it a rise is nobody's concern
USUAL = 100  # checks that tell what is usual
EXCEPTIONS = 0.01
GRAVITY = (Status.NOT_ASSESSED, Status.OK, Status.WARNING, Status.BREACH)


@dataclass(frozen=True)
class Recent:
    """Of one policy. `passed`, `past_passed`: matches that people let through, by a bypass or an approval; over the
    last day and the week before it. `hour`: the last hour; `week`: the week before that."""

    hour: Counts
    week: Counts
    day: Counts
    past: Counts
    passed: int = 0
    past_passed: int = 0


class GuardJudge(Protocol):
    """What `verdicts.watch` asks of a judge, and how it finds."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def explanation(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def per(self) -> tuple[str, ...]: ...
    def of_policy(self, policy: str, seen: Recent) -> Finding: ...


def of_route(judge: GuardJudge, seen: Mapping[str, Recent]) -> Finding:
    """The gravest finding of its policies; of equal ones the first."""
    found = [judge.of_policy(policy, one) for policy, one in seen.items()]
    if not found:
        return Finding(judge.name, Status.NOT_ASSESSED, "no_policies", "The route has no policies any more.")
    return max(found, key=lambda one: GRAVITY.index(one.status))


def rising(
    judge: str, policy: str, what: str, hits: int, of: int, before: tuple[int, int], spans: tuple[str, str]
) -> Finding:
    """The share now against RISE times the usual one, or LEAST_SHARE where that is more."""
    unit = "checks" if what == "matched" else "matches"
    if of < MINIMUM_CALLS:
        said = f"The policy {policy}: only {of} {unit} in the last {spans[0]}; {MINIMUM_CALLS} are needed to tell."
        return Finding(judge, Status.NOT_ASSESSED, "too_few_calls", said, count=of)
    past_hits, past_of = before
    share = hits / of
    if past_of < USUAL:
        said = (
            f"The policy {policy}: {hits} of {of} {unit} ({share:.1%}) {what} in the last {spans[0]}. What is usual is "
            f"not known yet: {past_of} {unit} in the {spans[1]} before, {USUAL} are needed."
        )
        return Finding(judge, Status.NOT_ASSESSED, "no_baseline", said, share, None, "share", of)
    usual = past_hits / past_of
    line = min(1.0, max(usual * RISE, LEAST_SHARE))
    chance = round(chance_of(hits, of, line), 6)
    said = (
        f"The policy {policy}: {hits} of {of} {unit} ({share:.1%}) {what} in the last {spans[0]}; "
        f"in the {spans[1]} before it were {usual:.1%}."
    )
    evidence: dict[str, str | int | float | None] = {
        "policy": policy, "hits": hits, "of": of, "usual": usual, "usual_of": past_of, "chance": chance,
    }  # fmt: skip
    if share > line and chance < CHANCE:
        return Finding(judge, Status.BREACH, "rate_rises", said, share, line, "share", of, evidence)
    if share > line:
        said += " With so few it may be chance."
        return Finding(judge, Status.WARNING, "rate_perhaps_rises", said, share, line, "share", of, evidence)
    return Finding(judge, Status.OK, "rate_as_usual", said, share, line, "share", of, evidence)


@dataclass(frozen=True)
class Triggers:
    name: str = "guard.triggers"
    title: str = "Guard policies match more often"
    explanation: str = "The share of checks that match, in the last hour against the week before, for each policy."
    severity: str = "P2"
    per: tuple[str, ...] = ("route",)

    def of_policy(self, policy: str, seen: Recent) -> Finding:
        hour, week = seen.hour, seen.week
        asked = hour.evaluated - hour.exceptions, week.evaluated - week.exceptions
        before = (week.matched, asked[1])
        return rising(self.name, policy, "matched", hour.matched, asked[0], before, ("hour", "week"))


@dataclass(frozen=True)
class Exceptions:
    name: str = "guard.exceptions"
    title: str = "Guard checks fail"
    explanation: str = "The share of checks that could not be made, in the last hour, for each policy; at most 1 %."
    severity: str = "P2"
    per: tuple[str, ...] = ("route",)

    def of_policy(self, policy: str, seen: Recent) -> Finding:
        found = judge_share(self.name, "could not be checked", seen.hour.exceptions, seen.hour.evaluated, EXCEPTIONS)
        return replace(found, explanation=f"The policy {policy}: {found.explanation}")


@dataclass(frozen=True)
class Overrides:
    name: str = "guard.overrides"
    title: str = "People let more past the guard"
    explanation: str = (
        "The share of matches that an approved bypass or a person's approval let through, in the last day against the "
        "week before, for each policy."
    )
    severity: str = "P3"
    per: tuple[str, ...] = ("route",)

    def of_policy(self, policy: str, seen: Recent) -> Finding:
        before = (seen.past_passed, seen.past.matched)
        return rising(self.name, policy, "were let through", seen.passed, seen.day.matched, before, ("day", "week"))


JUDGES: tuple[GuardJudge, ...] = (Triggers(), Exceptions(), Overrides())
