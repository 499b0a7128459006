from __future__ import annotations

from django.conf import settings
from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row

TIERS = [("standard", "Standard"), ("enterprise", "Enterprise")]
POSTURES = [("pilot", "Pilot"), ("governed", "Governed production")]
KINDS = [
    (kind, kind.capitalize())
    for kind in (
        "agent",
        "model",
        "prompt",
        "retrieval index",
        "tool",
        "dataset",
        "gateway",
        "host",
        "package",
        "service",
    )
]


class System(Row):
    """What was launched and is looked after. `key` is its name in telemetry; it exists from the first span on."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="systems")
    key = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    adopted_at = models.DateTimeField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="owned_systems"
    )
    tier = models.CharField(max_length=20, choices=TIERS, default="standard")
    posture = models.CharField(max_length=20, choices=POSTURES, default="pilot")
    time_zone = models.CharField(max_length=64, default="UTC")
    latency_p95_ms = models.PositiveIntegerField(null=True, blank=True)
    latency_p99_ms = models.PositiveIntegerField(null=True, blank=True)
    automatic_rollback = models.BooleanField(default=False)
    infrastructure = models.JSONField(default=dict, blank=True)  # declared limits by name, see `limits`
    first_seen_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client__name", "name")
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="one_system_per_key")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/systems/{self.pk}"


class Dependency(Row):
    """One system needs another. `inhibits`: while the other fires, alerts of this one that are no graver are quiet."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="dependencies")
    needs = models.ForeignKey(System, on_delete=models.CASCADE, related_name="dependents")
    inhibits = models.BooleanField(default=True)

    class Meta:
        ordering = ("system__name", "needs__name")
        constraints = [models.UniqueConstraint(fields=["system", "needs"], name="one_dependency_per_pair")]

    def __str__(self) -> str:
        return f"{self.system} needs {self.needs}"


class Environment(Row):
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="environments")
    name = models.CharField(max_length=60)
    first_seen_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["system", "name"], name="one_environment_per_name")]

    def __str__(self) -> str:
        return f"{self.system} / {self.name}"


class Component(Row):
    """A part of a system that has versions of its own."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="components")
    kind = models.CharField(max_length=20, choices=KINDS)
    name = models.CharField(max_length=200)

    class Meta:
        ordering = ("kind", "name")
        constraints = [models.UniqueConstraint(fields=["system", "kind", "name"], name="one_component_per_name")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Version(Row):
    """A version of a component as it was seen in one environment."""

    component = models.ForeignKey(Component, on_delete=models.CASCADE, related_name="versions")
    environment = models.CharField(max_length=60, default="unknown")
    label = models.CharField(max_length=200)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        ordering = ("-first_seen_at",)
        constraints = [
            models.UniqueConstraint(fields=["component", "environment", "label"], name="one_version_per_label")
        ]

    def __str__(self) -> str:
        return f"{self.component} {self.label}"


class Registration(models.Model):
    """A version that was made and may go live; whether it did is told by the versions that were seen. `lineage`: what
    it was made of and by: data, code, parameters, evaluation, each with what tells it apart; `digest`: of it all."""

    component = models.ForeignKey(Component, on_delete=models.CASCADE, related_name="registrations")
    label = models.CharField(max_length=200)
    source = models.CharField(max_length=200)
    address = models.CharField(max_length=1000, blank=True, default="")
    lineage = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    registered_at = models.DateTimeField()
    registered_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("-registered_at", "-pk")
        constraints = [models.UniqueConstraint(fields=["component", "label"], name="one_registration_per_label")]

    def __str__(self) -> str:
        return f"{self.component} {self.label}"
