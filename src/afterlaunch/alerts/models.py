from __future__ import annotations

from django.db import models
from django.db.models import Q

from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict


class Alert(models.Model):
    """A breach that holds. While it fires no second one of the same verdict exists; it belongs to one incident.

    `silent_since`: its scope has told nothing since then, and it stays open. `rejoined_at`: it came back to its
    incident without a page; `ended_because`: the name of the reason (`rules.ends`), "scope_withdrawn" or "by_person".
    """

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="alerts")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="alerts")
    explanation = models.TextField()
    severity = models.CharField(max_length=2)
    fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    suppressed_by = models.CharField(max_length=200, blank=True, default="")
    silent_since = models.DateTimeField(null=True)
    rejoined_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        ordering = ("-fired_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["verdict"], condition=Q(resolved_at=None), name="one_firing_alert_per_verdict"
            )
        ]

    def __str__(self) -> str:
        return f"{self.verdict} since {self.fired_at}"


class Silence(models.Model):
    """Alerts of a system raise no incident until it ends. Each further field narrows it; empty means any. No end, no
    silence: `ends_at` is at most a week away, and moves to now when a person ends it."""

    client = models.CharField(max_length=60)
    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=60, blank=True, default="")
    judge = models.CharField(max_length=60, blank=True, default="")
    route = models.CharField(max_length=200, blank=True, default="")
    arm = models.CharField(max_length=20, blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    author = models.CharField(max_length=200)
    comment = models.CharField(max_length=300)
    ended_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("-starts_at", "-pk")

    def __str__(self) -> str:
        return f"{self.system} {self.judge} until {self.ends_at}"


class Withdrawal(models.Model):
    """An arm of a route serves nobody since `at`: a verified rollback took its traffic. One that serves again has
    `returned_at`. What judges still find in its last calls raises nothing."""

    client = models.CharField(max_length=60)
    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=60)
    route = models.CharField(max_length=200)
    arm = models.CharField(max_length=20)
    at = models.DateTimeField()
    returned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.arm} of {self.route} since {self.at}"
