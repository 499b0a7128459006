from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client, User
from afterlaunch.engine.compiled import Row
from afterlaunch.estate.models import System

OVERRIDE_KINDS = [
    ("add", "Also on call"),
    ("remove", "Not on call"),
    ("replace", "Stands in for somebody"),
    ("cover", "Stands in for everyone"),
]
SWAP_STATES = [("asked", "Asked"), ("accepted", "Accepted"), ("declined", "Declined"), ("withdrawn", "Withdrawn")]
ACK_MODES = [("one", "One person"), ("all_targets", "Everyone who was paged by the step")]
ESCALATION_STATES = [
    ("live", "Paging"),
    ("acknowledged", "Acknowledged"),
    ("stopped", "Stopped"),
    ("exhausted", "Exhausted"),
]
PERSON = settings.AUTH_USER_MODEL


class Team(Row):
    """People who are paged, or on call, together."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="teams")
    name = models.CharField(max_length=100)
    members = models.ManyToManyField(User, related_name="oncall_teams")

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["client", "name"], name="one_team_per_name")]

    def __str__(self) -> str:
        return self.name


class Schedule(Row):
    """Who is on call, by layers. What was before `recorded_until` is read from the record and never computed again;
    `next_at` is the next instant at which somebody comes or goes. The client's oldest is its first schedule: the one
    that steps mean which name none."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=100)
    zone = models.CharField(max_length=64)
    owner = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    recorded_until = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    gaps_at = models.DateTimeField(null=True)  # when gaps are looked for again
    gaps = models.JSONField(default=list)  # found then: [{"from", "to", "why"}]

    class Meta:
        ordering = ("pk",)
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], condition=Q(removed_at=None), name="one_schedule_per_name"
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], name="schedules_due"),
            models.Index(fields=["gaps_at"], name="schedules_to_look_through"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/oncall/{self.client.slug}/schedules/{self.pk}"


class ScheduleVersion(Row):
    """What a schedule's layers are from `valid_from` on; the form is that of `documents`. An edit makes a new one."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    valid_from = models.DateTimeField()
    layers = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("valid_from", "number")
        constraints = [models.UniqueConstraint(fields=["schedule", "number"], name="one_schedule_version_per_number")]

    def __str__(self) -> str:
        return f"{self.schedule}, version {self.number}"


class TemporarySchedule(Row):
    """For a while these layers stand in the place of all others."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="temporary")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    layers = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"temporary schedule from {self.starts_at:%Y-%m-%d %H:%M}Z"


class Swap(Row):
    """`asker` asks `other` to take their duty over [starts_at, ends_at) for the other's over [return_starts_at,
    return_ends_at). Accepted, it becomes two overrides; both see it before."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="swaps")
    asker = models.ForeignKey(PERSON, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(PERSON, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    return_starts_at = models.DateTimeField(null=True)
    return_ends_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=SWAP_STATES, default="asked")
    created_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.asker} asks {self.other}"


class Override(Row):
    """For a while `person` is on call too ("add"), for `absent` ("replace"), or alone ("cover"), or `absent` is not
    ("remove"). Counts from its making on, never for what was before; a cancelled one until it was cancelled."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="overrides")
    kind = models.CharField(max_length=10, choices=OVERRIDE_KINDS)
    person = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    absent = models.ForeignKey(PERSON, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    swap = models.ForeignKey(Swap, null=True, blank=True, on_delete=models.SET_NULL, related_name="overrides")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        indexes = [models.Index(fields=["schedule", "ends_at"], name="overrides_by_end")]

    def __str__(self) -> str:
        if self.kind == "remove":
            return f"{self.absent} is not on call"
        if self.kind == "add":
            return f"{self.person} is also on call"
        return f"{self.person} for {self.absent if self.kind == 'replace' else 'everyone'}"


class RecordedShift(Row):
    """What happened, written when it did: `person` was on call from `starts_at`, still is while `ends_at` is empty."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="record")
    person = models.ForeignKey(PERSON, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=254)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    layer = models.CharField(max_length=100, blank=True, default="")
    reason = models.CharField(max_length=20)
    stands_in_for = models.JSONField(default=list)
    turn = models.DateTimeField(null=True)

    class Meta:
        ordering = ("starts_at", "pk")
        indexes = [models.Index(fields=["schedule", "ends_at"], name="record_by_end")]

    def __str__(self) -> str:
        return f"{self.name} from {self.starts_at:%Y-%m-%d %H:%M}Z"


class EscalationPolicy(Row):
    """Whom to page, and what then: steps in the form of `policies`. `repeat` more rounds after the first, -1 for ever.
    `again` names the minutes after which an acknowledged page comes again, by severity. The `default` one holds for
    every system of the client that has none of its own."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="escalation_policies")
    name = models.CharField(max_length=100)
    default = models.BooleanField(default=False)
    steps = models.JSONField(default=list)
    repeat = models.SmallIntegerField(default=1)
    ack_mode = models.CharField(max_length=12, choices=ACK_MODES, default="one")
    again = models.JSONField(default=dict)
    catch_all = models.JSONField(default=list)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client", "name")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], condition=Q(removed_at=None), name="one_escalation_policy_per_name"
            ),
            models.UniqueConstraint(
                fields=["client"], condition=Q(removed_at=None, default=True), name="one_default_policy_per_client"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SystemPolicy(Row):
    """The policy that a system was given."""

    system = models.OneToOneField(System, on_delete=models.CASCADE, related_name="oncall")
    policy = models.ForeignKey(EscalationPolicy, on_delete=models.CASCADE, related_name="systems")

    def __str__(self) -> str:
        return f"{self.system}: {self.policy}"


class Escalation(Row):
    """Where the paging about one thing stands. `turn` counts moves and is the fence of every move. `policy` empty: the
    one of the system. `waiting_for` are people of the step who have not acknowledged, where everyone must."""

    topic = models.CharField(max_length=100, unique=True)
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="+")
    policy = models.ForeignKey(EscalationPolicy, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=15, choices=ESCALATION_STATES, default="live")
    reason = models.CharField(max_length=60, blank=True, default="")
    step = models.PositiveSmallIntegerField(default=0)
    loop = models.PositiveIntegerField(default=0)
    turn = models.PositiveIntegerField(default=0)
    paged = models.PositiveIntegerField(default=0)
    paged_people = models.JSONField(default=list)
    acknowledged = models.JSONField(default=list)
    started_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)  # an exhausted one: when it was made an incident about the platform

    class Meta:
        indexes = [
            models.Index(fields=["state", "next_at"], name="escalations_due"),
            models.Index(fields=["told_at"], condition=Q(state="exhausted", told_at=None), name="escalations_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.topic}: {self.state}"


class CalendarIn(Row):
    """A calendar that feeds a layer: fetched from the address in `sealed`, which is a secret, or given once. `text` is
    the last good copy. `reference`: where the address lies, as a document says. `trusted`: whoever named the address
    may name private ones of the allow-list."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="calendars_in")
    name = models.CharField(max_length=100)
    sealed = models.TextField(blank=True, default="")
    reference = models.CharField(max_length=300, blank=True, default="")
    host = models.CharField(max_length=255, blank=True, default="")
    trusted = models.BooleanField(default=False)
    text = models.TextField(blank=True, default="")
    etag = models.CharField(max_length=200, blank=True, default="")
    shifts = models.JSONField(default=list)  # read from the text: [{"from", "to", "people", "priority"}]
    unmatched = models.JSONField(default=list)
    fetched_at = models.DateTimeField(null=True)
    good_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    next_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["schedule", "name"], name="one_calendar_in_per_name")]

    def __str__(self) -> str:
        return self.name


class CalendarOut(Row):
    """A secret, revocable address that serves a schedule's shifts, or a person's in all schedules. Only the digest of
    its secret is kept."""

    digest = models.CharField(max_length=64, unique=True)
    schedule = models.ForeignKey(
        Schedule, null=True, blank=True, on_delete=models.CASCADE, related_name="calendars_out"
    )
    person = models.ForeignKey(PERSON, on_delete=models.CASCADE, related_name="calendars_out")
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"calendar of {self.schedule or self.person}"


class GapTold(Row):
    """A gap that the owners were warned of; they are warned once."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="gaps_told")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    told_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["schedule", "ends_at"], name="gaps_told_by_end")]

    def __str__(self) -> str:
        return f"gap from {self.starts_at:%Y-%m-%d %H:%M}Z"
