"""What live calls would have cost under a rule that is not in force: a trial that alters nothing. Pure.

Each rule says of every call what of its cost would not have been paid, and whether its caller would have lost an answer
by it. Sums are of whole hours, so that calls which come in bursts are not taken for independent ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from afterlaunch.ground.shares import wilson

HOUR_NS = 3_600 * 10**9
FEWEST_CALLS, FEWEST_HOURS = 100, 12
WORTH = 0.02  # of the cost: what surely saves less is refuted
LOST = 0.02  # of the answers that a rule would take: more of them lost or altered, and it is refuted
TRIES = 2  # failures in a row after which nothing more is tried
STORM_NS = 60 * 10**9  # between two of them
WAIT_NS = 24 * HOUR_NS  # a batch answers within a day


@dataclass(frozen=True)
class Seen:
    """One call. `course`: what it belongs to (transaction, session or trace); `known`: whether a transaction or session
    was told. `repeats`: how an observed cache compares with its answer, "" where it had none to give."""

    start_ns: int
    end_ns: int
    course: str
    known: bool
    failed: bool
    cost_nano: int | None
    repeats: str = ""


@dataclass(frozen=True)
class Outcome:
    """`taken`: the rule would have taken the call; `lost`: its caller would have missed an answer, or got another."""

    at_ns: int
    cost_nano: int
    saved_nano: float = 0.0
    taken: bool = False
    lost: bool = False


@dataclass(frozen=True)
class Replayed:
    """`share` of the cost that would have been saved, with its 95 % interval; None while too little was seen."""

    calls: int
    taken: int
    lost: int
    hours: int
    share: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def harms(self) -> bool:
        """Surely more answers than may be are lost (lower 95 % bound, Wilson)."""
        return self.taken > 0 and wilson(self.lost, self.taken)[0] > LOST

    @property
    def saves(self) -> bool:
        return self.low is not None and self.low > 0 and self.lost <= LOST * self.taken

    @property
    def refuted(self) -> bool:
        return self.harms or (self.high is not None and self.high < WORTH)


def repeated(calls: Iterable[Seen]) -> list[Outcome]:
    """The gateway's cache, observed: what it would have given costs nothing; where the upstream said something else
    than what was remembered, the caller would have got another answer."""
    return [
        Outcome(
            one.start_ns, one.cost_nano, one.cost_nano if one.repeats else 0.0, bool(one.repeats),
            one.repeats.endswith("differs"),
        )
        for one in calls
        if one.cost_nano is not None
    ]  # fmt: skip


def tried_again(calls: Iterable[Seen]) -> list[Outcome]:
    """After two failures in a row in one course, each within a minute of the one before, nothing more is tried until a
    minute has passed: what was tried nevertheless would not have been paid, and where it answered, the answer lost."""
    out = []
    failures: dict[str, tuple[int, int]] = {}  # course -> (failures in a row, end of the last one)
    for one in sorted(calls, key=lambda call: call.start_ns):
        row, last = failures.get(one.course, (0, 0))
        if one.start_ns - last > STORM_NS:
            row = 0
        taken = row >= TRIES
        failures[one.course] = (row + 1, one.end_ns) if one.failed else (0, 0)
        cost = one.cost_nano or 0  # what failed and told no cost was not billed, as far as anybody knows
        out.append(Outcome(one.start_ns, cost, cost if taken else 0.0, taken, taken and not one.failed))
    return out


def batched(calls: Sequence[Seen], factor: float, until_ns: int) -> list[Outcome]:
    """By the batch price (`factor` of the usual one). A call could have waited where its transaction or session is told
    and nothing followed in it for a day: nobody went on with the answer. Calls of the last day are not known yet."""
    starts: dict[str, list[int]] = defaultdict(list)
    for one in calls:
        starts[one.course].append(one.start_ns)
    last = {course: max(told) for course, told in starts.items()}
    following: dict[str, list[int]] = {course: sorted(told) for course, told in starts.items()}
    out = []
    for one in calls:
        if one.cost_nano is None or one.start_ns > until_ns - WAIT_NS:
            continue
        waits = one.known and not one.failed and _alone(one, following[one.course], last[one.course])
        out.append(Outcome(one.start_ns, one.cost_nano, one.cost_nano * (1 - factor) if waits else 0.0, waits))
    return out


def _alone(one: Seen, starts: Sequence[int], last: int) -> bool:
    if last <= one.start_ns:
        return True
    return not any(one.start_ns < start <= one.end_ns + WAIT_NS for start in starts)


def summed(outcomes: Sequence[Outcome]) -> Replayed:
    """Ratio of what is saved to what was paid; its standard error from how hours differ (delta method)."""
    hours: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in outcomes:
        sums = hours[one.at_ns // HOUR_NS]
        sums[0] += one.cost_nano
        sums[1] += one.saved_nano
    taken, lost = sum(one.taken for one in outcomes), sum(one.lost for one in outcomes)
    seen = Replayed(len(outcomes), taken, lost, len(hours))
    paid = sum(sums[0] for sums in hours.values())
    if len(outcomes) < FEWEST_CALLS or len(hours) < FEWEST_HOURS or not paid:
        return seen
    share = sum(sums[1] for sums in hours.values()) / paid
    squares = sum((saved - share * cost) ** 2 for cost, saved in hours.values())
    half = 1.96 * sqrt(len(hours) / (len(hours) - 1) * squares) / paid
    return Replayed(len(outcomes), taken, lost, len(hours), share, max(0.0, share - half), min(1.0, share + half))
