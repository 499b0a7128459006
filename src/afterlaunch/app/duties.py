"""The list of duties, by name, in the order in which a cycle runs them."""

from __future__ import annotations

from afterlaunch.engine.duties import Duty
from afterlaunch.telemetry.duties import notice_systems

DUTIES: tuple[Duty, ...] = (Duty("telemetry.notice_systems", 15, notice_systems),)
