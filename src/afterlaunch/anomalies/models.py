from __future__ import annotations

from django.db import models


class Series(models.Model):
    """One figure, hour by hour, and what is known of it. `dimension` "": the whole system. `state`: the detector's,
    JSON, compressed; `seen_until`: the end of the newest hour that it saw. `points`: the last hours as [end of the
    hour in seconds, value, expected, score]. `hours`: how many values it has seen. `open`: the episode that lasts.
    `known_size`, `known_up`: what a person called usual until `known_until`."""

    client = models.CharField(max_length=60)
    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=60)
    dimension = models.CharField(max_length=20, blank=True)
    value = models.CharField(max_length=300, blank=True)
    measure = models.CharField(max_length=20)
    made_at = models.DateTimeField()
    seen_until = models.DateTimeField(null=True, db_index=True)
    followed = models.BooleanField(default=True)
    learning = models.BooleanField(default=True)
    hours = models.PositiveIntegerField(default=0)
    rhythm = models.CharField(max_length=10, blank=True)
    state = models.BinaryField(null=True)
    points = models.JSONField(default=list)
    known_size = models.FloatField(null=True)
    known_up = models.BooleanField(default=True)
    known_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client", "system", "environment", "dimension", "value", "measure")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "system", "environment", "dimension", "value", "measure"], name="one_series"
            )
        ]

    def __str__(self) -> str:
        of = f"{self.dimension} {self.value}" if self.dimension else "the whole system"
        return f"{self.measure} of {of}, {self.system}, {self.environment}"

    def get_absolute_url(self) -> str:
        return f"/anomalies/{self.pk}"


class Told(models.Model):
    """An episode of a series. `figures`: those of `episodes.Episode`; `words`: what stands behind it, as known when it
    began. `until`: when it was back; `ended_by`: who called it usual, "" when it ended by itself."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="episodes")
    since = models.DateTimeField(db_index=True)
    until = models.DateTimeField(null=True)
    figures = models.JSONField()
    why = models.CharField(max_length=40, blank=True)
    words = models.TextField(blank=True)
    ended_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-since", "-pk")
        constraints = [
            models.UniqueConstraint(fields=["series"], condition=models.Q(until=None), name="one_episode_that_lasts")
        ]

    def __str__(self) -> str:
        return f"{self.series} since {self.since}"

    def get_absolute_url(self) -> str:
        return self.series.get_absolute_url()
