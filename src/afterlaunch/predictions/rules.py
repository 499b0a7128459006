"""The judge of inputs, as other rooms know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.drift.false_alarms import NOT_KNOWN, FalseAlarms, a_month
from afterlaunch.drift.importance import NEAR, TOP, Compared
from afterlaunch.verdicts.words import Finding, Status

SILENT = timedelta(hours=3)  # after the end of the newest hour that was judged


@dataclass(frozen=True)
class Input:
    name: str = "drift.input"
    title: str = "Inputs drift"
    explanation: str = "The features or outputs that a model is asked about no longer look like its reference."
    severity: str = "P2"


@dataclass(frozen=True)
class Importance:
    name: str = "drift.importance"
    title: str = "The model looks at other features"
    explanation: str = "Ranks of features by their attributions are no longer those of the reference."
    severity: str = "P3"


INPUT = Input()
IMPORTANCE = Importance()
CHANCE = 0.001


def finding(
    hours: list[tuple[str, str, int]], start: datetime, now: datetime, false_alarms: FalseAlarms = NOT_KNOWN
) -> Finding:
    """`hours`: (status, why, rows) of every version in the newest hour; the worst of them speaks. `false_alarms`: of
    all features of all of them."""
    end = start + timedelta(hours=1)
    if now - end > SILENT:
        said = f"The newest predictions are of the hour that ended {end:%Y-%m-%d %H:%M} UTC."
        return Finding(INPUT.name, Status.NOT_ASSESSED, "no_data", said)
    order = ("breach", "warning", "ok", "not_assessed")
    status, why, rows = min(hours, key=lambda one: order.index(one[0]))
    reason = {"breach": "drifted", "warning": "perhaps_drifted", "ok": "no_drift", "not_assessed": "too_little"}[status]
    evidence = {"hour": start.isoformat(), **false_alarms.as_evidence()}
    return Finding(INPUT.name, Status(status), reason, why, count=rows, evidence=evidence)


def nothing_yet() -> Finding:
    said = "There is a reference, and no full hour of predictions has been judged yet."
    return Finding(INPUT.name, Status.NOT_ASSESSED, "no_hour_yet", said)


def unranked(why: str, rows: int = 0) -> Finding:
    return Finding(IMPORTANCE.name, Status.NOT_ASSESSED, "too_little", f"Not assessed. {why}", count=rows)


def ranked(found: Compared, rows: int) -> Finding:
    """A breach where one of the first five left the first ten; a warning where ranks moved otherwise beyond chance."""
    evidence: dict[str, str | int | float | None] = {
        "tau": round(found.tau, 4),
        "rank_biased_overlap": round(found.overlap, 4),
        "chance": round(found.chance, 6),
        "then": ", ".join(found.then),
        "now": ", ".join(found.now),
        **FalseAlarms(a_month(1 / CHANCE), a_month(1 / CHANCE)).as_evidence(),
    }
    place = abs(found.places)
    told = f"Kendall's tau is {found.tau:.2f}, rank-biased overlap {found.overlap:.2f}"
    sure = f"by chance at most once in {1 / found.chance:,.0f} looks" if found.chance < 0.05 else "within chance"
    status, reason = Status.OK, "ranks_hold"
    said = f"The model looks at its features in the order of the reference: {told}, {sure}."
    if found.chance <= CHANCE:
        gone = f"{', '.join(found.left)} left the first {NEAR}; " if found.left else ""
        way = "down" if found.places > 0 else "up"
        moved = f"{found.moved}, one of the first {TOP}, moved {way} by {place} place{'s' if place != 1 else ''}"
        said = f"{gone}{moved}. {told}, {sure}."
        status, reason = (Status.BREACH, "top_left") if found.left else (Status.WARNING, "ranks_moved")
    return Finding(IMPORTANCE.name, status, reason, said, found.tau, None, "tau", rows, evidence)
