from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from afterlaunch.engine.compiled import Row

STATES = [
    ("pending", "Waiting"),
    ("leased", "Being sent"),
    ("accepted", "Accepted by the provider"),
    ("delivered", "Delivered"),
    ("read", "Read"),
    ("failed", "Failed"),
    ("withdrawn", "No longer needed"),
]
PURPOSES = [
    ("page", "Page"),
    ("verify", "Verification"),
    ("test", "Test"),
    ("notice", "Notice"),
    ("status", "Status update"),
    ("edit", "Edit of a message"),
]
LIVE = ("pending", "leased")
GONE_OUT = ("accepted", "delivered", "read")


class ContactMethod(Row):
    """How one person is reached. Smaller positions are tried first; only a verified method is ever paged.
    `proved_at`: when it was last known to work, by a code typed in or a page acted upon."""

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
    proved_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)
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
        return self.address if self.kind == "email" else shown_address(self.address)


class NotificationRules(Row):
    """How one person wants to be paged. `urgent` and `normal` are [contact, delay in seconds] in their order, `quiet`
    weekly windows on the person's wall clock, `collect` seconds."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_rules")
    urgent = models.JSONField(default=list)
    normal = models.JSONField(default=list)
    quiet = models.JSONField(default=list)
    collect = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"rules of {self.user}"


class Channel(Row):
    """Where a client's news goes that is nobody's own: a chat channel, another pager, a program. `config` holds what
    may be shown, `secrets` the rest, sealed. Empty `types`, `severities` and `system` let everything through."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    address = models.CharField(max_length=500, blank=True, default="")
    config = models.JSONField(default=dict)
    secrets = models.TextField(blank=True, default="")
    types = models.JSONField(default=list)
    severities = models.JSONField(default=list)
    system = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    disabled_at = models.DateTimeField(null=True)
    disabled_why = models.CharField(max_length=300, blank=True, default="")
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("client", "name", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], condition=Q(removed_at=None), name="one_channel_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown(self) -> str:
        return shown_address(self.address)


def shown_address(address: str) -> str:
    """The host of an address whose rest is a secret."""
    scheme, _, rest = address.partition("://")
    host = rest.split("/", 1)[0].rpartition("@")[2]
    return host if scheme in ("http", "https") else scheme


class Page(Row):
    """One message to one contact method or channel, decided in a deed's transaction and sent from this row, never from
    memory.

    `key` is the provider's idempotency key and stays over retries. `fence` counts the leases: every later update
    names the fence that it holds, so a sender that woke late changes nothing. `carrier` is the page in whose message
    this one is told; both share their fate. `over`: the paging that it belonged to has ended. `carries` is false on a
    row of which its sender knows that no other is told in its message.
    """

    carries = True

    key = models.CharField(max_length=120, unique=True)
    purpose = models.CharField(max_length=10, choices=PURPOSES, default="page")
    topic = models.CharField(max_length=100, db_index=True)
    client = models.CharField(max_length=60, blank=True, default="")
    occurrence = models.CharField(max_length=60)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="pages")
    contact = models.ForeignKey(ContactMethod, null=True, on_delete=models.CASCADE, related_name="pages")
    channel = models.ForeignKey(Channel, null=True, on_delete=models.CASCADE, related_name="pages")
    kind = models.CharField(max_length=20, default="")
    medium = models.CharField(max_length=10, default="")
    type = models.CharField(max_length=60, default="")
    service = models.CharField(max_length=120, blank=True, default="")
    rank = models.PositiveSmallIntegerField(default=1)
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=STATES, default="pending")
    held = models.CharField(max_length=80, blank=True, default="")
    carrier = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="carried")
    over = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, db_index=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    accepted_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    told_sequence = models.BigIntegerField(default=0)
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

    @property
    def to(self) -> str:
        """Whom it goes to, as others may see it."""
        return str(self.channel) if self.channel else self.contact.shown if self.contact else ""


class Thread(Row):
    """Where a channel's messages about one topic hang together at the provider. `callback` is the opaque word that
    its buttons carry."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="threads")
    topic = models.CharField(max_length=100)
    place = models.JSONField(default=dict)
    callback = models.CharField(max_length=40, unique=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "topic"], name="one_thread_per_topic")]

    def __str__(self) -> str:
        return f"{self.topic} in {self.channel}"


class AuditRun(Row):
    """What the auditor of paging found and mended at one time. `ping`: what the outside watch answered."""

    at = models.DateTimeField(db_index=True)
    well = models.BooleanField()
    looked_at = models.PositiveIntegerField(default=0)
    repairs = models.PositiveIntegerField(default=0)
    findings = models.JSONField(default=list)
    pinged_at = models.DateTimeField(null=True)
    ping = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"audit of {self.at:%Y-%m-%d %H:%M}: {'clean' if self.well else f'{self.repairs} repairs'}"
