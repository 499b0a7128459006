"""The types of news that channels are told, as they stand in signed webhooks."""

from __future__ import annotations

TYPES: dict[str, str] = {
    "incident.opened": "An incident opened",
    "incident.acknowledged": "Somebody took it",
    "incident.severity_changed": "It became graver or milder",
    "incident.contained": "The harm has stopped",
    "incident.resolved": "It was resolved, or was a false alarm",
    "incident.reopened": "It came back",
    "incident.closed": "Its review is done",
    "clock.breach_predicted": "A response will be late if nothing changes",
    "clock.breached": "A response is late",
    "clock.paused": "A clock stands still",
    "clock.resumed": "A clock runs again",
    "page.failed": "No contact method of a person took a page",
    "oncall.gap_found": "Nobody will be on call",
    "heartbeat.down": "A job did not report",
    "heartbeat.up": "A job reports again",
    "slo.burn_started": "An error budget burns",
    "slo.burn_ended": "It burns no longer",
    "review.due": "A review is due",
    "review.approved": "A review was approved",
}
SEVERITIES = ("P1", "P2", "P3")
