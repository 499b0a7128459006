from __future__ import annotations

from django.db import models

from afterlaunch.alerts.models import Integration, RawEvent


class Key(models.Model):
    """A secret that opens an integration; several may be valid at once, so that one can be changed without a gap.
    `digest` is the SHA-256 of a random key. `sealed`: of a signing secret, which must be read again."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="keys")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    sealed = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.hint}… of {self.integration}"

    @property
    def signs(self) -> bool:
        return bool(self.sealed)


class Tally(models.Model):
    """What an integration received, and what went wrong with it last. A row of its own: it is written often."""

    integration = models.OneToOneField(Integration, on_delete=models.CASCADE, related_name="tally")
    bodies = models.PositiveBigIntegerField(default=0)
    alerts = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")
    error_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.bodies} bodies of {self.integration}"


class ToldChange(models.Model):
    """A change event as it was told; `changes` makes a change of it, then it is `noted`."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="told_changes")
    event = models.ForeignKey(RawEvent, null=True, on_delete=models.SET_NULL, related_name="+")
    digest = models.CharField(max_length=64)
    summary = models.CharField(max_length=1024)
    source = models.CharField(max_length=300, blank=True, default="")
    at = models.DateTimeField()
    kind = models.CharField(max_length=200, blank=True, default="")
    before = models.CharField(max_length=200, blank=True, default="")
    after = models.CharField(max_length=200, blank=True, default="")
    url = models.CharField(max_length=2000, blank=True, default="")
    details = models.JSONField(default=dict)
    noted_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["integration", "digest"], name="one_told_change")]

    def __str__(self) -> str:
        return self.summary


class SeenMessage(models.Model):
    """A message that its sender names, so that a second delivery changes nothing."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration", "key"], name="one_seen_message")]

    def __str__(self) -> str:
        return self.key
