"""The list of duties, by name, in the order in which a cycle runs them."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.app.judges import JUDGES
from afterlaunch.engine.duties import Duty
from afterlaunch.telemetry.duties import notice_systems
from afterlaunch.verdicts import watch


def run_judges(now: datetime) -> None:
    watch.run(JUDGES, now)


DUTIES: tuple[Duty, ...] = (
    Duty("telemetry.notice_systems", 15, notice_systems),
    Duty("verdicts.watch", 30, run_judges),
)
