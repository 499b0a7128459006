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

    class Meta:
        ordering = ("client__slug", "system")
        constraints = [
            models.UniqueConstraint(fields=["client", "system"], name="one_keeping_per_system"),
            models.UniqueConstraint(fields=["system"], condition=Q(client=None), name="one_keeping_of_the_house"),
        ]

    def __str__(self) -> str:
        return f"{self.client.slug if self.client else '*'}/{self.system or '*'}"
