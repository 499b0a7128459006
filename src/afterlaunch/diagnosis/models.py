from __future__ import annotations

from django.db import models

from afterlaunch.incidents.models import Incident

TRIGGERS = [("opened", "When it opened"), ("asked", "When somebody asked")]


class Diagnosis(models.Model):
    """What was known about the causes of an incident at one moment, frozen: `body` is the canonical JSON whose SHA-256
    stands beside it, in the timeline and in the evidence log."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="diagnoses")
    number = models.PositiveIntegerField()
    trigger = models.CharField(max_length=10, choices=TRIGGERS)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)
    reason = models.CharField(max_length=40)
    body = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ("incident", "number")
        constraints = [models.UniqueConstraint(fields=["incident", "number"], name="one_diagnosis_per_number")]

    def __str__(self) -> str:
        return f"diagnosis {self.number} of incident {self.incident_id}"
