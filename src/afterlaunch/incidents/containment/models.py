from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row
from afterlaunch.incidents.models import Incident

CAP, SHOW_MINUTES = 5000, 15
STATES = [
    ("pending", "Waiting for proof"),
    ("shown", "Harm has stopped"),
    ("not_shown", "Did not help in time"),
    ("undone", "Undone"),
    ("ended", "Ended with the incident"),
]


class ContainmentPolicy(Row):
    """What a client's responders may do alone: up to `cap` basis points of a system's traffic; above it, or where the
    share is unknown, it takes an operator. A measure must show recovery within `show_minutes`."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="containment_policy")
    cap = models.PositiveIntegerField(default=CAP)
    show_minutes = models.PositiveIntegerField(default=SHOW_MINUTES)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"containment policy of {self.client}"


class Measure(Row):
    """Something that was done to stop harm. `key` is the line of the menu, `run` the action of the product; both may be
    empty for what a policy or another room did by itself. It must show recovery by `show_by`, or it escalates."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="measures")
    key = models.CharField(max_length=30, blank=True, default="")
    run = models.CharField(max_length=40, blank=True, default="")
    text = models.TextField()
    reason = models.CharField(max_length=500, blank=True, default="")
    reach = models.PositiveIntegerField(null=True)  # basis points of the traffic; null: unknown
    undo = models.TextField(blank=True, default="")
    facts = models.JSONField(default=dict)
    by = models.CharField(max_length=200)
    by_kind = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    show_by = models.DateTimeField()
    state = models.CharField(max_length=10, choices=STATES, default="pending")
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-started_at", "-pk")
        indexes = [models.Index(fields=["state", "show_by"], name="measures_due")]

    def __str__(self) -> str:
        return self.text[:80]
