from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from afterlaunch.accounts.models import Client
from afterlaunch.contracts import budgets as contract
from afterlaunch.contracts import guard
from afterlaunch.contracts.plain import made
from afterlaunch.estate.models import System
from afterlaunch.ground import clock

ARMS = ("baseline", "candidate")


class Upstream(models.Model):
    """A provider, or any server that speaks its protocol. `credential` is a reference, never a secret."""

    name = models.SlugField(max_length=60, unique=True)
    base_url = models.URLField(max_length=500)
    provider = models.CharField(max_length=60)
    credential = models.CharField(max_length=300, default="passthrough")
    timeout_seconds = models.FloatField(default=600.0)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """What an application calls. Its candidate arm, when there is one, gets `share`/10,000 of the units."""

    name = models.SlugField(max_length=60, unique=True)
    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="routes")
    environment = models.CharField(max_length=60, default="prod")
    agent = models.CharField(max_length=200, blank=True, default="")
    unit = models.JSONField(default=list)
    inject_usage = models.BooleanField(default=True)
    share = models.PositiveIntegerField(default=0)
    salt = models.CharField(max_length=64, blank=True, default="")
    handling = models.JSONField(default=dict)  # what of contracts.handling.Handling is not as by default

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def arm(self, name: str) -> Arm | None:
        """Reads the prefetched rows when there are any."""
        return next((arm for arm in self.arms.all() if arm.name == name), None)


class Arm(models.Model):
    """What a cohort gets: upstream, model and prompt-version label. Empty model: the caller's own is kept."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="arms")
    name = models.CharField(max_length=10, choices=[(name, name) for name in ARMS])
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="arms")
    model = models.CharField(max_length=200, blank=True, default="")
    prompt_version = models.CharField(max_length=200, blank=True, default="")
    change = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["route", "name"], name="one_arm_per_name")]

    def __str__(self) -> str:
        return f"{self.route} {self.name}"


class CallerKey(models.Model):
    """What an application authenticates with at the gateway. Only a keyed digest of the secret is kept."""

    key_id = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="caller_keys")
    default_route = models.ForeignKey(Route, on_delete=models.PROTECT, related_name="default_of")
    routes = models.ManyToManyField(Route, related_name="keys")
    tenant = models.CharField(max_length=200, blank=True, default="")
    agent = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    limits = models.JSONField(default=dict)  # of contracts.handling.Limits

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """ "revoked", "expired", or "" while it opens the gateway."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= clock.now() else ""


class Budget(models.Model):
    """What calls of a scope may use in a window (`contracts.budgets`). Without a client it is the house's. `scope` of a
    client's names no client: it is theirs. `limit`: nano-USD, tokens or requests. `fed`: "gateway" counts and may
    refuse, each by itself, "gateways" with one limit over all of them, "telemetry" only looks on. `system`: whose
    responders hear of `thresholds` (percent) and the forecast."""

    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="budgets")
    name = models.CharField(max_length=100)
    scope = models.JSONField(default=dict)
    unit = models.CharField(max_length=10)
    limit = models.BigIntegerField()
    window = models.CharField(max_length=10)
    zone = models.CharField(max_length=64, default="UTC")
    mode = models.CharField(max_length=10, default="hard")
    no_price = models.CharField(max_length=20, default="refuse")
    default_pico = models.BigIntegerField(default=0)
    cheaper = models.CharField(max_length=200, blank=True, default="")  # the model of mode downgrade
    fed = models.CharField(max_length=10, default="gateway")
    thresholds = models.JSONField(default=list)
    forecast = models.BooleanField(default=True)
    system = models.ForeignKey(System, null=True, on_delete=models.PROTECT, related_name="budgets")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "name"], condition=models.Q(ended_at=None), name="one_budget_per_name"
            ),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(ended_at=None, client=None), name="one_house_budget_per_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/budgets/{self.pk}"

    def contract(self) -> contract.Budget:
        """As gateways hold it."""
        scope = {"client": self.client.slug, **self.scope} if self.client else dict(self.scope)
        return contract.Budget(
            id=str(self.pk),
            name=self.name,
            scope=scope,
            unit=self.unit,
            limit=self.limit,
            window=self.window,
            zone=self.zone,
            mode=self.mode,
            no_price=self.no_price,
            default_pico=self.default_pico,
            cheaper=self.cheaper,
            shared=self.fed == "gateways" and self.mode == "hard",
        )


class GuardPolicy(models.Model):
    """A policy of the route's guard: `spec` is what of contracts.guard.Policy is not as by default, without id, name
    and bypasses. Policies are asked in the order of `position`."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="guard_policies")
    name = models.CharField(max_length=80)
    position = models.PositiveIntegerField(default=0)
    spec = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("route__name", "position", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=["route", "name"], condition=models.Q(ended_at=None), name="one_guard_policy_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/guard/policies/{self.pk}"

    def contract(self, bypasses: Iterable[GuardBypass] = ()) -> guard.Policy:
        """As gateways hold it."""
        passing = [{"who": one.who, "value": one.value, "until": one.until.timestamp()} for one in bypasses]
        return made(guard.Policy, {"id": str(self.pk), "name": self.name, "bypasses": passing, **self.spec})


class GuardBypass(models.Model):
    """Whom a policy does not stop, with who approved it, why, and until when."""

    policy = models.ForeignKey(GuardPolicy, on_delete=models.CASCADE, related_name="bypasses")
    who = models.CharField(max_length=10, choices=[(one, one) for one in guard.BYPASSED])
    value = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    approved_by = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.who} {self.value}"


class ShadowUse(models.Model):
    """What one gateway counted in the own budget of a route's shadow, in one window (`contracts.shadow`).

    `window_start`, `at` (by the gateway's clock): seconds since 1970. Amounts are of `unit`; `refused` counts copies
    that were not sent because too little was left."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="shadow_use")
    unit = models.CharField(max_length=10)
    gateway = models.CharField(max_length=100)
    window_start = models.BigIntegerField()
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    at = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["route", "unit", "window_start", "gateway"], name="one_shadow_use_per_gateway_and_window"
            )
        ]

    def __str__(self) -> str:
        return f"shadow of {self.route_id} at {self.gateway}"


class Published(models.Model):
    """A sealed snapshot as the gateways got it. The newest epoch is in force."""

    epoch = models.PositiveBigIntegerField(primary_key=True)
    created_at = models.DateTimeField()
    sealed = models.BinaryField()
    why = models.CharField(max_length=300)

    def __str__(self) -> str:
        return f"epoch {self.epoch}"
