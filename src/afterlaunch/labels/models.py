from __future__ import annotations

from django.db import models

from afterlaunch.estate.models import System


class Place(models.Model):
    """A system in an environment, of which predictions are kept or labels came. `kept_seen`, `batches_seen`: up to
    which row of `Kept`, and of `Batch`, everything is joined; `pass_number` grows with every pass that joined. `told`:
    what the page and the API tell, as it was judged last."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="label_places")
    environment = models.CharField(max_length=60)
    kept_seen = models.BigIntegerField(default=0)
    batches_seen = models.BigIntegerField(default=0)
    pass_number = models.PositiveIntegerField(default=0)
    judged_at = models.DateTimeField(null=True)
    told = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["system", "environment"], name="one_place_of_labels")]

    def __str__(self) -> str:
        return f"{self.system}, {self.environment}"


class Batch(models.Model):
    """A body of labels, never altered, and gone after its retention. `columns`: id (64 bits), text of the id, label,
    time, source of every row. `waiting`: how many found no prediction yet; `waiting_rows`: which. `comments`: what is
    kept of texts that came with labels, which cannot be read from it."""

    place = models.ForeignKey(Place, on_delete=models.CASCADE, related_name="batches")
    key = models.CharField(max_length=210)
    digest = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    columns = models.BinaryField()
    received_at = models.DateTimeField()
    received_from = models.CharField(max_length=200)
    joined = models.BooleanField(default=False)
    waiting = models.PositiveIntegerField(default=0)
    waiting_rows = models.BinaryField(default=bytes)
    comments = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["place", "key"], name="one_batch_of_labels_per_key")]

    def __str__(self) -> str:
        return self.key


class Source(models.Model):
    """Who labels. `newest`: the latest time of a label; `complete_until`: until when, by its own word, every prediction
    that it will ever label is labelled; `hours`: labels by the hour in which they came. `stopped_at`: its labels are
    set aside since then: kept, shown, not counted; `resumed_at`: a person had them count again. `givers`: see there."""

    place = models.ForeignKey(Place, on_delete=models.CASCADE, related_name="sources")
    name = models.CharField(max_length=200)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    newest = models.DateTimeField()
    labels = models.PositiveBigIntegerField(default=0)
    hours = models.JSONField(default=dict)
    givers = models.JSONField(default=dict)
    complete_until = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    stopped_by = models.CharField(max_length=200, blank=True, default="")
    stopped_why = models.TextField(blank=True, default="")
    resumed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["place", "name"], name="one_source_per_name")]

    def __str__(self) -> str:
        return self.name


class Hour(models.Model):
    """An hour of event time of one version: predictions, and the labels that found them. `tally` is what they add up
    to; `due_at`: when it is to be added up again; `touched` grows with everything that is told of it. `restated`: what
    was told of it when it was final, before a label changed it."""

    place = models.ForeignKey(Place, on_delete=models.CASCADE, related_name="hours")
    model_version = models.CharField(max_length=200, blank=True, default="")
    start = models.DateTimeField()
    touched = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, db_index=True)
    rows = models.PositiveIntegerField(default=0)
    labelled = models.PositiveIntegerField(default=0)
    tallied_at = models.DateTimeField(null=True)
    tally = models.BinaryField(null=True)
    final_at = models.DateTimeField(null=True)
    restated = models.JSONField(default=list)

    class Meta:
        ordering = ("start",)
        constraints = [models.UniqueConstraint(fields=["place", "model_version", "start"], name="one_hour_of_labels")]

    def __str__(self) -> str:
        return f"{self.start} of {self.place}"


class Match(models.Model):
    """Labels of one pass that found their predictions in an hour; never altered. `columns`: id, label, time, source,
    and the batch and row that they came in."""

    hour = models.ForeignKey(Hour, on_delete=models.CASCADE, related_name="matches")
    pass_number = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    columns = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "pass_number"], name="one_match_per_pass")]

    def __str__(self) -> str:
        return f"{self.rows} labels of {self.hour}"


class Baseline(models.Model):
    """What later hours are compared with, and estimates are calibrated by: mature hours of a period, never altered. The
    one in force is the newest of its place. `expecting`: of quantities the model of their errors, or `why_not`."""

    place = models.ForeignKey(Place, on_delete=models.CASCADE, related_name="baselines")
    version = models.PositiveIntegerField()
    model_version = models.CharField(max_length=200, blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    rows = models.PositiveIntegerField()
    labelled = models.PositiveIntegerField()
    tally = models.BinaryField()
    expecting = models.BinaryField(null=True)
    why_not = models.TextField(blank=True, default="")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("place", "-version")
        constraints = [models.UniqueConstraint(fields=["place", "version"], name="one_baseline_per_version")]

    def __str__(self) -> str:
        return f"baseline {self.version} of {self.place}"


class Estimate(models.Model):
    """What was estimated of a day before its labels came; `value` and its interval are never rewritten, nor is what
    they were when weighted for the day's shares of the segment `weighted_by`. `realised`: what the labels said when the
    day was mature."""

    place = models.ForeignKey(Place, on_delete=models.CASCADE, related_name="estimates")
    baseline = models.ForeignKey(Baseline, on_delete=models.CASCADE, related_name="estimates")
    model_version = models.CharField(max_length=200, blank=True, default="")
    day = models.DateTimeField()
    rows = models.PositiveIntegerField()
    value = models.FloatField()
    low = models.FloatField()
    high = models.FloatField()
    weighted = models.FloatField(null=True)
    weighted_low = models.FloatField(null=True)
    weighted_high = models.FloatField(null=True)
    weighted_by = models.CharField(max_length=200, blank=True, default="")
    made_at = models.DateTimeField()
    realised = models.FloatField(null=True)
    labelled = models.PositiveIntegerField(default=0)
    matured_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("day",)
        constraints = [
            models.UniqueConstraint(fields=["baseline", "model_version", "day"], name="one_estimate_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.day} of {self.place}"
