from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row
from afterlaunch.estate.models import System
from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict


def by_alertname() -> list[str]:
    return ["alertname"]


class Integration(Row):
    """Where alerts of another tool come in: bound to a client, and to the system and environment that its alerts are
    about unless a label names others. `severities` maps the tool's words to P1, P2, P3 or "" (stored, no incident).
    Waits are in seconds; `expires_after`: a firing alert that is not told again for so long ends, 0 never."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="integrations")
    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=20)
    public_id = models.CharField(max_length=32, unique=True)  # names it in addresses; opens nothing by itself
    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="integrations")
    environment = models.CharField(max_length=60, default="prod")
    system_label = models.CharField(max_length=200, blank=True, default="")
    environment_label = models.CharField(max_length=200, blank=True, default="")
    severity_label = models.CharField(max_length=200, blank=True, default="severity")
    severities = models.JSONField(default=dict, blank=True)
    group_by = models.JSONField(default=by_alertname, blank=True)
    group_wait = models.PositiveIntegerField(default=30)
    group_interval = models.PositiveIntegerField(default=300)
    repeat_interval = models.PositiveIntegerField(default=14_400)
    storm_limit = models.PositiveIntegerField(default=100)  # new groups within a minute
    expires_after = models.PositiveIntegerField(default=0)
    may_silence = models.BooleanField(default=False)  # its key may also read alerts and silence them, as amtool does
    options = models.JSONField(default=dict, blank=True)  # of the kind alone
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client__slug", "name")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], condition=Q(removed_at=None), name="one_integration_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/alerts/integrations/{self.pk}"


class RawEvent(Row):
    """A body as it came, compressed with zlib, and the headers that tell of its sender, secrets cut out.

    `state`: taken, or unparsed: it was authentic and could not be read, wholly or in part; `error` says why."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="events")
    received_at = models.DateTimeField(db_index=True)
    path = models.CharField(max_length=100)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    size = models.PositiveIntegerField()
    state = models.CharField(max_length=10, default="taken")
    error = models.TextField(blank=True, default="")
    alerts = models.PositiveIntegerField(default=0)
    duplicate_key = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("-pk",)
        indexes = [models.Index(fields=["integration", "state", "-received_at"], name="raw_events_of")]

    def __str__(self) -> str:
        return f"{self.integration} at {self.received_at}"


class Group(Row):
    """Alerts that are told together. `created_at`: since when it has something new, after a while of nothing.
    `next_at`: when it is looked at again, null while nothing is due. `sent_firing`
    and `sent_resolved` are the ids of the alerts that the last telling named; `suppressed` counts those that fire and
    page nobody now."""

    integration = models.ForeignKey(Integration, null=True, on_delete=models.CASCADE, related_name="groups")
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="alert_groups")
    environment = models.CharField(max_length=60)
    source = models.CharField(max_length=60)
    key = models.CharField(max_length=64, unique=True)
    labels = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)
    next_at = models.DateTimeField(null=True, db_index=True)
    sent_at = models.DateTimeField(null=True)
    sent_firing = models.JSONField(default=list)
    sent_resolved = models.JSONField(default=list)
    suppressed = models.PositiveIntegerField(default=0, db_index=True)
    storm = models.BooleanField(default=False)
    incident = models.ForeignKey(Incident, null=True, on_delete=models.SET_NULL, related_name="alert_groups")

    def __str__(self) -> str:
        return f"{self.source} {self.labels}"


class Alert(Row):
    """Something fires: a breach that holds, or what another tool told. While it fires no second one has its
    fingerprint; it belongs to one incident at most. `severity` "": it is kept and opens none.

    `started_at`: the teller's time; `fired_at`: ours. `told`: how often it was told. `expires_at`: it ends then unless
    told again. `suppressed_by`: the rule that keeps it from paging, of the kind `suppressed_as`. `flapping_since`: it
    is held open because it came and went too often; `told_resolved_at`: what was told last while it is held.
    `silent_since`: its scope has told nothing since then, and it stays open. `rejoined_at`: it came back to its
    incident without a page; `ended_because`: the name of the reason (`rules.ends`, `intake`), "scope_withdrawn" or
    "by_person".
    """

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="alerts")
    environment = models.CharField(max_length=60)
    verdict = models.ForeignKey(Verdict, null=True, on_delete=models.CASCADE, related_name="alerts")
    integration = models.ForeignKey(Integration, null=True, on_delete=models.SET_NULL, related_name="alerts")
    group = models.ForeignKey(Group, null=True, on_delete=models.SET_NULL, related_name="alerts")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.PROTECT, related_name="alerts")
    source = models.CharField(max_length=60)
    fingerprint = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    explanation = models.TextField()
    severity = models.CharField(max_length=2, blank=True)
    severity_unknown = models.BooleanField(default=False)
    kind = models.CharField(max_length=60, blank=True, default="")
    url = models.CharField(max_length=2000, blank=True, default="")
    started_at = models.DateTimeField()
    fired_at = models.DateTimeField()
    told_at = models.DateTimeField()
    told = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    suppressed_as = models.CharField(max_length=20, blank=True, default="")
    suppressed_by = models.CharField(max_length=200, blank=True, default="")
    loud_at = models.DateTimeField(null=True)  # since when nothing suppresses it any more, had anything done so
    flapping_since = models.DateTimeField(null=True)
    told_resolved_at = models.DateTimeField(null=True)
    silent_since = models.DateTimeField(null=True)
    rejoined_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        ordering = ("-fired_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(resolved_at=None), name="one_firing_alert_per_fingerprint"
            )
        ]
        indexes = [
            models.Index(fields=["fingerprint", "-fired_at"], name="alerts_by_fingerprint"),
            models.Index(fields=["system", "environment"], condition=Q(resolved_at=None), name="alerts_firing"),
            models.Index(
                fields=["expires_at"], condition=Q(resolved_at=None, expires_at__isnull=False), name="alerts_to_expire"
            ),
            models.Index(
                fields=["flapping_since"],
                condition=Q(resolved_at=None, flapping_since__isnull=False),
                name="alerts_to_calm",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} since {self.fired_at}"

    def get_absolute_url(self) -> str:
        return f"/alerts/{self.pk}"


class Occurrence(Row):
    """One thing that happened to an alert, in order; also what changed back before anybody was told."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="occurrences")
    fingerprint = models.CharField(max_length=64)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    text = models.CharField(max_length=500, blank=True, default="")
    event = models.ForeignKey(RawEvent, null=True, on_delete=models.SET_NULL, related_name="occurrences")

    class Meta:
        ordering = ("pk",)
        indexes = [models.Index(fields=["fingerprint", "kind", "at"], name="occurrences_of")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class Silence(Row):
    """What all its matchers match raises no incident while it is in force. It is bound to labels, so it outlives an end
    and a new start of the alert. No end, no silence; `ends_at` moves to now when a person ends it."""

    client = models.CharField(max_length=60)
    matchers = models.JSONField(default=list)  # [{"name", "op", "value"}]
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)
    author = models.CharField(max_length=200)
    comment = models.CharField(max_length=300)
    ended_by = models.CharField(max_length=200, blank=True, default="")
    announced_at = models.DateTimeField(null=True)  # that it ends soon over alerts that fire
    public_id = models.UUIDField(default=uuid.uuid4, unique=True)  # how programs that know an Alertmanager name it

    class Meta:
        ordering = ("-starts_at", "-pk")

    def __str__(self) -> str:
        return f"silence {self.pk} until {self.ends_at}"


class InhibitRule(Row):
    """While an alert that `source` matches fires, those that `target` matches and that have the same values of the
    `equal` labels page nobody."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="inhibit_rules")
    name = models.CharField(max_length=60)
    source = models.JSONField(default=list)
    target = models.JSONField(default=list)
    equal = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("client__slug", "name")
        constraints = [models.UniqueConstraint(fields=["client", "name"], name="one_inhibit_rule_per_name")]

    def __str__(self) -> str:
        return self.name


class MaintenanceWindow(Row):
    """Planned work: while it holds, what its matchers match is recorded and pages nobody. One time, from `starts_at` to
    `ends_at`, or again and again as `recurrence` says (`calendars.recurrence`), within these bounds where they are set.
    `turns_at`: when it next begins or ends. `running_until`: the end of the turn that runs now. `extended_until`: a
    person moved that end."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="maintenance_windows")
    name = models.CharField(max_length=100)
    matchers = models.JSONField(default=list)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    recurrence = models.JSONField(null=True)
    comment = models.CharField(max_length=300, blank=True, default="")
    turns_at = models.DateTimeField(null=True, db_index=True)
    running_since = models.DateTimeField(null=True)
    running_until = models.DateTimeField(null=True)
    extended_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client__slug", "name")
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], condition=Q(removed_at=None), name="one_window_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class Withdrawal(Row):
    """An arm of a route serves nobody since `at`: a verified rollback took its traffic. One that serves again has
    `returned_at`. What judges still find in its last calls raises nothing."""

    client = models.CharField(max_length=60)
    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=60)
    route = models.CharField(max_length=200)
    arm = models.CharField(max_length=20)
    at = models.DateTimeField()
    returned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.arm} of {self.route} since {self.at}"
