from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row
from afterlaunch.incidents.models import Incident

AUDIENCES = [
    ("responders", "Responders"),
    ("internal", "Internal"),
    ("executives", "Executives"),
    ("customers", "Customers"),
]
TEXT_STATES = [("waiting", "Waiting for approval"), ("sent", "Sent"), ("withdrawn", "Not sent")]


class Stakeholder(Row):
    """Somebody who is told about a client's incidents, as part of an audience. Responders are those who hold a role."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="stakeholders")
    audience = models.CharField(max_length=12, choices=AUDIENCES)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("audience", "pk")
        constraints = [models.UniqueConstraint(fields=["client", "audience", "person"], name="one_stake_per_audience")]

    def __str__(self) -> str:
        return f"{self.person} ({self.audience})"


class Cadence(Row):
    """How often a client wants to hear, by severity: minutes, and whether they are counted in business hours."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="cadences")
    severity = models.CharField(max_length=2)
    minutes = models.PositiveIntegerField()  # 0: no promise
    business = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "severity"], name="one_cadence_per_severity")]

    def __str__(self) -> str:
        return f"{self.severity}: every {self.minutes} min"


class Update(Row):
    """One update. Its texts go to audiences; `next_at` is the promise, empty only for the last one."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    author = models.CharField(max_length=200)
    author_identity = models.CharField(max_length=200)
    affected = models.TextField(blank=True, default="")
    doing = models.TextField(blank=True, default="")
    no_change = models.BooleanField(default=False)
    final = models.BooleanField(default=False)
    next_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=["incident", "number"], name="one_update_per_number")]

    def __str__(self) -> str:
        return f"update {self.number} on #{self.incident_id}"


class UpdateText(Row):
    """What one audience reads. `told`: how many people it was sent to; others read it on the incident's page."""

    update = models.ForeignKey(Update, on_delete=models.CASCADE, related_name="texts")
    audience = models.CharField(max_length=12, choices=AUDIENCES)
    text = models.TextField()
    state = models.CharField(max_length=10, choices=TEXT_STATES, default="waiting")
    decided_by = models.CharField(max_length=200, blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    told = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["update", "audience"], name="one_text_per_audience")]

    def __str__(self) -> str:
        return f"{self.update}, {self.audience}"


class Promise(Row):
    """The time by which the next update is due: a clock. Overdue, it pages the communications lead, once."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="update_promises")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)
    update = models.ForeignKey(Update, null=True, on_delete=models.CASCADE, related_name="+")  # the one that made it
    due_at = models.DateTimeField()
    kept_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        indexes = [models.Index(fields=["due_at"], condition=Q(ended_at=None, overdue_at=None), name="promises_due")]
        constraints = [
            models.UniqueConstraint(fields=["incident"], condition=Q(ended_at=None), name="one_promise_per_incident")
        ]

    def __str__(self) -> str:
        return f"update on #{self.incident_id} by {self.due_at:%Y-%m-%d %H:%M}Z"
