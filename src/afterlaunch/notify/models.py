from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

STATES = [
    ("pending", "Waiting"),
    ("leased", "Being sent"),
    ("accepted", "Accepted by the provider"),
    ("failed", "Failed"),
]


class ContactMethod(models.Model):
    """How one person is reached. Smaller positions are tried first; only a verified method is ever paged."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="contact_methods")
    kind = models.CharField(max_length=20)
    address = models.CharField(max_length=500)
    secret = models.CharField(max_length=200, blank=True, default="")
    # Where a configuration file said that the address lies (env:NAME, file:/path); empty: typed in by a person.
    reference = models.CharField(max_length=300, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)
    code = models.CharField(max_length=12, blank=True, default="")
    created_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("position", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "address"], condition=Q(removed_at=None), name="one_contact_per_address"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.shown}"

    @property
    def shown(self) -> str:
        """What others may see of it: the address of a webhook is a secret, only its host is told."""
        return self.address if self.kind == "email" else self.address.split("://", 1)[-1].split("/", 1)[0]


class Page(models.Model):
    """One message to one contact method, decided in a deed's transaction and sent from this row, never from memory.

    `key` is the provider's idempotency key and stays over retries. `fence` counts the leases: every later update
    names the fence that it holds, so a sender that woke late changes nothing.
    """

    key = models.CharField(max_length=120, unique=True)
    purpose = models.CharField(max_length=10, default="page")
    topic = models.CharField(max_length=100, db_index=True)
    client = models.CharField(max_length=60, blank=True, default="")
    occurrence = models.CharField(max_length=60)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="pages")
    contact = models.ForeignKey(ContactMethod, on_delete=models.CASCADE, related_name="pages")
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=STATES, default="pending")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    accepted_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    receipt = models.CharField(max_length=300, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    nonce = models.CharField(max_length=32)
    link_expires_at = models.DateTimeField()
    link_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        indexes = [models.Index(fields=["state", "due_at"], name="pages_due")]

    def __str__(self) -> str:
        return self.key
