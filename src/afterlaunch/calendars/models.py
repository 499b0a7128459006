from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row

DEFAULT_NAME = "business-hours"


class BusinessCalendar(Row):
    """One version of a client's calendar of that name; the newest counts. Nothing of a version is ever changed."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="business_calendars")
    name = models.SlugField(max_length=60, default=DEFAULT_NAME)
    version = models.PositiveIntegerField()
    zone = models.CharField(max_length=64)
    windows = models.JSONField(default=list)
    country = models.CharField(max_length=10, blank=True, default="")
    subdivision = models.CharField(max_length=60, blank=True, default="")
    closures = models.JSONField(default=list)
    half_days = models.JSONField(default=list)
    extra_days = models.JSONField(default=list)
    holidays_package = models.CharField(max_length=40, blank=True, default="")
    zone_data = models.CharField(max_length=60, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("client", "name", "version")
        constraints = [
            models.UniqueConstraint(fields=["client", "name", "version"], name="one_business_calendar_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.client}, version {self.version}"
