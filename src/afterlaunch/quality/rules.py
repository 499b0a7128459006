"""Judges of answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, View, judge_share


@dataclass(frozen=True)
class Refusals:
    per: tuple[str, ...] = ()
    name: str = "quality.refusals"
    title: str = "Refused answers"
    explanation: str = "More than 5 % of the answers are refusals, or twice the share of the last day."
    severity: str = "P2"
    limit: float = 0.05

    def assess(self, view: View) -> Finding:
        usual = view.past.refused / view.past.calls if view.past.calls >= 100 else 0.0
        rival = (view.rival.refused, view.rival.calls) if view.rival else None
        limit = max(self.limit, 2 * usual)
        return judge_share(self.name, "were refused", view.recent.refused, view.recent.calls, limit, rival)


@dataclass(frozen=True)
class Truncated:
    per: tuple[str, ...] = ()
    name: str = "quality.truncated"
    title: str = "Answers cut short"
    explanation: str = "More than 10 % of the answers end at the output limit, or twice the share of the last day."
    severity: str = "P3"
    limit: float = 0.10

    def assess(self, view: View) -> Finding:
        usual = view.past.truncated / view.past.calls if view.past.calls >= 5 * MINIMUM_CALLS else 0.0
        rival = (view.rival.truncated, view.rival.calls) if view.rival else None
        limit = max(self.limit, 2 * usual)
        return judge_share(self.name, "were cut short", view.recent.truncated, view.recent.calls, limit, rival)
