"""What gateways count of a policy, by stretches, and tell to the server."""

from __future__ import annotations

from dataclasses import dataclass, fields

SLOT = 300  # seconds of a stretch


@dataclass
class Counts:
    """`bypassed`: matches that an approved bypass let through; `observed`: those of policies that only observe;
    `retried`: answers in whose place the model was asked again."""

    evaluated: int = 0
    matched: int = 0
    allowed: int = 0
    denied: int = 0
    redacted: int = 0
    held: int = 0
    flagged: int = 0
    observed: int = 0
    bypassed: int = 0
    exceptions: int = 0
    retried: int = 0
    micros: int = 0

    @property
    def each_ms(self) -> float | None:
        """Milliseconds of one check, on average."""
        return self.micros / self.evaluated / 1_000 if self.evaluated else None


COUNTED = tuple(field.name for field in fields(Counts))
