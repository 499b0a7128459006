"""The judge of answers, as other rooms know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.drift.false_alarms import FalseAlarms
from afterlaunch.verdicts.words import Finding, Status

SILENT = timedelta(hours=25)  # after the end of the newest hour with calls
REASONS = {
    "breach": "drifted",
    "warning": "perhaps_drifted",
    "ok": "no_drift",
    "not_assessed": "too_little",
}


@dataclass(frozen=True)
class Output:
    name: str = "drift.output"
    title: str = "Answers drift"
    explanation: str = (
        "What models answer no longer looks like the reference period: length, language, form, refusals, sentiment,"
        " repetition, or likeness to the question and to what was retrieved."
    )
    severity: str = "P2"


OUTPUT = Output()


def finding(status: str, why: str, compared: int, start: datetime, now: datetime, false_alarms: FalseAlarms) -> Finding:
    end = start + timedelta(hours=1)
    if now - end > SILENT:
        said = f"The newest answers are of the hour that ended {end:%Y-%m-%d %H:%M} UTC."
        return Finding(OUTPUT.name, Status.NOT_ASSESSED, "no_data", said)
    evidence: dict[str, str | int | float | None] = {"hour": start.isoformat(), **false_alarms.as_evidence()}
    return Finding(OUTPUT.name, Status(status), REASONS[status], why, count=compared, evidence=evidence)


def learning(answers: int, needed: int, until: datetime) -> Finding:
    said = (
        f"A reference is being learnt until {until:%Y-%m-%d %H:%M} UTC at least: {answers:,} answers so far, {needed:,}"
        " are needed. Or choose a period."
    )
    return Finding(OUTPUT.name, Status.NOT_ASSESSED, "learning", said, count=answers)


def first_day(reference_end: datetime) -> Finding:
    end = reference_end + timedelta(days=1)
    said = f"The first whole day after the reference is not over: it ends {end:%Y-%m-%d %H:%M} UTC."
    return Finding(OUTPUT.name, Status.NOT_ASSESSED, "first_day", said)
