"""What a report holds, before it is told: rows of facts. Money is in nano-USD, times are UTC; None is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from afterlaunch.reports.periods import Period
from afterlaunch.telemetry.served import Place, Silence
from afterlaunch.telemetry.windows import Window


@dataclass(frozen=True)
class Scope:
    """Whom and what the report is about; None: everything the reader may see."""

    client: str | None
    client_name: str | None
    system: str | None

    @property
    def filters(self) -> dict[str, str]:
        given = {"client": self.client, "system": self.system}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def words(self) -> str:
        whose = self.client_name or "All clients"
        return f"{whose}, system {self.system}" if self.system else whose


@dataclass(frozen=True)
class SystemFacts:
    pk: int
    client: str
    key: str
    name: str
    owner: str | None
    owner_reachable: bool
    has_rotation: bool
    targets_declared: bool
    first_seen_at: datetime | None


@dataclass(frozen=True)
class SpendRow:
    """`value` None: the calls that do not tell. `before`: the same in the month before, None when it has none."""

    value: str | None
    window: Window
    before: Window | None


@dataclass(frozen=True)
class Day:
    """One local date; `window` None: no call. `models`: cost and more by model. `ahead`: it has not begun."""

    date: date
    start: datetime
    end: datetime
    window: Window | None
    models: Mapping[str | None, Window]
    ahead: bool


@dataclass(frozen=True)
class PlaceDay:
    calls: int
    unserved: int


@dataclass(frozen=True)
class PlaceFacts:
    """One system in one environment. `days`: by local date, only those with calls."""

    place: Place
    system_pk: int | None
    name: str
    calls: int
    unserved: int
    cancelled: int
    minutes: int
    minutes_down: int
    faults: Mapping[str, int]
    window: Window
    days: Mapping[date, PlaceDay]
    silences: tuple[Silence, ...]


@dataclass(frozen=True)
class Trouble:
    """One scope of a judge that was not ok: how many seconds it was in breach or in warning."""

    scope: str
    breach: float
    warning: float


@dataclass(frozen=True)
class JudgeFacts:
    """One judge on one place over all its scopes of one level (system, arm, provider or host). `seconds` by status,
    summed over the scopes, from the first verdict on."""

    client: str
    system: str
    environment: str
    system_pk: int | None
    name: str
    judge: str
    level: str
    title: str
    scopes: int
    seconds: Mapping[str, float]
    trouble: tuple[Trouble, ...]

    @property
    def watched(self) -> float:
        return sum(self.seconds.values())

    def share(self, status: str) -> float | None:
        return self.seconds.get(status, 0.0) / self.watched if self.watched else None


@dataclass(frozen=True)
class ClockFacts:
    """`verdict`: met, breached or running. `replaced`: a change of severity put another in its place."""

    severity: str
    tier: str
    started_at: datetime
    deadline: datetime
    met_at: datetime | None
    verdict: str
    replaced: bool

    @property
    def target_seconds(self) -> float:
        return (self.deadline - self.started_at).total_seconds()

    @property
    def actual_seconds(self) -> float | None:
        return (self.met_at - self.started_at).total_seconds() if self.met_at else None


@dataclass(frozen=True)
class IncidentFacts:
    """`carried`: it began before the month. `cause`: what became worse and why, in words; `cause_reason` names
    how that was found."""

    pk: int
    client: str
    system_pk: int
    system: str
    environment: str
    title: str
    severity: str
    phase: str
    status: str
    outcome: str
    fingerprint: str
    recurrence_of: int | None
    carried: bool
    occurred_at: datetime | None
    detected_at: datetime
    contained_at: datetime | None
    resolved_at: datetime | None
    clocks: tuple[ClockFacts, ...]
    cause: str
    cause_reason: str
    changes: tuple[tuple[int, str], ...]

    @property
    def contain_seconds(self) -> float | None:
        return (self.contained_at - self.detected_at).total_seconds() if self.contained_at else None

    @property
    def real(self) -> bool:
        return self.outcome != "false_alarm"

    @property
    def clock(self) -> ClockFacts | None:
        """The one in force."""
        return next((clock for clock in self.clocks if not clock.replaced), None)


@dataclass(frozen=True)
class ChangeFacts:
    pk: int
    client: str
    system_pk: int
    system: str
    environment: str
    kind: str
    title: str
    author: str
    state: str
    share: int
    parent: int | None
    proposed_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    verified_at: datetime | None
    verification: str

    @property
    def verify_seconds(self) -> float | None:
        """From the start of a rollback until telemetry showed it."""
        return (self.verified_at - self.started_at).total_seconds() if self.verified_at and self.started_at else None


@dataclass(frozen=True)
class Before:
    """The month before: None of it is known when `window` is None."""

    month: str
    window: Window | None
    days_with_calls: int
    days: int


@dataclass(frozen=True)
class Report:
    period: Period
    scope: Scope
    total: Window | None
    before: Before
    spend: Mapping[str, tuple[SpendRow, ...]]
    days: tuple[Day, ...]
    places: tuple[PlaceFacts, ...]
    systems: tuple[SystemFacts, ...]
    judges: tuple[JudgeFacts, ...]
    incidents: tuple[IncidentFacts, ...]
    changes: tuple[ChangeFacts, ...]

    @property
    def opened(self) -> tuple[IncidentFacts, ...]:
        """The incidents that began in the month and were none of them false alarms."""
        return tuple(one for one in self.incidents if one.real and not one.carried)

    @property
    def rollbacks(self) -> tuple[ChangeFacts, ...]:
        return tuple(one for one in self.changes if one.kind == "rollback")
