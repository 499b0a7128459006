from __future__ import annotations

from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row
from afterlaunch.incidents.models import Incident


class RunbookVersion(Row):
    """A text for a kind of incident. Without a client it is one that the product came with. Never altered: an edit is a
    new version, and incidents keep the one they began with."""

    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="runbooks")
    kind = models.CharField(max_length=30)
    version = models.PositiveIntegerField()
    text = models.TextField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    note = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("-version",)
        constraints = [
            models.UniqueConstraint(fields=["client", "kind", "version"], name="one_runbook_per_version"),
            models.UniqueConstraint(
                fields=["kind", "version"], condition=Q(client=None), name="one_shipped_runbook_per_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}, {'shipped' if self.client_id is None else 'version'} {self.version}"


class IncidentRunbook(Row):
    """The version that an incident follows, since it began or became of this kind."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="runbooks")
    runbook = models.ForeignKey(RunbookVersion, on_delete=models.PROTECT, related_name="+")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(
                fields=["incident"], condition=Q(ended_at=None), name="one_running_runbook_per_incident"
            )
        ]

    def __str__(self) -> str:
        return f"{self.runbook} for #{self.incident_id}"
