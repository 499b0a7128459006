"""The judge of inputs, as other rooms know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.verdicts.words import Finding, Status

SILENT = timedelta(hours=3)  # after the end of the newest hour that was judged


@dataclass(frozen=True)
class Input:
    name: str = "drift.input"
    title: str = "Inputs drift"
    explanation: str = "The features or outputs that a model is asked about no longer look like its reference."
    severity: str = "P2"


INPUT = Input()


def finding(hours: list[tuple[str, str, int]], start: datetime, now: datetime) -> Finding:
    """`hours`: (status, why, rows) of every version in the newest hour; the worst of them speaks."""
    end = start + timedelta(hours=1)
    if now - end > SILENT:
        said = f"The newest predictions are of the hour that ended {end:%Y-%m-%d %H:%M} UTC."
        return Finding(INPUT.name, Status.NOT_ASSESSED, "no_data", said)
    order = ("breach", "warning", "ok", "not_assessed")
    status, why, rows = min(hours, key=lambda one: order.index(one[0]))
    reason = {"breach": "drifted", "warning": "perhaps_drifted", "ok": "no_drift", "not_assessed": "too_little"}[status]
    return Finding(INPUT.name, Status(status), reason, why, count=rows, evidence={"hour": start.isoformat()})


def nothing_yet() -> Finding:
    said = "There is a reference, and no full hour of predictions has been judged yet."
    return Finding(INPUT.name, Status.NOT_ASSESSED, "no_hour_yet", said)
