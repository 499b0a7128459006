"""What is asked of the store of budgets, and what it answers. Facts are JSON, encoded once by whoever knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNCONFIRMED = "unconfirmed"
Key = tuple[str, str, int]  # budget, counter, start of the window in seconds since 1970
Attempted = tuple[str, int]  # call, attempt
Holding = tuple[str, str, int, int]  # a key, and what is reserved there


class Wanted(NamedTuple):
    """What an attempt needs of a counter. `limit` None: it is counted and never refused. `observed`: the limit that
    would refuse it if it were hard."""

    budget: str
    counter: str
    start: int
    amount: int
    limit: int | None
    observed: int | None = None


class Asked(NamedTuple):
    """A reservation that somebody wants. `patient`: what is short only because other workers hold grants is not
    counted as refused, since it will be asked for again."""

    call: str
    attempt: int
    wanted: Sequence[Wanted]
    expires: float
    facts: bytes
    patient: bool = False


class Held(NamedTuple):
    """`left`: per hold with a limit, what is left of it after this one; `over`: budgets in observe mode that would
    have refused."""

    left: dict[str, int]
    over: list[str]


class Short(NamedTuple):
    """The counter that has too little left, and how much that is. `lent`: what other workers hold of it unspent."""

    wanted: Wanted
    left: int
    lent: int = 0

    @property
    def may_come(self) -> bool:
        """Whether it would fit if the others gave back what they hold."""
        return self.lent > 0 and self.wanted.amount <= self.left


class Settled(NamedTuple):
    """What an attempt cost: per budget id the amount; `state`: exact, estimated, unknown, or UNCONFIRMED."""

    amounts: dict[str, int]
    state: str
    facts: bytes


class Row(NamedTuple):
    """Of the ledger."""

    call: str
    attempt: int
    at: float
    state: str
    holds: bytes
    facts: bytes
