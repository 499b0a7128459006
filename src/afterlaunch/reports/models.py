from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client


class Seal(models.Model):
    """A month's token report of a client as it was when it became final. Its digest (SHA-256 of `document`, the JSON
    without links) stands in the evidence log; the row never changes."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="seals")
    kind = models.CharField(max_length=20)  # tokens
    month = models.CharField(max_length=7)
    zone = models.CharField(max_length=64)
    document = models.BinaryField()
    digest = models.CharField(max_length=64)
    entry = models.BigIntegerField()  # index in the evidence log
    sealed_at = models.DateTimeField()
    sealed_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("-month", "-pk")
        constraints = [models.UniqueConstraint(fields=["client", "kind", "month"], name="one_seal_per_month")]

    def __str__(self) -> str:
        return f"Seal of {self.kind} {self.month} of {self.client}"
