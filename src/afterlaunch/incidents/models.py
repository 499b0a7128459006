from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property

from afterlaunch.engine.compiled import Row
from afterlaunch.estate.models import System
from afterlaunch.incidents.kinds import CHOICES as KINDS
from afterlaunch.sla.clocks import of_topics
from afterlaunch.sla.models import Clock

SEVERITIES = [("P1", "P1"), ("P2", "P2"), ("P3", "P3")]
PHASES = [
    ("detection", "Detection"),
    ("triage", "Triage"),
    ("diagnosis", "Diagnosis"),
    ("containment", "Containment"),
    ("resolution", "Resolution"),
    ("review", "Review"),
    ("closed", "Closed"),
]
STATUSES = [("open", "Open"), ("resolved", "Resolved")]
OUTCOMES = [("", "Real"), ("false_alarm", "False alarm"), ("duplicate", "Duplicate")]
ROLES = [
    ("commander", "Commander"),
    ("communications", "Communications lead"),
    ("scribe", "Scribe"),
    ("responder", "Responder"),
]


class Incident(Row):
    """Something went wrong with a system. While it is open no second one has its fingerprint."""

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="incidents")
    environment = models.CharField(max_length=60, blank=True, default="")
    route = models.CharField(max_length=60, blank=True, default="")
    arm = models.CharField(max_length=20, blank=True, default="")
    title = models.CharField(max_length=300)
    summary = models.TextField(blank=True, default="")
    severity = models.CharField(max_length=2, choices=SEVERITIES)
    peak_severity = models.CharField(max_length=2, choices=SEVERITIES)
    phase = models.CharField(max_length=12, choices=PHASES, default="detection")
    status = models.CharField(max_length=10, choices=STATUSES, default="open")
    outcome = models.CharField(max_length=20, choices=OUTCOMES, blank=True, default="")
    kind = models.CharField(max_length=30, choices=KINDS, default="other", db_index=True)
    severity_unsure = models.BooleanField(default=False)  # nobody has said how grave it is
    fingerprint = models.CharField(max_length=200, db_index=True)
    survivor = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="duplicates")
    recurrence_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="recurrences"
    )
    occurred_at = models.DateTimeField(null=True)
    detected_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, default="")
    responder = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    containment_started_at = models.DateTimeField(null=True)
    contained_at = models.DateTimeField(null=True)
    recovered_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    skipped = models.JSONField(default=list)  # [{"phase", "reason", "at"}]: phases that were passed over
    impact = models.TextField(blank=True, default="")
    cause = models.TextField(blank=True, default="")
    cause_key = models.CharField(max_length=80, blank=True, default="")  # the same words mean the same cause
    cause_at = models.DateTimeField(null=True)
    fix = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-detected_at", "-pk")
        indexes = [models.Index(fields=["status", "severity"], name="incidents_open")]
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(status="open"), name="one_open_incident_per_fingerprint"
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.title}"

    @cached_property
    def promises(self) -> list[Clock]:
        """Its clocks, replaced ones too, in the order in which they began; `clocks.load` reads those of a list."""
        return of_topics([self.topic])[self.topic]

    def get_absolute_url(self) -> str:
        return f"/incidents/{self.pk}"

    def holders(self, role: str) -> list[Assignment]:
        """Who holds the role now; reads prefetched rows when there are any."""
        return [row for row in self.assignments.all() if row.role == role and row.until is None]

    @property
    def commander(self) -> Assignment | None:
        return next(iter(self.holders("commander")), None)

    @property
    def topic(self) -> str:
        """How pages, escalations and evidence name it."""
        return f"incident/{self.pk}"


class Assignment(Row):
    """Who holds a role in an incident, since and until when. One person may hold several; only responders are many."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="assignments")
    role = models.CharField(max_length=20, choices=ROLES)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    given_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("since", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "role"],
                condition=Q(until=None, role__in=["commander", "communications", "scribe"]),
                name="one_holder_of_a_role",
            ),
            models.UniqueConstraint(
                fields=["incident", "role", "person"], condition=Q(until=None), name="one_role_once_a_person"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}, {self.get_role_display().lower()}"


class Tick(Row):
    """A line of a checklist that is done: of the evidence (`key`: "kind/item") or of a runbook ("runbook/step")."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="ticks")
    list = models.CharField(max_length=10)
    key = models.CharField(max_length=80)
    at = models.DateTimeField()
    by = models.CharField(max_length=200)
    run = models.CharField(max_length=40, blank=True, default="")  # what was performed; empty: ticked by hand
    said = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("at", "pk")
        constraints = [models.UniqueConstraint(fields=["incident", "list", "key"], name="one_tick_per_line")]

    def __str__(self) -> str:
        return f"{self.list} {self.key}"


class TimelineEntry(Row):
    """Append-only: each entry is hashed with its predecessor's hash. A correction is a new entry."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="timeline")
    sequence = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    text = models.TextField()
    details = models.JSONField(default=dict)
    actor = models.CharField(max_length=200)
    actor_kind = models.CharField(max_length=20)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("sequence",)
        constraints = [models.UniqueConstraint(fields=["incident", "sequence"], name="one_entry_per_sequence")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind}"
