from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.savings.facts import Terms


class RouteTerms(models.Model):
    """What the owner of a route says about its answers; append-only, the newest of a route counts. `system` and `route`
    are as telemetry tells them; empty: not told."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="route_terms")
    system = models.CharField(max_length=200, blank=True)
    route = models.CharField(max_length=300, blank=True)
    metric = models.CharField(max_length=200, blank=True)
    minimum = models.FloatField(null=True)
    margin = models.FloatField(default=0)
    patience_hours = models.FloatField(null=True)
    freshness_minutes = models.PositiveIntegerField(null=True)
    candidates = models.JSONField(default=list)  # [provider, model]
    owner = models.CharField(max_length=200)
    said_at = models.DateTimeField()

    class Meta:
        ordering = ("client", "system", "route", "-said_at", "-pk")

    def __str__(self) -> str:
        return f"{self.route} of {self.system}"

    @property
    def terms(self) -> Terms:
        return Terms(
            self.metric,
            self.minimum,
            self.margin,
            self.patience_hours,
            self.freshness_minutes,
            tuple((provider, model) for provider, model in self.candidates),
        )


class Recommendation(models.Model):
    """Something that could be saved at one place. Amounts are nano-USD in 30 days; NULL: not assessed.

    `state`: projected, not_assessed, rejected (it must not be done, `missing` says why), accepted, in_shadow, verified,
    realised, refuted, declined, gone (no longer found). `measured`: what a trial or the ledger showed."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="recommendations")
    system = models.ForeignKey(System, on_delete=models.SET_NULL, null=True, related_name="recommendations")
    key = models.CharField(max_length=64)
    kind = models.CharField(max_length=30)
    place = models.JSONField()
    target = models.CharField(max_length=300, blank=True)
    title = models.CharField(max_length=900)
    state = models.CharField(max_length=20, db_index=True)
    low_nano = models.BigIntegerField(null=True)
    middle_nano = models.BigIntegerField(null=True)
    high_nano = models.BigIntegerField(null=True)
    evidence = models.JSONField(default=list)
    figures = models.JSONField(default=dict)
    assumes = models.TextField(blank=True)
    risk = models.TextField(blank=True)
    effort = models.TextField(blank=True)
    missing = models.TextField(blank=True)
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=1000, blank=True)
    live_at = models.DateTimeField(null=True)
    measured = models.JSONField(default=dict)
    measured_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="one_recommendation_per_place_and_kind")]

    def __str__(self) -> str:
        return self.title

    @property
    def path(self) -> str:
        return f"/spend/savings/{self.pk}"
