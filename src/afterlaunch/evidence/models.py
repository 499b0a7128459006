from __future__ import annotations

from django.db import models

from afterlaunch.engine.compiled import Row


class Entry(Row):
    """One decision of a person or an automation. `index` is its place in the tree; `body` the exact hashed bytes."""

    index = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200)
    actor_kind = models.CharField(max_length=20)
    deed = models.CharField(max_length=100, db_index=True)
    subject = models.CharField(max_length=200, db_index=True)
    client = models.CharField(max_length=60, blank=True, default="", db_index=True)
    body = models.BinaryField()
    leaf = models.BinaryField(max_length=32)

    class Meta:
        ordering = ("index",)

    def __str__(self) -> str:
        return f"{self.index} {self.deed} {self.subject}"


class Head(Row):
    """The one row that every append locks: the size of the tree and its peaks, 32 bytes each."""

    size = models.PositiveBigIntegerField(default=0)
    peaks = models.BinaryField(default=b"")

    def __str__(self) -> str:
        return f"size {self.size}"


class SignedCheckpoint(Row):
    """A checkpoint as it was signed."""

    size = models.PositiveBigIntegerField(unique=True)
    note = models.TextField()
    signed_at = models.DateTimeField()

    class Meta:
        ordering = ("-size",)

    def __str__(self) -> str:
        return f"checkpoint at {self.size}"
