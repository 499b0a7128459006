from __future__ import annotations

from django.db import models

from afterlaunch.estate.models import System


class Reference(models.Model):
    """The period whose answers later ones are compared with; never altered. The one in force is the newest of its
    system and environment. `cells`: of which version of the layouts."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="answer_references")
    environment = models.CharField(max_length=60, blank=True, default="")
    version = models.PositiveIntegerField()
    cells = models.PositiveSmallIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    answers = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("system", "environment", "-version")
        constraints = [
            models.UniqueConstraint(fields=["system", "environment", "version"], name="one_answer_reference_a_version")
        ]

    def __str__(self) -> str:
        return f"answers of {self.system}, {self.environment}, reference {self.version}"


class ReferencePart(models.Model):
    """The answers of one slice in a reference's period; `slice` is empty for the whole."""

    reference = models.ForeignKey(Reference, on_delete=models.CASCADE, related_name="parts")
    slice = models.CharField(max_length=250, blank=True, default="")
    answers = models.PositiveIntegerField()
    profile = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reference", "slice"], name="one_part_a_slice")]

    def __str__(self) -> str:
        return f"{self.slice or 'all'} of {self.reference}"


class Hour(models.Model):
    """The answers of an hour, of the whole or of a slice. `calls`: as many there were when it was described; `answers`:
    described of them; `with_content`: whose text was kept. `due`: to be judged, or judged again; what was judged last
    stands in `status`, `why`, `features` and `state`."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="answer_hours")
    environment = models.CharField(max_length=60, blank=True, default="")
    slice = models.CharField(max_length=250, blank=True, default="")
    start = models.DateTimeField()
    cells = models.PositiveSmallIntegerField()
    calls = models.PositiveIntegerField()
    answers = models.PositiveIntegerField()
    with_content = models.PositiveIntegerField()
    profile = models.BinaryField()
    described_at = models.DateTimeField()
    due = models.BooleanField(default=True)
    reference = models.ForeignKey(Reference, null=True, on_delete=models.SET_NULL, related_name="hours")
    judged_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=20, blank=True, default="")
    why = models.TextField(blank=True, default="")
    compared = models.PositiveIntegerField(default=0)
    features = models.JSONField(default=list)
    state = models.BinaryField(null=True)

    class Meta:
        ordering = ("start",)
        constraints = [
            models.UniqueConstraint(fields=["system", "environment", "slice", "start"], name="one_answer_hour_a_slice")
        ]
        indexes = [models.Index(fields=["start"], name="answer_hours_by_start")]

    def __str__(self) -> str:
        return f"{self.start} of {self.system}, {self.slice or 'all'}"
