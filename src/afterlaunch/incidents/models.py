from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from afterlaunch.estate.models import System

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
OUTCOMES = [("", "Real"), ("false_alarm", "False alarm")]


class Incident(models.Model):
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
    fingerprint = models.CharField(max_length=200, db_index=True)
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

    class Meta:
        ordering = ("-detected_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(status="open"), name="one_open_incident_per_fingerprint"
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.title}"

    def get_absolute_url(self) -> str:
        return f"/incidents/{self.pk}"

    @property
    def topic(self) -> str:
        """How pages, escalations and evidence name it."""
        return f"incident/{self.pk}"


class TimelineEntry(models.Model):
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


class ResponseClock(models.Model):
    """The promise of a first response, with the inputs it was computed from, frozen. A severity change makes a new
    clock from the same start and keeps the old one beside it."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="clocks")
    tier = models.CharField(max_length=20)
    severity = models.CharField(max_length=2)
    policy = models.CharField(max_length=60)
    target = models.JSONField(default=dict)
    calendar = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    deadline = models.DateTimeField(db_index=True)
    candidates = models.JSONField(default=dict)
    reason = models.CharField(max_length=60)
    met_at = models.DateTimeField(null=True)
    breached_at = models.DateTimeField(null=True)
    noticed_at = models.DateTimeField(null=True)
    cause = models.CharField(max_length=30, blank=True, default="")
    superseded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(
                fields=["incident"], condition=Q(superseded_at=None), name="one_running_clock_per_incident"
            )
        ]

    def __str__(self) -> str:
        return f"first response by {self.deadline:%Y-%m-%d %H:%M}Z"
