from __future__ import annotations

from django.db import models

from afterlaunch.accounts.models import Client, User
from afterlaunch.routes.models import GuardPolicy

STATES = ("waiting", "approved", "denied", "expired")


class Queue(models.Model):
    """Where requests wait for a person. `owner` answers for it and is told when one waits longer than `tell_after`
    seconds; without an owner the administrators of the client are."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="approval_queues")
    name = models.CharField(max_length=80)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="approval_queues")
    tell_after = models.PositiveIntegerField(default=900)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("client__slug", "name")
        constraints = [models.UniqueConstraint(fields=["client", "name"], name="one_approval_queue_per_name")]

    def __str__(self) -> str:
        return self.name


class Hold(models.Model):
    """A request that a policy holds. `digest`: SHA-256 of route, policy, key, tenant, path and body; an approval is for
    exactly that, once. `current` is the digest while a question about it is answered by this row. `content` is what the
    content policy lets be kept; `cut`: only its beginning. `fallback` follows when nobody has decided by `until`; a
    decision stands until `stands_until`."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="holds")
    policy = models.ForeignKey(GuardPolicy, on_delete=models.CASCADE, related_name="holds")
    digest = models.CharField(max_length=64)
    current = models.CharField(max_length=64, null=True, unique=True)
    state = models.CharField(max_length=10, choices=[(one, one) for one in STATES], default="waiting")
    fallback = models.CharField(max_length=10)
    asked_at = models.DateTimeField()
    until = models.DateTimeField()
    stands = models.PositiveIntegerField()  # seconds
    stands_until = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=254, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    taken_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=300)
    call = models.CharField(max_length=64, blank=True, default="")
    path = models.CharField(max_length=300, blank=True, default="")
    tenant = models.CharField(max_length=256, blank=True, default="")
    agent = models.CharField(max_length=256, blank=True, default="")
    user = models.CharField(max_length=256, blank=True, default="")
    key = models.CharField(max_length=20, blank=True, default="")
    size = models.PositiveIntegerField(default=0)
    content = models.TextField(blank=True, default="")
    capture = models.CharField(max_length=10, default="masked")
    cut = models.BooleanField(default=False)
    content_gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("asked_at", "pk")
        indexes = [models.Index(fields=["state", "until"]), models.Index(fields=["queue", "state", "asked_at"])]

    def __str__(self) -> str:
        return f"hold {self.pk}"

    def get_absolute_url(self) -> str:
        return f"/guard/approvals/{self.pk}"


class Count(models.Model):
    """What one gateway counted of a policy in a stretch of five minutes that begins at `slot` (seconds since 1970). The
    fields are those of `gateway.guarding.tally.Row`; `micros`: time spent on checks, in microseconds."""

    policy = models.ForeignKey(GuardPolicy, on_delete=models.CASCADE, related_name="counts")
    gateway = models.CharField(max_length=100)
    slot = models.BigIntegerField()
    evaluated = models.BigIntegerField(default=0)
    matched = models.BigIntegerField(default=0)
    allowed = models.BigIntegerField(default=0)
    denied = models.BigIntegerField(default=0)
    redacted = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    flagged = models.BigIntegerField(default=0)
    observed = models.BigIntegerField(default=0)
    bypassed = models.BigIntegerField(default=0)
    exceptions = models.BigIntegerField(default=0)
    retried = models.BigIntegerField(default=0)
    micros = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["policy", "slot", "gateway"], name="one_guard_count_per_gateway_and_slot")
        ]
        indexes = [models.Index(fields=["slot"])]

    def __str__(self) -> str:
        return f"{self.policy_id} at {self.gateway}"
