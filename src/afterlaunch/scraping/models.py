from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.scraping import rules


class Target(models.Model):
    """An address that tells metrics, and whose they are. `bearer` and `password` are references, never secrets.
    `trusted`: an administrator of the house declared it, so it may be a private address and have credentials.
    `revision` rises with every edit: what was fetched by an older one is thrown away."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="targets")
    name = models.SlugField(max_length=60)
    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=60, default="prod")
    url = models.URLField(max_length=500)
    interval = models.PositiveIntegerField(default=rules.INTERVAL)
    sample_limit = models.PositiveIntegerField(default=rules.SAMPLES)
    labels = models.JSONField(default=dict)
    bearer = models.CharField(max_length=300, blank=True, default="")
    username = models.CharField(max_length=200, blank=True, default="")
    password = models.CharField(max_length=300, blank=True, default="")
    paused = models.BooleanField(default=False)
    trusted = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    # What came of it; written by the scraper alone.
    next_due = models.DateTimeField(null=True, db_index=True)
    last_at = models.DateTimeField(null=True)
    last_ok_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)
    samples = models.PositiveIntegerField(null=True)
    reason = models.CharField(max_length=40, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("client__slug", "name")
        constraints = [models.UniqueConstraint(fields=["client", "name"], name="one_target_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        return rules.state_of(self.paused, self.reason, self.last_at)

    @property
    def milliseconds(self) -> float | None:
        return None if self.seconds is None else self.seconds * 1_000

    @property
    def advice(self) -> str:
        return rules.ADVICE.get(self.reason, "")
