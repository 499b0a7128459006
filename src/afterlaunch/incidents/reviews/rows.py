"""The beginning of a review and its clocks, inside other deeds' transactions."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.calendars.business import NeverOpen
from afterlaunch.incidents.lifecycle import needs_review
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.reviews.models import Review
from afterlaunch.incidents.reviews.rules import APPROVE_DAYS, DRAFT_DAYS, business_days
from afterlaunch.incidents.updates.promises import hours_of


def begin(incident: Incident, now: datetime) -> Review:
    """At the end of an incident, or when a person asks for one. The clocks count from now, also after a reopening; what
    was written stays."""
    required = needs_review(incident.peak_severity)
    draft_due, approve_due = _dues(incident, now) if required else (None, None)
    row, made = Review.objects.get_or_create(
        incident=incident,
        defaults={
            "required": required,
            "began_at": now,
            "draft_due_at": draft_due,
            "approve_due_at": approve_due,
        },
    )
    if not made and row.state != "approved":
        row.required, row.draft_due_at, row.approve_due_at = required, draft_due, approve_due
        row.drafted_at = row.draft_late_at = row.approve_late_at = None
        row.save()
    return row


def _dues(incident: Incident, now: datetime) -> tuple[datetime | None, datetime | None]:
    """A calendar that never opens again promises nothing; that it is closed is told elsewhere."""
    hours = hours_of(incident.system)
    try:
        return business_days(hours, now, DRAFT_DAYS), business_days(hours, now, APPROVE_DAYS)
    except NeverOpen:
        return None, None


def approved(incident: Incident) -> bool:
    return Review.objects.filter(incident=incident, state="approved").exists()
