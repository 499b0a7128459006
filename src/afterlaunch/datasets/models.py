from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import models

from afterlaunch.data_contracts.contract import Contract, read
from afterlaunch.estate.models import System


class Dataset(models.Model):
    """What has a contract: a table of a system's, or what others deliver to it. `ended_at`: no longer judged."""

    system = models.ForeignKey(System, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=100)
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("system", "name")
        constraints = [models.UniqueConstraint(fields=["system", "name"], name="one_dataset_per_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/systems/{self.system_id}/data?dataset={self.name}"


class Version(models.Model):
    """A contract as it was written; never altered. The one in force is the newest. `label`: what it calls itself;
    `differences`: from the version before."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    digest = models.CharField(max_length=64)
    label = models.CharField(max_length=100)
    owner = models.CharField(max_length=200)
    differences = models.JSONField(default=list)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)

    class Meta:
        ordering = ("dataset", "-number")
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="one_contract_per_number")]

    def __str__(self) -> str:
        return f"{self.dataset} {self.number}"

    @property
    def contract(self) -> Contract:
        return _read(self.text)

    @property
    def breaking(self) -> bool:
        return any(one["breaking"] for one in self.differences)


@lru_cache(maxsize=512)
def _read(text: str) -> Contract:
    """Contracts that are kept are never altered."""
    return read(text)


class Standing(models.Model):
    """What is known of a dataset in one environment. `newest`: the latest time of any record; `detector`: what the
    number of records of a delivery usually is."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="standings")
    environment = models.CharField(max_length=60)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    newest = models.DateTimeField(null=True)
    deliveries = models.PositiveIntegerField(default=0)
    detector = models.BinaryField(default=bytes)

    class Meta:
        ordering = ("dataset", "environment")
        constraints = [models.UniqueConstraint(fields=["dataset", "environment"], name="one_standing_per_place")]

    def __str__(self) -> str:
        return f"{self.dataset} in {self.environment}"


class Check(models.Model):
    """A delivery that was checked, here or in a pipeline. `document`: what was found, without cells; `usual`: what the
    number of its records was against earlier ones."""

    standing = models.ForeignKey(Standing, on_delete=models.CASCADE, related_name="checks")
    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="checks")
    key = models.CharField(max_length=210)
    digest = models.CharField(max_length=64)
    source = models.CharField(max_length=10, choices=[("body", "checked here"), ("pipeline", "checked in a pipeline")])
    received_at = models.DateTimeField()
    received_by = models.CharField(max_length=200)
    records = models.PositiveBigIntegerField()
    clean_records = models.PositiveBigIntegerField()
    verdict = models.CharField(max_length=20)
    document = models.JSONField()
    usual: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        ordering = ("-received_at", "-pk")
        constraints = [models.UniqueConstraint(fields=["standing", "key"], name="one_check_per_key")]
        indexes = [
            models.Index(fields=["standing", "-received_at"], name="checks_by_time"),
            models.Index(fields=["received_at"], name="checks_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.standing} at {self.received_at:%Y-%m-%d %H:%M}"

    @property
    def status(self) -> str:
        """The word of judges for its verdict."""
        return {"failing": "breach", "below": "breach", "at_risk": "warning"}.get(self.verdict, self.verdict)

    @property
    def score(self) -> float | None:
        return 100 * self.clean_records / self.records if self.records else None
