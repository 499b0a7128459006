from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.engine.compiled import Row
from afterlaunch.estate.models import System
from afterlaunch.sla.pauses import REASONS
from afterlaunch.sla.targets import TITLES

CLOCKS = [*TITLES.items(), ("review", "Review")]
PARTIES = [("", "The team"), ("internal", "The internal team"), ("tier", "The escalation tier")]
PERSON = settings.AUTH_USER_MODEL


class SlaPolicy(Row):
    """One version of what a client's systems of a tier are promised; the newest counts for clocks that start. The
    document is that of `targets`. Nothing of a version is ever changed."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="sla_policies")
    tier = models.CharField(max_length=20)
    version = models.PositiveIntegerField()
    document = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("client", "tier", "version")
        constraints = [models.UniqueConstraint(fields=["client", "tier", "version"], name="one_sla_policy_per_version")]

    def __str__(self) -> str:
        return f"{self.client}, {self.tier}, version {self.version}"

    @property
    def label(self) -> str:
        return f"{self.tier}-{self.version}"


class Clock(Row):
    """A promise that runs, with the inputs it was computed from, frozen. A change makes a new clock from the same start
    and keeps the old one beside it.

    `deadline` empty: it can't be computed, `reason` says why. `next_at` is the next instant at which something is to
    be done about it, empty when nothing is; `turn` counts what was done and is the fence of every change.
    """

    topic = models.CharField(max_length=100)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    system = models.ForeignKey(System, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=CLOCKS)
    party = models.CharField(max_length=10, choices=PARTIES, blank=True, default="")
    tier = models.CharField(max_length=20)
    severity = models.CharField(max_length=2)
    policy = models.CharField(max_length=60)
    policy_version = models.ForeignKey(SlaPolicy, null=True, on_delete=models.PROTECT, related_name="clocks")
    target = models.JSONField(default=dict)
    calendar = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    promised = models.DateTimeField(null=True)  # before any pause
    deadline = models.DateTimeField(null=True)
    candidates = models.JSONField(default=dict)
    reason = models.CharField(max_length=60)
    steps = models.JSONField(default=list)
    paused_at = models.DateTimeField(null=True)
    met_at = models.DateTimeField(null=True)
    met_by = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    breached_at = models.DateTimeField(null=True)
    noticed_at = models.DateTimeField(null=True)
    cause = models.CharField(max_length=30, blank=True, default="")
    superseded_at = models.DateTimeField(null=True)
    superseded_why = models.CharField(max_length=30, blank=True, default="")
    warned = models.JSONField(default=list)  # percentages of the target that were told
    predicted = models.CharField(max_length=300, blank=True, default="")  # the arithmetic, while a breach is predicted
    next_at = models.DateTimeField(null=True)
    turn = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "kind", "party"], condition=Q(superseded_at=None), name="one_running_clock"
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="clocks_due"),
            models.Index(fields=["client", "deadline"], condition=Q(met_at=None), name="clocks_nearest"),
            models.Index(fields=["met_by", "met_at"], condition=Q(met_by__isnull=False), name="clocks_met"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.topic}"

    def get_absolute_url(self) -> str:
        return f"/sla/clocks/{self.pk}"


class Pause(Row):
    """The clock stood still. It ends when `resume_at` comes, when somebody ends it, or at its cap."""

    clock = models.ForeignKey(Clock, on_delete=models.CASCADE, related_name="pauses")
    reason = models.CharField(max_length=30, choices=list(REASONS.items()))
    note = models.CharField(max_length=500, blank=True, default="")
    started_at = models.DateTimeField()
    resume_at = models.DateTimeField(null=True)  # empty: by hand, when the answer is there
    cap_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)  # that the cap is near
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=20, blank=True, default="")
    by = models.CharField(max_length=200)
    ended_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.get_reason_display()} since {self.started_at:%Y-%m-%d %H:%M}Z"


class Support(Row):
    """Who is in front for a system: the primary team, which owns an incident to its end, or an internal team whose
    unresolved incidents the escalation tier takes over. `after` in seconds, counted as `counting` says, from the
    detection on, unless the phase `unless` was reached. `address` is where anybody may page."""

    system = models.OneToOneField(System, on_delete=models.CASCADE, related_name="support")
    posture = models.CharField(max_length=10, choices=[("primary", "Primary team"), ("escalation", "Escalation tier")])
    after = models.PositiveIntegerField(null=True)
    counting = models.CharField(max_length=10, choices=[("elapsed", "Elapsed"), ("business", "Business")], blank=True)
    calendar = models.CharField(max_length=60, blank=True)
    unless = models.CharField(
        max_length=10, choices=[("resolved", "Resolved"), ("contained", "Contained")], blank=True, default=""
    )
    policy = models.CharField(max_length=100, blank=True, default="")  # of the tier's escalation, by name
    contacts = models.TextField(blank=True, default="")
    address = models.CharField(max_length=300, blank=True, default="")
    security_at_once = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.system}: {self.get_posture_display()}"


HANDOVERS = [("waiting", "Waiting"), ("done", "Handed over"), ("off", "Not needed"), ("back", "Handed back")]


class Handover(Row):
    """The window of the internal team for one thing. `state` moves from waiting once, by conditional update."""

    topic = models.CharField(max_length=100, unique=True)
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="+")
    started_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    rule = models.JSONField(default=dict)
    calendar = models.JSONField(default=dict)
    steps = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=HANDOVERS, default="waiting")
    reason = models.CharField(max_length=200, blank=True, default="")
    done_at = models.DateTimeField(null=True)
    by = models.CharField(max_length=200, blank=True, default="")
    back_asked_at = models.DateTimeField(null=True)
    back_asked_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(state="waiting"), name="handovers_due")]

    def __str__(self) -> str:
        return f"{self.topic}: {self.get_state_display()}"
