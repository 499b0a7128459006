from __future__ import annotations

from typing import Any

from django.db import models

from afterlaunch.accounts.models import Client


class Repricing(models.Model):
    """A run that prices a client's past calls by a version of its table. Proposed with what it would change, approved
    by a person, then done hour by hour: `done_hour` is the last one that is (hours since 1970)."""

    PROPOSED, RUNNING, DONE, REFUSED = "proposed", "running", "done", "refused"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="repricings")
    version = models.PositiveIntegerField()  # of the client's price table
    since = models.DateTimeField()
    until = models.DateTimeField()
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=20, default=PROPOSED)
    totals = models.JSONField(default=list)  # per month and model: calls, changed, old and new nano-USD and unknown
    calls = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    old_nano = models.BigIntegerField(default=0)
    new_nano = models.BigIntegerField(default=0)
    done_hour = models.IntegerField(null=True)
    done_calls = models.BigIntegerField(default=0)
    proposed_at = models.DateTimeField()
    proposed_by = models.CharField(max_length=200)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Repricing {self.pk} of {self.client}"

    def get_absolute_url(self) -> str:
        return f"/spend/repricings/{self.pk}"

    @property
    def difference_nano(self) -> int:
        return self.new_nano - self.old_nano

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The totals with what each month and model differs by, dearest difference first."""
        told = [{**one, "difference_nano": one["new_nano"] - one["old_nano"]} for one in self.totals]
        return sorted(told, key=lambda one: (-abs(one["difference_nano"]), one["month"], one["model"]))


class Bill(models.Model):
    """What a provider said of a time: lines as they were imported, per UTC day. Append-only: a later bill of the same
    client, provider, form and account supersedes the days it has."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="bills")
    provider = models.CharField(max_length=120)
    form = models.CharField(max_length=40)
    first_day = models.DateField()
    last_day = models.DateField()
    lines = models.JSONField(default=list)
    digest = models.CharField(max_length=64)  # of the file as it came
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Bill of {self.provider} for {self.client}, {self.first_day} to {self.last_day}"


class LedgerDay(models.Model):
    """What one gateway's ledger holds of a UTC day, a client, a provider and a model, as it told last; `at`: when it
    added it up, milliseconds since 1970 by its own clock. Settled sums are without what expired or is unknown, which
    stand at what was reserved; money is that of attempts whose price was known on both sides (`unpriced`: the others).
    """

    gateway = models.CharField(max_length=100)
    day = models.DateField()
    client = models.CharField(max_length=60)
    provider = models.CharField(max_length=120)
    model = models.CharField(max_length=200)
    attempts = models.BigIntegerField()
    reserved_tokens = models.BigIntegerField()
    reserved_nano = models.BigIntegerField()
    settled_tokens = models.BigIntegerField()
    settled_nano = models.BigIntegerField()
    expired = models.BigIntegerField()
    expired_tokens = models.BigIntegerField()
    expired_nano = models.BigIntegerField()
    unknown = models.BigIntegerField()
    unknown_tokens = models.BigIntegerField()
    unknown_nano = models.BigIntegerField()
    estimated = models.BigIntegerField()
    unpriced = models.BigIntegerField()
    at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client", "day", "provider", "model", "gateway"], name="one_ledger_day_per_gateway"
            )
        ]

    def __str__(self) -> str:
        return f"{self.client} {self.day} {self.provider} {self.model} at {self.gateway}"
