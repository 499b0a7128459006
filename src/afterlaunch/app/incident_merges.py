"""What moves from a duplicate to the incident that survives it, by name."""

from __future__ import annotations

from afterlaunch.alerts.actions import move_alerts
from afterlaunch.incidents.merging import Mover

MERGES: tuple[Mover, ...] = (move_alerts,)
