"""How much of a time a system was up. Pure.

From probes: rounds that were well, over rounds that told something. What nobody could try is in neither: unknown stays
unknown. From traffic: calls that were served, over calls. The uptime of a system is the lower of the two that are
known; `coverage` is the share of the time of which probes told something.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Rounds:
    ok: int = 0
    failed: int = 0
    not_run: int = 0

    def __add__(self, other: Rounds) -> Rounds:
        return Rounds(self.ok + other.ok, self.failed + other.failed, self.not_run + other.not_run)

    @property
    def told(self) -> int:
        return self.ok + self.failed


@dataclass(frozen=True)
class Calls:
    """`unserved`: failed, but for those that the user cancelled."""

    calls: int = 0
    unserved: int = 0


@dataclass(frozen=True)
class Uptime:
    """`share` None: nothing is known. `formula` says how it came about, in figures."""

    share: float | None
    formula: str
    source: str  # probes, traffic, nothing


def of_probes(rounds: Rounds) -> Uptime:
    if not rounds.told:
        return Uptime(None, "no probe told anything", "nothing")
    share = rounds.ok / rounds.told
    return Uptime(share, f"{rounds.ok:,} of {rounds.told:,} rounds of probes were well", "probes")


def of_traffic(calls: Calls) -> Uptime:
    if not calls.calls:
        return Uptime(None, "no calls", "nothing")
    served = calls.calls - calls.unserved
    return Uptime(served / calls.calls, f"{served:,} of {calls.calls:,} calls were served", "traffic")


def of_both(rounds: Rounds, calls: Calls) -> Uptime:
    """Never better than the worse of the two."""
    known = [one for one in (of_probes(rounds), of_traffic(calls)) if one.share is not None]
    if not known:
        return Uptime(None, "no probe told anything, and there were no calls", "nothing")
    worst = min(known, key=lambda one: one.share or 0.0)
    other = next((one for one in known if one is not worst), None)
    return Uptime(worst.share, worst.formula + (f", which is less than {other.formula}" if other else ""), worst.source)


def coverage(rounds: Rounds, interval: timedelta, places: int, watched: timedelta) -> float | None:
    """Rounds that told something over those that were due while it was watched; None: it was not watched."""
    due = watched / interval * places
    return min(1.0, rounds.told / due) if due >= 1 else None


def shown(share: float | None) -> str:
    """Cut, never rounded up: 99.999 % is not 100 %."""
    if share is None:
        return "not known"
    if share >= 1:
        return "100 %"
    digits = int(share * 100_000)
    return f"{digits // 1_000}.{digits % 1_000:03d} %"
