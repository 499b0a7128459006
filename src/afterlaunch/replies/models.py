from __future__ import annotations

from django.conf import settings
from django.db import models

from afterlaunch.engine.compiled import Row

STATES = [
    ("waiting", "Waiting"),
    ("done", "Done"),
    ("refused", "Refused"),
    ("ignored", "Nothing to do"),
    ("failed", "Failed"),
]


class LinkedAccount(Row):
    """Somebody elsewhere is one of our people. It holds for one client's channels only: whoever runs these could
    claim any name in them."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)
    team = models.CharField(max_length=60)
    external = models.CharField(max_length=60)
    shown = models.CharField(max_length=200, blank=True, default="")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="linked_accounts")
    linked_at = models.DateTimeField()

    class Meta:
        ordering = ("kind", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "kind", "team", "external"], name="one_person_per_external_account"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.shown or self.external}"


class Reply(Row):
    """A request from outside as it came, kept before it was answered, and what was done about it. `key` and
    `delivery` tell repeats; `channels` are those whose secret signed it."""

    source = models.CharField(max_length=20)
    key = models.CharField(max_length=120, unique=True)
    delivery = models.CharField(max_length=120, blank=True, default="", db_index=True)
    channels = models.JSONField(default=list)
    body = models.TextField()
    received_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=STATES, default="waiting")
    said = models.CharField(max_length=500, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    topic = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        ordering = ("pk",)
        indexes = [models.Index(fields=["state", "due_at"], name="replies_due")]

    def __str__(self) -> str:
        return f"{self.source} {self.pk}: {self.state}"
