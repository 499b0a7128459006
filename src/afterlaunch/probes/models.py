from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from afterlaunch.estate.models import System
from afterlaunch.probes import rules
from afterlaunch.probes.beats import Beat, Plan, State
from afterlaunch.probes.schedules import Schedule

SEVERITIES = [("P1", "P1"), ("P2", "P2"), ("P3", "P3")]
BEAT_STATES = [(state.value, state.value.capitalize()) for state in State]
PINGS = [(kind, kind.capitalize()) for kind in ("start", "success", "fail", "log")]


class Heartbeat(models.Model):
    """A job that must tell of itself. `secret` is its ping address: whoever knows it can ping, and do nothing else.
    Either `period` (seconds) or `cron` in `zone`; `longest`: seconds that a run may take, 0: nobody said. `look_at`:
    when time alone may change its state; `reason`: the named reason of the state (`beats.judge`)."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="heartbeats")
    environment = models.CharField(max_length=60, default="prod")
    name = models.SlugField(max_length=60)
    purpose = models.CharField(max_length=20, blank=True, default="")
    secret = models.CharField(max_length=40, unique=True)
    period = models.PositiveIntegerField(default=0)
    cron = models.CharField(max_length=200, blank=True, default="")
    zone = models.CharField(max_length=64, default="UTC")
    grace = models.PositiveIntegerField(default=300)
    longest = models.PositiveIntegerField(default=0)
    severity = models.CharField(max_length=2, choices=SEVERITIES, default="P2")
    again_minutes = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    # What its pings and time made of it.
    state = models.CharField(max_length=10, choices=BEAT_STATES, default=State.NEW.value)
    reason = models.CharField(max_length=40, blank=True, default="")
    since = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    look_at = models.DateTimeField(null=True, db_index=True)
    runs = models.JSONField(default=dict)
    failed = models.CharField(max_length=40, blank=True, default="")
    told_at = models.DateTimeField(null=True)  # when somebody was last told that it is down
    last_ping_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_seconds = models.FloatField(null=True)

    class Meta:
        ordering = ("system__client__slug", "name")
        constraints = [models.UniqueConstraint(fields=["system", "name"], name="one_heartbeat_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.period, self.cron, self.zone)

    @property
    def plan(self) -> Plan:
        longest = timedelta(seconds=self.longest) if self.longest else None
        return Plan(self.schedule, timedelta(seconds=self.grace), longest)

    @property
    def beat(self) -> Beat:
        runs = {name: _instant(at) for name, at in self.runs.items()}
        return Beat(State(self.state), self.due_at, runs, self.failed)

    @property
    def topic(self) -> str:
        """How its alert and the evidence name it."""
        return f"heartbeat/{self.pk}"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Ping(models.Model):
    """What a job told. `body` holds its first 10 kB, `size` how long it was."""

    heartbeat = models.ForeignKey(Heartbeat, on_delete=models.CASCADE, related_name="pings")
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=PINGS)
    run = models.CharField(max_length=64, blank=True, default="")
    exit_code = models.PositiveSmallIntegerField(null=True)
    seconds = models.FloatField(null=True)
    body = models.TextField(blank=True, default="")
    size = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["heartbeat", "-id"], name="pings_newest")]

    def __str__(self) -> str:
        return f"{self.heartbeat} {self.kind} {self.at}"


KINDS = [("http", "HTTP"), ("tcp", "TCP"), ("tls", "TLS certificate"), ("dns", "DNS"), ("golden", "Golden prompt")]
PROBE_STATES = [
    ("new", "New"), ("up", "Up"), ("failing", "Failing"), ("down", "Down"), ("no_data", "No data"),
    ("paused", "Paused"),
]  # fmt: skip
RESULTS = [("ok", "OK"), ("fail", "Failed"), ("not_run", "Not run")]


class Probe(models.Model):
    """What is tried from here. `config` is of its kind (`kinds`), credentials in it are references. `trusted`: an
    administrator of the house vouched for where it goes. `cap_nano`: what it may spend a UTC day, in nano-USD; null:
    nothing is bought. `look_at`: when time alone may change its state; `told_at`: when somebody was last told that it
    is down; `held_by`: why nobody is."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="probes")
    environment = models.CharField(max_length=60, default="prod")
    name = models.SlugField(max_length=60)
    kind = models.CharField(max_length=10, choices=KINDS)
    config = models.JSONField(default=dict)
    interval = models.PositiveIntegerField(default=rules.INTERVAL)
    timeout = models.PositiveIntegerField(default=10)
    retries = models.PositiveSmallIntegerField(default=1)
    retry_seconds = models.PositiveIntegerField(default=15)
    locations = models.JSONField(default=list)
    quorum = models.PositiveSmallIntegerField(default=1)
    severity = models.CharField(max_length=2, choices=SEVERITIES, default="P2")
    notify_after = models.PositiveSmallIntegerField(default=1)
    again_minutes = models.PositiveIntegerField(default=0)
    counts = models.BooleanField(default=True)
    cap_nano = models.BigIntegerField(null=True)
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children")
    trusted = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    watched_since = models.DateTimeField()
    # What came of it.
    state = models.CharField(max_length=10, choices=PROBE_STATES, default="new")
    reason = models.CharField(max_length=40, blank=True, default="")
    since = models.DateTimeField()
    said = models.CharField(max_length=500, blank=True, default="")
    look_at = models.DateTimeField(null=True, db_index=True)
    told_at = models.DateTimeField(null=True)
    held_by = models.CharField(max_length=40, blank=True, default="")
    silent = models.BooleanField(default=False)  # it was told that there is no data
    spent_on = models.DateField(null=True)
    spent_nano = models.BigIntegerField(default=0)
    spent_runs = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("system__client__slug", "name")
        constraints = [models.UniqueConstraint(fields=["system", "name"], name="one_probe_per_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/probes/{self.pk}"

    @property
    def paused(self) -> bool:
        return self.state == "paused"

    @property
    def plan(self) -> rules.Plan:
        return rules.Plan(
            timedelta(seconds=self.interval),
            self.retries,
            timedelta(seconds=self.retry_seconds),
            self.quorum,
            self.notify_after,
            timedelta(minutes=self.again_minutes),
        )

    @property
    def topic(self) -> str:
        """How its alert and the evidence name it."""
        return f"probe/{self.pk}"


class ProbeLocation(models.Model):
    """A probe at one location: when it is tried next, under whose lease, and what is known there. `fence` counts the
    leases: a try that comes back late changes nothing. `recent`: its last rounds, a letter each (`rules.marked`)."""

    probe = models.ForeignKey(Probe, on_delete=models.CASCADE, related_name="places")
    location = models.CharField(max_length=40)
    next_due = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=PROBE_STATES, default="new")
    tries = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    heard_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True)
    milliseconds = models.FloatField(null=True)
    reason = models.CharField(max_length=40, blank=True, default="")
    said = models.CharField(max_length=500, blank=True, default="")
    recent = models.CharField(max_length=rules.SHOWN, blank=True, default="")

    class Meta:
        ordering = ("location",)
        constraints = [models.UniqueConstraint(fields=["probe", "location"], name="one_place_per_location")]
        indexes = [models.Index(fields=["location", "next_due"], name="probes_due")]

    def __str__(self) -> str:
        return f"{self.probe} at {self.location}"

    @property
    def seen(self) -> rules.Seen:
        return rules.Seen(rules.State(self.state), self.heard_at, self.tries, self.failures, self.reason)


class ProbeResult(models.Model):
    """One try, as it came out. The newest of each location are kept; older ones stay as counts (`ProbeHour`)."""

    probe = models.ForeignKey(Probe, on_delete=models.CASCADE, related_name="results")
    location = models.CharField(max_length=40)
    at = models.DateTimeField()
    result = models.CharField(max_length=10, choices=RESULTS)
    counted = models.CharField(max_length=10)
    reason = models.CharField(max_length=40)
    said = models.CharField(max_length=500, blank=True, default="")
    milliseconds = models.FloatField(null=True)
    checks = models.JSONField(default=list)
    facts = models.JSONField(default=dict)
    answer = models.TextField(blank=True, default="")
    cost_nano = models.BigIntegerField(null=True)

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["probe", "-id"], name="probe_results_newest")]

    def __str__(self) -> str:
        return f"{self.probe} {self.result} {self.at}"


class Counted(models.Model):
    """Rounds of one probe at one location in a stretch of time. Latency is of the tries that answered."""

    location = models.CharField(max_length=40)
    ok = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    not_run = models.PositiveIntegerField(default=0)
    retried = models.PositiveIntegerField(default=0)
    timed = models.PositiveIntegerField(default=0)
    milliseconds = models.FloatField(default=0)
    slowest = models.FloatField(default=0)
    cost_nano = models.BigIntegerField(default=0)
    unpriced = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class ProbeHour(Counted):
    probe = models.ForeignKey(Probe, on_delete=models.CASCADE, related_name="hours")
    begins = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["probe", "location", "begins"], name="one_hour_of_a_probe")]
        indexes = [models.Index(fields=["begins"], name="probe_hours_old")]

    def __str__(self) -> str:
        return f"{self.probe} {self.begins}"


class ProbeDay(Counted):
    """Of a UTC day."""

    probe = models.ForeignKey(Probe, on_delete=models.CASCADE, related_name="days")
    begins = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["probe", "location", "begins"], name="one_day_of_a_probe")]
        indexes = [models.Index(fields=["begins"], name="probe_days_old")]

    def __str__(self) -> str:
        return f"{self.probe} {self.begins}"


class Watched(models.Model):
    """When the engine last looked: one row. What lies between two looks far apart is an absence of the platform."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class PlatformAbsence(models.Model):
    """From `start` to `end` nobody looked: the platform itself was away."""

    start = models.DateTimeField()
    end = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-end",)

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"
