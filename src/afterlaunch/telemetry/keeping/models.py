from __future__ import annotations

from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client


class Keeping(models.Model):
    """What was decided about content and time for the house (no client), a client, or one of its systems (by its
    telemetry name). What is not decided is inherited: system, client, house, product."""

    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="keeping")
    system = models.CharField(max_length=200, default="", blank=True)
    capture = models.CharField(max_length=10, default="", blank=True)  # off, masked, on; empty: inherited
    patterns = models.JSONField(default=list)  # [{"name": …, "pattern": …}], beside those inherited
    days = models.JSONField(default=dict)  # kind of data -> days; of the house and of clients only
    sampled = models.FloatField(null=True)  # share of traces that is sent, where no sampler tells it; None: inherited

    class Meta:
        ordering = ("client__slug", "system")
        constraints = [
            models.UniqueConstraint(fields=["client", "system"], name="one_keeping_per_system"),
            models.UniqueConstraint(fields=["system"], condition=Q(client=None), name="one_keeping_of_the_house"),
        ]

    def __str__(self) -> str:
        return f"{self.client.slug if self.client else '*'}/{self.system or '*'}"


class StoreSize(models.Model):
    """How large the telemetry store was; what a forecast is made from."""

    at = models.DateTimeField(unique=True)
    used = models.BigIntegerField()  # bytes of rows
    free = models.BigIntegerField()  # bytes within the files that the next rows use again

    class Meta:
        ordering = ("at",)

    def __str__(self) -> str:
        return f"{self.used} at {self.at}"


class Erasure(models.Model):
    """Somebody's telemetry is erased. `value` names them until it is done; from then on only `digest` does
    (`erasing.digest_of`), so that the log that proves it holds no name."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="erasures")
    kind = models.CharField(max_length=10)  # user, session, tenant
    value = models.TextField(blank=True)
    salt = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    erased = models.CharField(max_length=64, default="")  # SHA-256 chained over the ids of the traces that went

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"erasure {self.pk} of a {self.kind} of {self.client}"
