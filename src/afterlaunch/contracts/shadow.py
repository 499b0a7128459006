"""Shadow traffic of a route: a copy of its callers' requests that a candidate answers for nobody. Part of the snapshot,
under `handling.shadow`. Off by default."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from afterlaunch.contracts.budgets import Budget
from afterlaunch.contracts.guard_checks import PII

PREFIX = "shadow/"
EFFORTS = ("none", "minimal", "low", "medium", "high")
_MOST = {"usd": 1e9, "tokens": 1e15, "requests": 1e12}


@dataclass(frozen=True)
class ShadowBudget:
    """What a route's shadow may use in a window, in `unit`s (USD, tokens or requests). Nothing else is counted in it,
    and it is counted in nothing else."""

    limit: float
    unit: str = "usd"
    window: str = "day"
    zone: str = "UTC"

    def of(self, route: str) -> Budget:
        """The unit is part of its name: counters of another unit do not go on in it."""
        whole = round(self.limit * 1e9) if self.unit == "usd" else int(self.limit)
        return Budget(
            f"{PREFIX}{route}/{self.unit}", f"shadow of {route}", {}, self.unit, whole, self.window, self.zone
        )

    def wrong(self) -> str | None:
        if self.unit not in _MOST:
            return f"shadow.budget.unit is one of {', '.join(_MOST)}, not {self.unit!r}"
        if not 0 < self.limit <= _MOST[self.unit]:
            return f"shadow.budget.limit lies above 0 and at most at {_MOST[self.unit]:g}"
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError):  # an unknown one is a KeyError
            return f"shadow.budget.zone {self.zone[:60]!r} is no time zone"
        problem = self.of("route").check()
        return f"shadow.budget: {problem}" if problem else None


def named(budget: str) -> tuple[str, str] | None:
    """Route and unit of a shadow's budget by its id; None: it is another one's."""
    route, _, unit = budget.removeprefix(PREFIX).rpartition("/")
    return (route, unit) if budget.startswith(PREFIX) else None


@dataclass(frozen=True)
class Alteration:
    """What of a request its copy has otherwise, so that a trial tells what that would save. `most_output`: tokens of
    the answer at most; `effort`: of reasoning; `messages`: only so many of the last ones, instructions apart;
    `keep_prompt`: instructions are marked for the provider's prompt cache."""

    most_output: int | None = None
    effort: str | None = None
    messages: int | None = None
    keep_prompt: bool = False

    def wrong(self) -> str | None:
        for name, value in (("most_output", self.most_output), ("messages", self.messages)):
            if value is not None and not 1 <= value <= 10_000_000:
                return f"shadow.alter.{name} lies between 1 and 10,000,000, not at {value}"
        if self.effort is not None and self.effort not in EFFORTS:
            return f"shadow.alter.effort is one of {', '.join(EFFORTS)}, not {self.effort[:60]!r}"
        return None


@dataclass(frozen=True)
class Shadow:
    """`share`: of the baseline's units, in 1/10,000; 0: off. `upstream` None: the route's candidate arm, its model
    included; `model` None: the caller's own. `in_flight`: requests at the same time, of each worker; `queue`,
    `queue_bytes`: what may wait behind them, also of each. `largest_request`: bytes above which a request is not
    mirrored. `deadline`: seconds for one, its answer included. `redact`: kinds of personal data and secrets that are
    masked in the copy. `alter`: what a copy has otherwise than its request. `without_tenants`: whose calls are never
    mirrored; where any is named, a call without a tenant is not mirrored either."""

    share: int = 0
    upstream: str | None = None
    model: str | None = None
    budget: ShadowBudget | None = None
    in_flight: int = 4
    queue: int = 100
    queue_bytes: int = 16 << 20
    largest_request: int = 256 << 10
    deadline: float = 120.0
    redact: tuple[str, ...] = PII
    alter: Alteration | None = None
    without_tenants: tuple[str, ...] = ()

    def wrong(self, known: set[str]) -> str | None:
        """What is wrong with it; `known`: names of upstreams."""
        numbers = {
            "share": (self.share, 0, 10_000),
            "in_flight": (self.in_flight, 1, 64),
            "queue": (self.queue, 0, 10_000),
            "queue_bytes": (self.queue_bytes, 0, 64 << 20),
            "largest_request": (self.largest_request, 1, 4 << 20),
            "deadline": (self.deadline, 0.1, 3_600),
        }
        for name, (value, low, high) in numbers.items():
            if not low <= value <= high:
                return f"shadow.{name} lies between {low:g} and {high:g}, not at {value:g}"
        if self.upstream is not None and self.upstream not in known:
            return f"shadow.upstream {self.upstream} is no upstream"
        if self.upstream is None and self.model is not None:
            return "shadow.model goes with shadow.upstream: without, the candidate arm tells the model"
        if unknown := sorted(set(self.redact) - set(PII)):
            return f"shadow.redact names {', '.join(PII)}, not {unknown[0]!r}"
        if self.alter is not None and (problem := self.alter.wrong()):
            return problem
        if self.budget is None:
            return "shadow.budget tells what the shadow may use: it is never on a caller's" if self.share else None
        return self.budget.wrong()
