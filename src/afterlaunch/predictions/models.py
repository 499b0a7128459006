from __future__ import annotations

from django.db import models

from afterlaunch.estate.models import System


class Reference(models.Model):
    """What later windows are compared with; never altered. The one in force is the newest of its system and
    environment. `digest`: of what it was made from; `kept` has the layouts, `projections` what makes
    numbers of its columns of vectors, `profile` the profiles of its columns, `slices` the counts of its slices by
    `slice_columns`, `left_out` why other columns have none."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="references")
    environment = models.CharField(max_length=60)
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    source = models.CharField(max_length=10, choices=[("body", "a table"), ("period", "a period")])
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    rows = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    kept = models.BinaryField()
    projections = models.BinaryField(null=True)
    profile = models.BinaryField()
    slice_columns = models.JSONField(default=list)
    slices = models.BinaryField(null=True)
    left_out = models.JSONField(default=dict)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("system", "environment", "-version")
        constraints = [
            models.UniqueConstraint(fields=["system", "environment", "version"], name="one_reference_per_version")
        ]

    def __str__(self) -> str:
        return f"reference {self.version} of {self.system}, {self.environment}"


class Rhythm(models.Model):
    """What is known of a reference's rhythm of the week, never altered. `shares`: of each feature how much of what
    differs between hours the hours of the week explain; `features`: those compared by them, from `since` on (null: in
    all hours); `left_out`: why others with a rhythm are not."""

    reference = models.OneToOneField(Reference, on_delete=models.CASCADE, related_name="rhythm")
    zone = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    weeks = models.PositiveSmallIntegerField()
    since = models.DateTimeField(null=True)
    shares = models.JSONField(default=dict)
    features = models.JSONField(default=list)
    left_out = models.JSONField(default=dict)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"rhythm of {self.reference}"


class Bucket(models.Model):
    """The profiles of one hour of the week, 0 from Monday's midnight on, of the features with a rhythm."""

    rhythm = models.ForeignKey(Rhythm, on_delete=models.CASCADE, related_name="buckets")
    hour = models.PositiveSmallIntegerField()
    rows = models.PositiveIntegerField()
    profile = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rhythm", "hour"], name="one_bucket_per_hour_of_week")]

    def __str__(self) -> str:
        return f"hour {self.hour} of {self.rhythm}"


class Batch(models.Model):
    """A body that was taken. `key`: its digest, or what the sender called it; the same one changes nothing again."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="prediction_batches")
    environment = models.CharField(max_length=60)
    key = models.CharField(max_length=210)
    digest = models.CharField(max_length=64)
    reference = models.ForeignKey(Reference, on_delete=models.CASCADE, related_name="batches")
    rows = models.PositiveIntegerField()
    windows = models.PositiveIntegerField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["system", "environment", "key"], name="one_batch_per_key")]

    def __str__(self) -> str:
        return self.key


class Part(models.Model):
    """What one body told of one window of five minutes; never altered."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="parts")
    reference = models.ForeignKey(Reference, on_delete=models.CASCADE, related_name="parts")
    model_version = models.CharField(max_length=200, blank=True, default="")
    window = models.DateTimeField()
    rows = models.PositiveIntegerField()
    profile = models.BinaryField()
    slices = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "model_version", "window"], name="one_part_per_window")]
        indexes = [models.Index(fields=["reference", "model_version", "window"])]

    def __str__(self) -> str:
        return f"{self.window} of batch {self.batch_id}"


class Hour(models.Model):
    """An hour of event time of one version of the model. `touched` grows with every body that tells of it; `due`: it is
    to be judged, or judged again. `profile`, `state`, `status` and `features` are of the last time it was judged.
    `base`, `base_slices` stand for parts that are kept no longer."""

    reference = models.ForeignKey(Reference, on_delete=models.CASCADE, related_name="hours")
    model_version = models.CharField(max_length=200, blank=True, default="")
    start = models.DateTimeField()
    touched = models.PositiveIntegerField(default=0)
    due = models.BooleanField(default=True, db_index=True)
    rows = models.PositiveIntegerField(default=0)
    judged_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=20, blank=True, default="")
    why = models.TextField(blank=True, default="")
    features = models.JSONField(default=list)
    profile = models.BinaryField(null=True)
    state = models.BinaryField(null=True)
    slices = models.BinaryField(null=True)
    base = models.BinaryField(null=True)
    base_slices = models.BinaryField(null=True)
    base_rows = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("start",)
        constraints = [
            models.UniqueConstraint(fields=["reference", "model_version", "start"], name="one_hour_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.start} of {self.reference}"


class Task(models.Model):
    """What a system's predictions are, so that labels can be joined to them. Told by the first body that has an output
    (`decided_by` is empty then), or declared. `positive`: the class that probabilities speak of; `segments`: columns
    whose values are judged apart; `features`: numeric columns that errors of quantities are expected from; `query`: of
    a ranking the column whose items belong together, `cutoff`: the rank down to which it is judged; `floor`: of the
    confidence; `delay_hours`: after which labels are there; `latency_ms`: within which 99 of 100 are to be made."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="prediction_tasks")
    environment = models.CharField(max_length=60)
    kind = models.CharField(max_length=20, choices=[(one, one) for one in ("classification", "regression", "ranking")])
    output = models.CharField(max_length=200, default="output")
    probability = models.CharField(max_length=200, default="probability")
    confidence = models.CharField(max_length=200, default="confidence")
    positive = models.CharField(max_length=200, blank=True, default="")
    segments = models.JSONField(default=list)
    features = models.JSONField(default=list)
    query = models.CharField(max_length=200, default="query_id")
    cutoff = models.PositiveSmallIntegerField(default=10)
    floor = models.FloatField(null=True)
    delay_hours = models.FloatField(null=True)
    tolerance = models.FloatField(default=0.02)
    latency_ms = models.FloatField(null=True)
    noted_at = models.DateTimeField()
    decided_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["system", "environment"], name="one_task_per_environment")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.system}, {self.environment}"


class Kept(models.Model):
    """What is kept of the predictions of one body, version and hour; never altered, and gone after its retention.
    `ids`: 64 bits each, ascending; `columns` in the same order."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="kept")
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="+")
    environment = models.CharField(max_length=60)
    model_version = models.CharField(max_length=200, blank=True, default="")
    hour = models.DateTimeField()
    rows = models.PositiveIntegerField()
    weight = models.PositiveIntegerField()
    ids = models.BinaryField()
    columns = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "model_version", "hour"], name="kept_once")]
        indexes = [models.Index(fields=["system", "environment", "hour"])]

    def __str__(self) -> str:
        return f"{self.rows} predictions of {self.hour}"
