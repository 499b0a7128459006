from __future__ import annotations

from typing import Any

from django.db import models

from afterlaunch.changes.models import Change
from afterlaunch.estate.models import Registration, System
from afterlaunch.retraining.definition import Values, read

STATES = [
    ("held", "Not fired"),
    ("lapsed", "Not fired, over"),
    ("waiting", "Waits for approval"),
    ("declined", "Declined"),
    ("queued", "Queued"),
    ("starting", "Being started"),
    ("running", "Running"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
]
IN_FLIGHT = ("waiting", "queued", "starting", "running")
STARTED = ("starting", "running", "succeeded", "failed")


class Policy(models.Model):
    """When and how a model of a system is trained again. `trusted`: an administrator of the house vouched for its
    addresses, secrets and command."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="retraining_policies")
    name = models.CharField(max_length=200)
    spec = models.JSONField()
    trusted = models.BooleanField(default=False)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)
    scheduled_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("system", "name")
        constraints = [models.UniqueConstraint(fields=["system", "name"], name="one_retraining_policy_per_model")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/systems/{self.system_id}/retraining"

    @property
    def values(self) -> Values:
        return read(self.spec)


class Run(models.Model):
    """An occasion to train again, and what became of it: fired or not, and why. `key` names it to the pipeline;
    `external` is what the pipeline calls it. `cut_off`: labels that came later must not be learned. `result`: what
    its callback told when it succeeded, while its model is awaited in the registry."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    occasion = models.CharField(max_length=400)
    trigger = models.CharField(max_length=200)
    why = models.TextField()
    author = models.CharField(max_length=200)
    author_identity = models.CharField(max_length=80, blank=True, default="")
    state = models.CharField(max_length=20, choices=STATES, db_index=True)
    reason = models.CharField(max_length=40)
    reason_why = models.TextField(blank=True, default="")
    key = models.CharField(max_length=40, unique=True)
    pipeline = models.JSONField(default=dict)
    noticed_at = models.DateTimeField()
    decided_at = models.DateTimeField()
    approved_by = models.CharField(max_length=200, blank=True, default="")
    cut_off = models.DateTimeField()
    due_at = models.DateTimeField(null=True, db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    external = models.CharField(max_length=300, blank=True, default="")
    address = models.CharField(max_length=1000, blank=True, default="")
    message = models.TextField(blank=True, default="")
    cost = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    result: models.JSONField[Any, Any] = models.JSONField(null=True)
    registration = models.ForeignKey(Registration, null=True, on_delete=models.SET_NULL, related_name="+")
    change = models.ForeignKey(Change, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-pk",)
        constraints = [
            models.UniqueConstraint(fields=["policy", "occasion"], name="one_run_per_occasion"),
            models.UniqueConstraint(fields=["policy", "number"], name="one_run_per_number"),
        ]

    def __str__(self) -> str:
        return f"run {self.number} of {self.policy}"
