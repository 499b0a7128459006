from __future__ import annotations

from django.db import models

from afterlaunch.engine.compiled import Row


class DutyState(Row):
    """One row per duty: who runs it now, when it ran, how it ended. `failures` counts since the last success;
    `runs`, `failed_runs` and `seconds` (real ones) are totals."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=100, blank=True, default="")
    held_until = models.DateTimeField(null=True)
    next_due = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    runs = models.PositiveBigIntegerField(default=0)
    failed_runs = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0.0)

    def __str__(self) -> str:
        return self.name


class Cycle(Row):
    """The newest finished cycle of each engine process; `/readyz` asks for it."""

    engine = models.CharField(max_length=100, primary_key=True)
    number = models.PositiveBigIntegerField()
    finished_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.engine} {self.number}"
