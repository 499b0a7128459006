"""Parts of an incident's page, by name, in the order in which they are shown."""

from __future__ import annotations

from afterlaunch.incidents.panels import Panel

PANELS: tuple[Panel, ...] = ()
