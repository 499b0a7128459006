from __future__ import annotations

from django.db import models

from afterlaunch.routes.models import Budget


class Count(models.Model):
    """What one gateway (or `telemetry`) counted in one counter of a budget in one window.

    `window_start`, `at` (by the gateway's clock): seconds since 1970; `told_at`: when it came here. Amounts are of the
    budget's unit; `refused` counts calls (of a budget that observes, those that it would have refused). `overdraft`:
    settled above the limit; `unconfirmed`: charged by their estimate."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="counts")
    gateway = models.CharField(max_length=100)
    counter = models.CharField(max_length=500, blank=True)
    window_start = models.BigIntegerField()
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    overdraft = models.BigIntegerField(default=0)
    unconfirmed = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)  # calls without a known cost; told by telemetry
    at = models.FloatField(default=0)
    told_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "window_start", "counter", "gateway"], name="one_count_per_gateway_and_window"
            )
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.counter} at {self.gateway}"


class Mark(models.Model):
    """What had been used of a counter by a time, over all gateways: the burn of a window. `slot`: seconds since 1970,
    the beginning of the stretch in which it was told last."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="marks")
    counter = models.CharField(max_length=500, blank=True)
    window_start = models.BigIntegerField()
    slot = models.BigIntegerField()
    used = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "window_start", "counter", "slot"], name="one_mark_per_slot")
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.counter} by {self.slot}"


class Told(models.Model):
    """An alert of a budget that has been raised and not ended: of one counter, "forecast" or a percentage."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="told")
    counter = models.CharField(max_length=500, blank=True)
    what = models.CharField(max_length=20)
    window_start = models.BigIntegerField()
    told_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["budget", "counter"], name="one_alert_per_counter")]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.counter} {self.what}"


class Pot(models.Model):
    """How much of a shared limit has been given to gateways, of a counter in a window. It never passes the limit."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="pots")
    counter = models.CharField(max_length=500, blank=True)
    window_start = models.BigIntegerField()
    given = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "window_start", "counter"], name="one_pot_per_counter_and_window")
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.counter} {self.given}"


class Share(models.Model):
    """What of a pot is one gateway's: what it may have spent by now, told or not. It only grows."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="shares")
    counter = models.CharField(max_length=500, blank=True)
    window_start = models.BigIntegerField()
    gateway = models.CharField(max_length=160)
    amount = models.BigIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "window_start", "counter", "gateway"], name="one_share_per_gateway_and_window"
            )
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.counter} at {self.gateway}"
