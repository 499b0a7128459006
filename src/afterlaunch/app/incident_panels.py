"""Parts of an incident's page, by name, in the order in which they are shown."""

from __future__ import annotations

from afterlaunch.alerts.pages import panel as alerts
from afterlaunch.changes.pages import rollbacks
from afterlaunch.diagnosis.pages import panel as diagnosis
from afterlaunch.incidents.package import panel as handover
from afterlaunch.incidents.panels import Panel

PANELS: tuple[Panel, ...] = (
    Panel("handover", "Handover to the tier", "incidents/_handover.html", handover),
    Panel("rollbacks", "Rollbacks", "changes/_rollbacks.html", rollbacks, within="containment"),
    Panel("alerts", "Alerts", "alerts/_panel.html", alerts),
    Panel("diagnosis", "What changed, and what explains it", "diagnosis/_panel.html", diagnosis),
)
