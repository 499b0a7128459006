from __future__ import annotations

from django.db import models

STATUSES = [(s, s.replace("_", " ")) for s in ("ok", "warning", "breach", "not_assessed")]


class Verdict(models.Model):
    """The latest finding of one judge on one scope. Empty route, arm, provider or host: over all of them."""

    judge = models.CharField(max_length=60)
    client = models.CharField(max_length=60)
    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=60)
    route = models.CharField(max_length=200, blank=True, default="")
    arm = models.CharField(max_length=20, blank=True, default="")
    provider = models.CharField(max_length=100, blank=True, default="")
    host = models.CharField(max_length=200, blank=True, default="")
    severity = models.CharField(max_length=2)
    status = models.CharField(max_length=20, choices=STATUSES)
    reason = models.CharField(max_length=60)
    explanation = models.TextField()
    value = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    unit = models.CharField(max_length=20, blank=True, default="")
    count = models.PositiveIntegerField(default=0)
    evidence = models.JSONField(default=dict)
    since = models.DateTimeField()
    assessed_at = models.DateTimeField()

    class Meta:
        ordering = ("client", "system", "environment", "judge", "route", "arm", "provider", "host")
        constraints = [
            models.UniqueConstraint(
                fields=["judge", "client", "system", "environment", "route", "arm", "provider", "host"],
                name="one_verdict_per_scope",
            )
        ]
        indexes = [models.Index(fields=["status", "client", "system"])]

    def __str__(self) -> str:
        return f"{self.judge} {self.system}/{self.environment} {self.status}"


class VerdictChange(models.Model):
    """History: every change of status, kept for reports."""

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(db_index=True)
    before = models.CharField(max_length=20, blank=True, default="")
    after = models.CharField(max_length=20)
    explanation = models.TextField()

    class Meta:
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"
