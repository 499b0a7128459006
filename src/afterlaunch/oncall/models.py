from __future__ import annotations

from django.conf import settings
from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System

TARGETS = [("schedule", "Whoever is on call"), ("person", "A person"), ("catch_all", "Owner, else administrators")]
ESCALATION_STATES = [
    ("live", "Paging"),
    ("acknowledged", "Acknowledged"),
    ("stopped", "Stopped"),
    ("exhausted", "Exhausted"),
]


class Rotation(models.Model):
    """One version of a client's weekly rotation, in force from `valid_from`. Wall time is stored as people read it;
    shifts are computed. An edit makes a new version, so the past stays what it was."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="rotations")
    valid_from = models.DateTimeField()
    zone = models.CharField(max_length=64)
    anchor_date = models.DateField()
    handoff = models.TimeField()
    weeks = models.PositiveSmallIntegerField(default=1)
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("client", "valid_from", "pk")

    def __str__(self) -> str:
        return f"rotation of {self.client} from {self.valid_from:%Y-%m-%d}"


class RotationMember(models.Model):
    rotation = models.ForeignKey(Rotation, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["rotation", "position"], name="one_member_per_position")]

    def __str__(self) -> str:
        return f"{self.position}: {self.user}"


class Override(models.Model):
    """For a while `substitute` stands in: for `absent` ("replace"), or for whoever it is ("cover", absent empty)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="overrides")
    absent = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    substitute = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.substitute} for {self.absent or 'everyone'}"


class EscalationStep(models.Model):
    """A step of a client's policy. `delay` (seconds) passes unacknowledged before the next step."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="escalation_steps")
    position = models.PositiveSmallIntegerField()
    delay = models.PositiveIntegerField()
    target = models.CharField(max_length=10, choices=TARGETS)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["client", "position"], name="one_step_per_position")]

    def __str__(self) -> str:
        return f"{self.position}: {self.target}"


class Escalation(models.Model):
    """Where the paging about one thing stands. `turn` counts moves and is the fence of every move."""

    topic = models.CharField(max_length=100, unique=True)
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="+")
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=15, choices=ESCALATION_STATES, default="live")
    reason = models.CharField(max_length=60, blank=True, default="")
    step = models.PositiveSmallIntegerField(default=0)
    loop = models.PositiveSmallIntegerField(default=0)
    turn = models.PositiveIntegerField(default=0)
    paged = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "next_at"], name="escalations_due")]

    def __str__(self) -> str:
        return f"{self.topic}: {self.state}"
