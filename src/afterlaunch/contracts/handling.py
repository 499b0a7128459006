"""How a route handles calls: what it does when an upstream fails, what it lets in, what it remembers. Part of the
snapshot; made from a route's row, where it is JSON of the same names."""

from __future__ import annotations

from dataclasses import dataclass, field

from afterlaunch.contracts.shadow import Shadow

CALLER_GONE = ("cancel", "drain")


@dataclass(frozen=True)
class Fallback:
    """Tried when the one before it has failed. `model` None: the model that the call had. `larger_context`: also for
    calls that were too long for the one before; it is tried for those only if it says so."""

    upstream: str
    model: str | None = None
    larger_context: bool = False


@dataclass(frozen=True)
class Resilience:
    """`attempts`: requests to upstreams for one call, at most. `longest_wait`: seconds that a call waits for an
    upstream that asked for patience, or backs off. `first_byte`: seconds to the head of an answer (None: the upstream's
    time-out). `deadline`: seconds for the whole call, its answer included (None: no end)."""

    attempts: int = 3
    fallbacks: tuple[Fallback, ...] = ()
    longest_wait: float = 2.0
    first_byte: float | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class Leaving:
    """When a caller leaves: `cancel` ends the upstream's work at once and estimates, `drain` reads on for at most
    `seconds`, so that the usage is exact."""

    policy: str = "cancel"
    seconds: float = 30.0


@dataclass(frozen=True)
class Limits:
    """In any minute; 0: no limit. Tokens are input and output together."""

    requests: int = 0
    tokens: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests or self.tokens)


@dataclass(frozen=True)
class Handling:
    """`limits`: of the whole route; `tenant_limits`: of each tenant on it. Sizes are bytes of bodies. `cache_seconds`:
    how long an answer is given again to exactly the same request of the same tenant; 0: never; `cache_observe`: it
    is not given, only told what it would have saved and whether the upstream said the same. `own_headers`: answers
    tell call id, arm and the like."""

    resilience: Resilience = field(default_factory=Resilience)
    leaving: Leaving = field(default_factory=Leaving)
    limits: Limits = field(default_factory=Limits)
    tenant_limits: Limits = field(default_factory=Limits)
    largest_request: int = 64 << 20
    largest_answer: int = 0
    cache_seconds: int = 0
    cache_observe: bool = False
    own_headers: bool = True
    shadow: Shadow = field(default_factory=Shadow)

    def check(self, known: set[str]) -> str | None:
        """What is wrong with it; `known`: names of upstreams."""
        care = self.resilience
        for one in care.fallbacks:
            if one.upstream not in known:
                return f"fallback {one.upstream} is no upstream"
        numbers = {
            "attempts": (care.attempts, 1, 10),
            "longest_wait": (care.longest_wait, 0, 60),
            "first_byte": (care.first_byte if care.first_byte is not None else 1, 0.01, 3600),
            "deadline": (care.deadline if care.deadline is not None else 1, 0.01, 86_400),
            "leaving.seconds": (self.leaving.seconds, 1, 600),
            "limits.requests": (min(self.limits.requests, self.tenant_limits.requests), 0, 10**9),
            "limits.tokens": (min(self.limits.tokens, self.tenant_limits.tokens), 0, 10**12),
            "largest_request": (self.largest_request, 1, 64 << 20),
            "largest_answer": (self.largest_answer, 0, 1 << 40),
            "cache_seconds": (self.cache_seconds, 0, 30 * 86_400),
        }
        for name, (value, low, high) in numbers.items():
            if not low <= value <= high:
                return f"{name} lies between {low:g} and {high:g}, not at {value:g}"
        if self.leaving.policy not in CALLER_GONE:
            return f"leaving.policy is one of {', '.join(CALLER_GONE)}, not {self.leaving.policy!r}"
        return self.shadow.wrong(known)
