"""Who hears what happens to promised times, by name."""

from __future__ import annotations

from afterlaunch.incidents.clocks import Listener as Incidents
from afterlaunch.sla.events import Listener

LISTENERS: tuple[Listener, ...] = (Incidents(),)
