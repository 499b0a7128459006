"""Clocks as pages and the API show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.oncall.forecast import live
from afterlaunch.sla import clocks, forecast
from afterlaunch.sla.models import Clock
from afterlaunch.sla.rules import Prediction, Verdict, judge_clock
from afterlaunch.sla.targets import TITLES

REASONS = {
    "open_in_hours": "opened in business hours",
    "closed_off_hours": "opened off hours; the off-hours target ends first",
    "closed_next_opening": "opened off hours; the next opening plus the in-hours target ends first",
    "batch_slot": "the next weekly batch",
    "batch_slot_moved": "the next weekly batch, moved off a closed day",
    "said_by_a_person": "as somebody promised",
    "calendar_never_opens": "its calendar never opens, so no due time can be counted",
    "no_calendar": "its calendar does not exist, so no due time can be counted",
}
CAUSES = {
    "deadline": "",
    "severity_change": "by a change of severity",
    "tier_change": "by a change of tier",
    "recalculated": "counted anew",
    "merged": "the start moved back",
}
CANDIDATES = {
    "in_hours": "In-hours target",
    "off_hours": "Off-hours target",
    "next_opening": "Next opening plus in-hours target",
    "business_day_end": "End of that business day",
    "batch_slot": "Batch",
}
PARTIES = {"internal": "Internal team", "tier": "Escalation tier"}


@dataclass(frozen=True)
class Shown:
    """A clock at one instant; `left` is negative once it is late, None without a due time."""

    row: Clock
    verdict: Verdict
    left: timedelta | None

    @property
    def title(self) -> str:
        party = PARTIES.get(self.row.party)
        name = TITLES.get(self.row.kind, self.row.get_kind_display())
        return f"{name}, {party.lower()}" if party else name

    @property
    def about(self) -> str:
        kind, _, number = self.row.topic.partition("/")
        return f"{kind.capitalize()} #{number}"

    @property
    def page(self) -> str:
        """Where what it is about is shown; empty: nowhere."""
        return f"/incidents/{self.row.topic.partition('/')[2]}" if self.row.topic.startswith("incident/") else ""

    @property
    def why(self) -> str:
        reason = self.row.reason
        if reason.startswith("business_day_"):
            count = reason.removeprefix("business_day_")
            return "the next business day" if count == "1" else f"{count} business days later"
        return REASONS.get(reason, reason.replace("_", " "))

    @property
    def cause(self) -> str:
        return CAUSES.get(self.row.cause, self.row.cause.replace("_", " "))

    @property
    def candidates(self) -> list[tuple[str, datetime]]:
        found = self.row.candidates.items()
        return [(CANDIDATES.get(name, name), datetime.fromisoformat(at)) for name, at in found]


def shown(row: Clock, now: datetime) -> Shown:
    state = judge_clock(row.deadline, row.met_at, now, row.paused_at)
    verdict: Verdict = "breached" if row.breached_at else state.verdict
    return Shown(row, verdict, row.deadline - now if row.deadline else None)


def steps_of(row: Clock, now: datetime) -> list[dict[str, Any]]:
    """The count in words; each step with its instant."""
    found = clocks.explained(row, now)
    return [{"text": one["text"], "at": datetime.fromisoformat(one["at"]) if one["at"] else None} for one in found]


def nearest_first(rows: Iterable[Clock], now: datetime) -> list[Shown]:
    """Those without a due time first, since nobody watches them; then by due time."""
    found = [shown(row, now) for row in rows]
    return sorted(found, key=lambda one: (one.left is not None, one.left or timedelta(), one.row.pk))


def outlook(row: Clock, now: datetime) -> Prediction | None:
    return forecast.prediction(row, now, live(row.topic)) if forecast.can_predict(row, now) else None
