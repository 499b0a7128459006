from __future__ import annotations

from functools import cached_property

from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.slo.definition import Definition, from_document

STATES = [
    (one, one.replace("_", " "))
    for one in ("ok", "burning", "exhausted", "no_data", "no_telemetry", "unknown", "paused", "draft")
]
BURNS = [("page", "page"), ("ticket", "ticket"), ("no_telemetry", "no telemetry"), ("no_traffic", "no traffic")]


class Slo(models.Model):
    """A promise. What it says stands in its versions; the newest is in force. `of`: the name of the OpenSLO document
    that it came from. `critical`: users depend on it, so a fast page is P1. `busy`: it always has traffic. `draft`: its
    events come from a source that is not read here."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="slos")
    name = models.CharField(max_length=255)
    of = models.CharField(max_length=255, blank=True, default="")
    title = models.CharField(max_length=200, blank=True, default="")
    description = models.TextField(blank=True, default="")
    service = models.CharField(max_length=255, blank=True, default="")
    critical = models.BooleanField(default=False)
    busy = models.BooleanField(default=False)
    paused = models.BooleanField(default=False)
    draft = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client__slug", "name")
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], condition=Q(removed_at=None), name="one_slo_per_name")
        ]

    def __str__(self) -> str:
        return self.title or self.name

    def get_absolute_url(self) -> str:
        return f"/slos/{self.pk}"


class SloVersion(models.Model):
    """What an SLO said from `since` until the next version. `document`: see `definition`."""

    slo = models.ForeignKey(Slo, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    author = models.CharField(max_length=200)
    document = models.JSONField()

    class Meta:
        ordering = ("slo", "-number")
        constraints = [
            models.UniqueConstraint(fields=["slo", "number"], name="one_slo_version_per_number"),
            models.UniqueConstraint(fields=["slo"], condition=Q(until=None), name="one_slo_version_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.slo}, version {self.number}"

    @cached_property
    def definition(self) -> Definition:
        return from_document(self.document)


class Standing(models.Model):
    """How an SLO stands: written by the duty that judges, read by pages. `left`: of the budget, 1 untouched, below 0
    overspent; None: not known. `facts`: windows with their counts and burn rates, labels, what to expect."""

    slo = models.OneToOneField(Slo, on_delete=models.CASCADE, related_name="standing")
    version = models.ForeignKey(SloVersion, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=20, choices=STATES)
    assessed_at = models.DateTimeField()
    left = models.FloatField(null=True)
    burn = models.FloatField(null=True)
    exhausted_in = models.FloatField(null=True)
    total = models.FloatField(default=0)
    bad = models.FloatField(default=0)
    partial = models.BooleanField(default=False)
    provisional = models.BooleanField(default=False)
    coverage = models.FloatField(null=True)
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ("slo",)

    def __str__(self) -> str:
        return f"{self.slo}: {self.state}"


class Burn(models.Model):
    """That a budget burned, or that nothing was told of it: from when until when. While it is open no second one of
    its kind exists. `facts` hold what is needed to compute the decision again, as it was when it began."""

    slo = models.ForeignKey(Slo, on_delete=models.CASCADE, related_name="burns")
    version = models.ForeignKey(SloVersion, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=BURNS)
    severity = models.CharField(max_length=2)
    started_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)
    silent_since = models.DateTimeField(null=True)
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ("-started_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["slo", "kind"], condition=Q(ended_at=None), name="one_open_burn_per_slo_and_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.slo} {self.kind} since {self.started_at}"


class Tally(models.Model):
    """Events of ten minutes that no rollup counts: labelled answers, look-ups that tell their index's age."""

    version = models.ForeignKey(SloVersion, on_delete=models.CASCADE, related_name="tallies")
    minute = models.PositiveIntegerField()  # since 1970, a multiple of ten
    total = models.PositiveIntegerField()
    bad = models.PositiveIntegerField()
    final = models.PositiveIntegerField(default=0)
    final_bad = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("version", "minute")
        constraints = [models.UniqueConstraint(fields=["version", "minute"], name="one_tally_per_ten_minutes")]

    def __str__(self) -> str:
        return f"{self.version} {self.minute}"


class Tallied(models.Model):
    """Up to where the tallies of a version are made: [first, last) in minutes since 1970."""

    version = models.OneToOneField(SloVersion, on_delete=models.CASCADE, related_name="tallied")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    looked_back_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.version} [{self.first}, {self.last})"


class Declared(models.Model):
    """A document of OpenSLO as it was imported, unknown fields included: what an export gives back."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=30)
    name = models.CharField(max_length=255)
    raw = models.JSONField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("client__slug", "kind", "name")
        constraints = [models.UniqueConstraint(fields=["client", "kind", "name"], name="one_openslo_document_per_name")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
