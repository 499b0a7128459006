from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.pricing.rules import Entry


class PriceEntry(models.Model):
    """One state of an entry of a client's price table. Append-only: the newest of a name counts, unless withdrawn;
    `version` numbers the states of the whole table."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="price_entries")
    version = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    source = models.CharField(max_length=120)  # override, or the name of an imported table
    provider = models.CharField(max_length=120)
    model = models.CharField(max_length=300, blank=True)
    pattern = models.BooleanField(default=False)
    prices = models.JSONField(default=dict)
    percent = models.DecimalField(max_digits=9, decimal_places=4, null=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    daily = models.CharField(max_length=20, blank=True)
    conditions = models.JSONField(default=dict)
    owner = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    withdrawn = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("client", "name", "version")
        constraints = [
            models.UniqueConstraint(fields=["client", "name", "version"], name="one_price_entry_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.client}, version {self.version}"

    @property
    def entry(self) -> Entry:
        return Entry(
            self.name,
            self.provider,
            self.model,
            self.pattern,
            self.prices,
            self.percent,
            self.starts_at,
            self.ends_at,
            self.daily,
            self.conditions,
            self.owner,
            self.reason,
            self.source,
        )
