from __future__ import annotations

from django.db import models
from django.db.models import Q

from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict


class Alert(models.Model):
    """A breach that holds. While it fires no second one of the same verdict exists; it belongs to one incident."""

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="alerts")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="alerts")
    explanation = models.TextField()
    severity = models.CharField(max_length=2)
    fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    suppressed_by = models.CharField(max_length=200, blank=True, default="")

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
    """Alerts of a system, and of one judge if it names one, raise no incident until it ends. No end, no silence."""

    client = models.CharField(max_length=60)
    system = models.CharField(max_length=200)
    judge = models.CharField(max_length=60, blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    author = models.CharField(max_length=200)
    comment = models.CharField(max_length=300)

    class Meta:
        ordering = ("-starts_at",)

    def __str__(self) -> str:
        return f"{self.system} {self.judge} until {self.ends_at}"
