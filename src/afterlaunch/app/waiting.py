"""The rows for which duties wait. What is missing here is not done: a duty without rows runs once a period."""

from __future__ import annotations

from datetime import timedelta

from afterlaunch.alerts.models import Alert, Group, MaintenanceWindow
from afterlaunch.alerts.told import FLAP_WINDOW
from afterlaunch.engine.waiting import Rows
from afterlaunch.incidents.containment.models import Measure
from afterlaunch.incidents.updates.models import Promise
from afterlaunch.notify.models import Page
from afterlaunch.oncall.models import Escalation, Schedule
from afterlaunch.replies.models import Reply
from afterlaunch.sla.models import Clock, Handover

AFTER = timedelta(microseconds=1)  # what is due "before now" is not due at its own instant
_firing = Alert.objects.filter(resolved_at=None)
_leaders = Page.objects.filter(carrier=None)
_schedules = Schedule.objects.filter(removed_at=None)

WINDOWS = (Rows(MaintenanceWindow.objects.filter(removed_at=None), "turns_at"),)
GROUPS = (
    Rows(Group.objects.all(), "next_at"),
    Rows(_firing, "expires_at"),
    Rows(_firing, "flapping_since", FLAP_WINDOW),
)
HANDOFFS = (Rows(_schedules, "next_at"),)
GAPS = (Rows(_schedules, "gaps_at"),)
ESCALATIONS = (
    Rows(Escalation.objects.filter(state="live"), "next_at"),
    Rows(Escalation.objects.filter(state="acknowledged"), "next_at"),
)
PAGES = (Rows(_leaders.filter(state="pending"), "due_at"), Rows(_leaders.filter(state="leased"), "lease_until"))
REPLIES = (Rows(Reply.objects.filter(state="waiting"), "due_at"),)
EXHAUSTED = (Rows(Escalation.objects.filter(state="exhausted", told_at=None), "started_at"),)
MEASURES = (Rows(Measure.objects.filter(state="pending"), "show_by"),)
PROMISES = (Rows(Promise.objects.filter(ended_at=None, overdue_at=None), "due_at", AFTER),)
CLOCKS = (Rows(Clock.objects.all(), "next_at"),)
HANDOVERS = (Rows(Handover.objects.filter(state="waiting"), "due_at"),)
