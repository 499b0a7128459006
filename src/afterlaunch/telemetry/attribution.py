"""Tokens and cost by one dimension, so that every breakdown of one window sums to the same total (spend rules §4).

What rollups hold is asked of them; users, sessions and transactions, of the calls themselves. What nobody told is a row
of its own, and what comes after the dearest is one row `other`: nothing is spread silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from afterlaunch.contracts.labels import PROBE_AGENT, SHADOW_ARM
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.called import PEOPLE, called
from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS
from afterlaunch.telemetry.queries import CALL_KINDS, Clients, minute_of, narrowed, stretches
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.windows import Window, extrapolated

PURPOSE = "purpose"
BY = (
    *("client", "system", "environment", "tenant", "agent", "route", "model", "provider", "version"),
    *(*PEOPLE, "arm", PURPOSE),
)
PARTS = (
    *("calls_estimated", "tokens_estimated", "cost_estimated_nano"),
    *("calls_sampled", "calls_unsent_milli", "cost_unsent_nano"),
)
"""Of a share what rests on estimates, and what sampled calls stand for beyond it (`tables.MEASURES`)."""
_TOLD_BY = ("agent", "arm", "environment")


@dataclass
class Share:
    """`value` None: not told by anybody (unattributed). `other`: all that come after the dearest. `cost_nano` sums the
    known costs; `calls_unknown_cost` counts the rest."""

    value: str | None
    calls: int = 0
    cost_nano: int = 0
    calls_unknown_cost: int = 0
    buckets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))
    other: bool = False
    calls_estimated: int = 0
    tokens_estimated: int = 0
    cost_estimated_nano: int = 0
    calls_sampled: int = 0
    calls_unsent_milli: int = 0
    cost_unsent_nano: int = 0

    @property
    def input_tokens(self) -> int:
        return sum(self.buckets[name] for name in BUCKETS[:6])

    @property
    def output_tokens(self) -> int:
        return sum(self.buckets[name] for name in BUCKETS[6:])

    @property
    def calls_extrapolated(self) -> int:
        """With those that samplers left out."""
        return extrapolated(self.calls, self.calls_unsent_milli)

    @property
    def cost_extrapolated_nano(self) -> int:
        return self.cost_nano + self.cost_unsent_nano

    @classmethod
    def of(cls, value: str | None, row: Window) -> Share:
        return cls(
            value,
            row.calls,
            row.cost_nano,
            row.calls_unknown_cost,
            dict(row.buckets),
            **{name: getattr(row, name) for name in PARTS},
        )

    def add(self, more: Share) -> None:
        self.calls += more.calls
        self.cost_nano += more.cost_nano
        self.calls_unknown_cost += more.calls_unknown_cost
        for name in PARTS:
            setattr(self, name, getattr(self, name) + getattr(more, name))
        for name, count in more.buckets.items():
            self.buckets[name] += count


@dataclass(frozen=True)
class Breakdown:
    dimension: str
    rows: list[Share]

    @property
    def total(self) -> Share:
        return _sum(None, self.rows)

    @property
    def unattributed(self) -> Share:
        return _sum(None, [row for row in self.rows if row.value is None and not row.other])


def purpose_of(agent: str | None, arm: str | None, environment: str | None) -> str:
    """What a call was for: our own probes, a mirrored candidate, a test; else production."""
    if agent == PROBE_AGENT:
        return "probe"
    if arm == SHADOW_ARM:
        return "shadow"
    return "test" if environment == "test" else "production"


def breakdown(
    start: datetime, end: datetime, dimension: str, clients: Clients = None, most: int = 1_000, **equals: str | None
) -> Breakdown:
    """The whole minutes of [start, end) by one dimension, the dearest first. Raises Invalid."""
    if dimension not in (*DIMENSIONS, *PEOPLE, PURPOSE):
        raise Invalid(f"{dimension!r} is no dimension of spend.", "Dimensions: " + ", ".join(BY))
    if dimension in PEOPLE:
        rows = _of_calls(start, end, dimension, clients, equals)
    else:
        rows = _of_rollups(start, end, dimension, clients, equals)
    rows.sort(key=lambda row: (-row.cost_nano, -row.calls, row.value or ""))
    if len(rows) > most:
        told = [row for row in rows if row.value is not None]
        kept = [row for row in rows if row.value is None] + told[: most - 1]
        rest = _sum(None, told[most - 1 :])
        rest.other = True
        rows = [*sorted(kept, key=lambda row: -row.cost_nano), rest]
    return Breakdown(dimension, rows)


def answered(start: datetime, end: datetime, clients: Clients = None, **equals: str | None) -> tuple[int | None, int]:
    """(transactions, else traces, with a call that did not fail: None without any call; known cost of the failed)."""
    where, parameters = narrowed(clients, equals)
    row = current().query(
        'select count(distinct case when not failed then coalesce("transaction", lower(hex(trace_id))) end) as told,'
        " count(*) as calls, coalesce(sum(case when failed then cost_nano end), 0)::bigint as failed from calls"
        f" where minute >= ? and minute < ? and op_kind in {CALL_KINDS} and {where}",
        [minute_of(start), minute_of(end), *parameters],
    )[0]
    return (int(row["told"]) if row["calls"] else None), int(row["failed"])


def _sum(value: str | None, rows: Iterable[Share]) -> Share:
    out = Share(value)
    for row in rows:
        out.add(row)
    return out


def _of_rollups(
    start: datetime, end: datetime, dimension: str, clients: Clients, equals: dict[str, str | None]
) -> list[Share]:
    groups: Sequence[str] = _TOLD_BY if dimension == PURPOSE else [dimension]
    by: dict[str | None, Share] = {}
    for row in stretches([start, end], groups, clients, **equals):
        value = purpose_of(*(row.key[name] for name in _TOLD_BY)) if dimension == PURPOSE else row.key[dimension]
        by.setdefault(value, Share(value)).add(Share.of(value, row))
    return list(by.values())


def _of_calls(
    start: datetime, end: datetime, dimension: str, clients: Clients, equals: dict[str, str | None]
) -> list[Share]:
    rows, parameters = called(dimension, minute_of(start), minute_of(end), clients, equals)
    summed = ("calls", "cost_nano", "calls_unknown_cost", *BUCKETS, *PARTS)
    sums = ", ".join(f"sum({name})::bigint as {name}" for name in summed)
    found = current().query(
        f'select "{dimension}" as value, {sums} from ({rows}) as told group by "{dimension}"', parameters
    )
    return [
        Share(
            row["value"],
            row["calls"],
            row["cost_nano"],
            row["calls_unknown_cost"],
            {name: row[name] for name in BUCKETS},
            **{name: row[name] for name in PARTS},
        )
        for row in found
    ]
