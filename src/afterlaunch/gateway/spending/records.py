"""What is asked of the store of budgets, and what it answers. Facts are JSON, encoded once by whoever knows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import orjson

UNCONFIRMED = "unconfirmed"
Key = tuple[str, str, int]  # budget, counter, start of the window in seconds since 1970
Attempted = tuple[str, int]  # call, attempt


class Wanted(NamedTuple):
    """What an attempt needs of a counter. `limit` None: it is counted and never refused. `observed`: the limit that
    would refuse it if it were hard."""

    budget: str
    counter: str
    start: int
    amount: int
    limit: int | None
    observed: int | None = None


class Scopes:
    """The counters that attempts with the same budgets draw from, in one order: made once for many attempts, so that
    each of them only brings its amounts. `bounded`: place, key, limit and observed limit of those that have one."""

    __slots__ = ("_charged", "_held", "bounded", "budgets", "keys", "limits", "observed")

    def __init__(self, keys: Iterable[Key], limits: Iterable[int | None], observed: Iterable[int | None]) -> None:
        self.keys, self.limits, self.observed = tuple(keys), tuple(limits), tuple(observed)
        self.budgets = tuple(key[0] for key in self.keys)
        each = enumerate(zip(self.keys, self.limits, self.observed, strict=True))
        self.bounded = [(at, *one) for at, one in each if one[1] is not None or one[2] is not None]
        names = [orjson.dumps(key)[:-1].replace(b"%", b"%%") for key in self.keys]
        self._held = b"[" + b",".join(name + b",%d]" for name in names) + b"]"
        self._charged = b"[" + b",".join(name + b",%d,%d]" for name in names) + b"]"

    def held(self, amounts: Sequence[int]) -> bytes:
        """JSON: of every counter budget, name, start of the window, amount."""
        return self._held % tuple(amounts)

    def charged(self, amounts: Sequence[int], charges: Sequence[int]) -> bytes:
        """JSON: likewise, and what was charged."""
        return self._charged % tuple(chain.from_iterable(zip(amounts, charges, strict=True)))

    def wanted(self, at: int, amount: int) -> Wanted:
        return Wanted(*self.keys[at], amount, self.limits[at], self.observed[at])


def read_held(text: bytes) -> tuple[Scopes, list[int]]:
    """Back from `Scopes.held`, without limits."""
    rows = orjson.loads(text)
    nothing = [None] * len(rows)
    return Scopes([(row[0], row[1], row[2]) for row in rows], nothing, nothing), [row[3] for row in rows]


class Asked(NamedTuple):
    """A reservation that somebody wants: `amounts` in the order of `scopes`. `patient`: what is short only because
    other workers hold grants is not counted as refused, since it will be asked for again."""

    call: str
    attempt: int
    scopes: Scopes
    amounts: Sequence[int]
    expires: float
    facts: bytes
    patient: bool = False


def asked_of(call: str, attempt: int, wanted: Sequence[Wanted], expires: float, facts: bytes) -> Asked:
    scopes = Scopes([one[:3] for one in wanted], [one.limit for one in wanted], [one.observed for one in wanted])
    return Asked(call, attempt, scopes, [one.amount for one in wanted], expires, facts)


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
