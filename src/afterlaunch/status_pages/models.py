from __future__ import annotations

from django.db import models
from django.db.models import Q

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.incidents.models import Incident
from afterlaunch.status_pages.rules import PHASES, TITLES, State

POLICIES = [("draft", "Make a draft"), ("publish", "Publish"), ("nothing", "Do nothing")]
STATES = [(state.value, TITLES[state]) for state in State]
PUBLISHED = [("draft", "Draft"), ("published", "Published"), ("withheld", "Withheld")]


class StatusPage(models.Model):
    """What outsiders see of a client's systems. One that is not public has `secret` in its address. `policy`: what
    happens by itself when an incident opens (never of security)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="status_pages")
    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=200)
    about = models.TextField(blank=True, default="")
    public = models.BooleanField(default=False)
    secret = models.CharField(max_length=40, unique=True)
    policy = models.CharField(max_length=10, choices=POLICIES, default="draft")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("client__slug", "slug")

    def __str__(self) -> str:
        return self.title

    @property
    def key(self) -> str:
        """The last part of its address."""
        return self.slug if self.public else self.secret

    def get_absolute_url(self) -> str:
        return f"/status/{self.key}"


class StatusComponent(models.Model):
    """A part of the page: a system, or one environment of it, under a name for outsiders. `override`: a person says
    what its state is, recorded with why."""

    page = models.ForeignKey(StatusPage, on_delete=models.CASCADE, related_name="components")
    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="status_components")
    environment = models.CharField(max_length=60, blank=True, default="")
    name = models.CharField(max_length=100)
    about = models.CharField(max_length=300, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)
    uptime = models.BooleanField(default=True)
    override = models.CharField(max_length=20, choices=STATES, blank=True, default="")
    override_at = models.DateTimeField(null=True)
    override_by = models.CharField(max_length=200, blank=True, default="")
    override_why = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("position", "pk")
        constraints = [models.UniqueConstraint(fields=["page", "name"], name="one_component_of_a_page_per_name")]

    def __str__(self) -> str:
        return self.name


class Publication(models.Model):
    """An incident as outsiders read it: never its internal title or summary, unless a person writes them here."""

    page = models.ForeignKey(StatusPage, on_delete=models.CASCADE, related_name="publications")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.SET_NULL, related_name="publications")
    components = models.ManyToManyField(StatusComponent, related_name="publications")
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=PUBLISHED, default="draft")
    phase = models.CharField(max_length=15, choices=[(one, one.capitalize()) for one in PHASES])
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-starts_at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["page", "incident"], condition=Q(incident__isnull=False), name="one_publication_per_incident"
            )
        ]

    def __str__(self) -> str:
        return self.title


class Post(models.Model):
    """One thing that was told about it. `source` names where it came from, so that it comes once."""

    publication = models.ForeignKey(Publication, on_delete=models.CASCADE, related_name="posts")
    at = models.DateTimeField()
    phase = models.CharField(max_length=15)
    text = models.TextField()
    author = models.CharField(max_length=200)
    source = models.CharField(max_length=60, blank=True, default="")

    class Meta:
        ordering = ("-at", "-pk")
        constraints = [
            models.UniqueConstraint(
                fields=["publication", "source"], condition=~Q(source=""), name="one_post_per_source"
            )
        ]

    def __str__(self) -> str:
        return self.text[:60]


class Maintenance(models.Model):
    """Work that is told ahead."""

    page = models.ForeignKey(StatusPage, on_delete=models.CASCADE, related_name="maintenances")
    components = models.ManyToManyField(StatusComponent, related_name="maintenances")
    title = models.CharField(max_length=200)
    about = models.TextField(blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    told_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("starts_at", "pk")

    def __str__(self) -> str:
        return self.title


class Subscriber(models.Model):
    """Somebody who wants mails. Nothing but the question is sent before they confirmed; `token` confirms and ends."""

    page = models.ForeignKey(StatusPage, on_delete=models.CASCADE, related_name="subscribers")
    email = models.EmailField()
    token = models.CharField(max_length=40, unique=True)
    asked_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["page", "email"], name="one_subscription_per_address")]

    def __str__(self) -> str:
        return self.email


class Letter(models.Model):
    """A mail on its way: decided in the transaction of what it tells, sent from this row under a lease."""

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="letters")
    key = models.CharField(max_length=80, unique=True)
    title = models.CharField(max_length=300)
    text = models.TextField()
    state = models.CharField(max_length=10, default="pending")  # pending, sent, failed
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"], name="status_letters_due")]

    def __str__(self) -> str:
        return self.key
