from __future__ import annotations

from django.db import models

from afterlaunch.estate.models import System
from afterlaunch.routes.models import Route

KINDS = [
    (k, k.capitalize())
    for k in (
        *("prompt", "model", "upstream", "configuration", "observed", "rollback"),
        *("deploy", "dependency", "index", "flag", "data"),  # only other tools tell of these
    )
]
STATES = [
    ("proposed", "Proposed"),
    ("approved", "Approved"),
    ("rolling_out", "Rolling out"),
    ("complete", "Complete"),
    ("rolled_back", "Rolled back"),
    ("observed", "Observed"),
]


class Change(models.Model):
    """One alteration of production, whatever its kind. A rollback is a change too: its `parent` is what it undid."""

    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="changes")
    environment = models.CharField(max_length=60)
    route = models.ForeignKey(Route, null=True, blank=True, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=20, choices=KINDS)
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True, default="")
    author = models.CharField(max_length=200)
    author_id_in_kind = models.CharField(max_length=60, blank=True, default="")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    state = models.CharField(max_length=20, choices=STATES)
    share = models.PositiveIntegerField(default=0)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="rollbacks")
    version = models.OneToOneField("estate.Version", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    proposed_at = models.DateTimeField(db_index=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    verification = models.CharField(max_length=300, blank=True, default="")
    epoch = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ("-proposed_at", "-pk")

    def __str__(self) -> str:
        return f"#{self.pk} {self.title}"

    def get_absolute_url(self) -> str:
        return f"/changes/{self.pk}"


class ChangeEvent(models.Model):
    """What happened to a change, in order."""

    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    text = models.TextField()
    actor = models.CharField(max_length=200)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"
