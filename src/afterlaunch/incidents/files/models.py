from __future__ import annotations

from django.db import models

from afterlaunch.engine.compiled import Row
from afterlaunch.incidents.models import Incident


class Attachment(Row):
    """A file of an incident. Its bytes lie in the data folder under their SHA-256; a removed one keeps its row."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    media_type = models.CharField(max_length=60)
    at = models.DateTimeField()
    by = models.CharField(max_length=200)
    removed_at = models.DateTimeField(null=True)
    removed_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name
