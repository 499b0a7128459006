"""Stored calls priced anew, from their raw buckets: what it would change, and the change.

Hour by hour, each hour one change of the store: idempotent (what costs the same already is left), so whoever is
interrupted goes on with the next hour. `calls` and the rollups hold the new cost; the span keeps what the call cost by
the table of its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.ground import clock
from afterlaunch.prices.book import Book
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.conventions.money import SENDER, Costs, price_calls
from afterlaunch.telemetry.engines import Engine
from afterlaunch.telemetry.merging import FIELDS, Merged
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import CALLS, HOUR_NS

MOST_DAYS = 180
"""So far back are sums by the minute kept, which corrections are made of."""
AROUND_NS = 600 * 10**9
OVERLAYS = ("in_audio", "in_image", "in_video", "out_audio", "out_image")
_NEEDED = ("provider", "model", "model_requested", "start_ns", "span_id", "cost_nano", "cost_confidence", *BUCKETS)


@dataclass
class Totals:
    """Of a month and a model. Sums are of known costs; `unknown` counts the calls without one."""

    calls: int = 0
    changed: int = 0
    old_nano: int = 0
    new_nano: int = 0
    old_unknown: int = 0
    new_unknown: int = 0


@dataclass(frozen=True)
class Effect:
    """(month as 2026-11, model) -> totals."""

    by: dict[tuple[str, str], Totals] = field(default_factory=dict)

    @property
    def whole(self) -> Totals:
        out = Totals()
        for one in self.by.values():
            for name, value in vars(one).items():
                setattr(out, name, getattr(out, name) + value)
        return out


def hours(engine: Engine, client: str, since: datetime, until: datetime) -> list[int]:
    """The hours since 1970 in which the client has calls, in order."""
    first, last = (clock.to_ns(at) for at in (since, until))
    found = engine.query(
        "select distinct minute // 60 as hour from calls where client = ? and start_ns >= ? and start_ns < ?"
        " order by hour",
        [client, first, last],
    )
    return [int(row["hour"]) for row in found]


def effect(engine: Engine, client: str, since: datetime, until: datetime, book: Book) -> Effect:
    """What the calls cost now, and what they would by this book."""
    out = Effect()
    bounds = clock.to_ns(since), clock.to_ns(until)
    for hour in hours(engine, client, since, until):
        rows = _calls(engine, client, hour, ", ".join(f'"{name}"' for name in _NEEDED), bounds)
        if rows.num_rows:
            _add(out, rows, hour, _priced(engine, client, rows, book))
    return out


def _add(out: Effect, rows: Any, hour: int, costs: Costs) -> None:
    month = datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m")
    old, told, new, known = _both(rows, costs)
    differs = (told != known) | (old != new)
    models = rows["model"].fill_null("").combine_chunks().dictionary_encode()
    codes = models.indices.to_numpy()
    for number, model in enumerate(models.dictionary.to_pylist()):
        mine = codes == number
        one = out.by.setdefault((month, model), Totals())
        one.calls += int(mine.sum())
        one.changed += int((mine & differs).sum())
        one.old_nano += int(old[mine].sum())
        one.new_nano += int(new[mine].sum())
        one.old_unknown += int((mine & ~told).sum())
        one.new_unknown += int((mine & ~known).sum())


def _both(rows: Any, costs: Costs) -> tuple[Any, Any, Any, Any]:
    """(old cost, known, new cost, known). What only the sender told stays where no price is known still."""
    told = rows["cost_nano"].is_valid().to_numpy()
    old = rows["cost_nano"].fill_null(0).to_numpy()
    by_sender = pc.fill_null(pc.equal(rows["cost_confidence"], SENDER), False).to_numpy()
    kept = by_sender & ~costs.known
    return old, told, np.where(kept, old, costs.nano), costs.known | kept


def reprice(store: Store, run: str, client: str, hour: int, book: Book) -> int:
    """The calls of an hour cost what this book says from now on; how many of them changed. `run` names the run."""
    return store.replace_calls(f"reprice-{run}-{hour}", lambda: _change(store.engine, client, hour, book))


def _change(engine: Engine, client: str, hour: int, book: Book) -> Merged:
    rows = _calls(engine, client, hour, FIELDS, None).cast(CALLS).combine_chunks()
    if not rows.num_rows:
        return Merged(CALLS.empty_table(), CALLS.empty_table())
    costs = _priced(engine, client, rows, book)
    old, told, new, known = _both(rows, costs)
    differs = pa.array((told != known) | (old != new))
    gone = rows.filter(differs)
    made = {**costs.columns(), "cost_nano": pa.array(new, pa.int64(), mask=~known)}
    for name, column in made.items():
        rows = rows.set_column(CALLS.names.index(name), name, column)
    return Merged(rows.filter(differs).cast(CALLS), gone)


def _calls(engine: Engine, client: str, hour: int, columns: str, bounds: tuple[int, int] | None) -> Any:
    first, last = hour * HOUR_NS, (hour + 1) * HOUR_NS
    if bounds:
        first, last = max(first, bounds[0]), min(last, bounds[1])
    return engine.arrow(
        f"select {columns} from calls where client = ? and start_ns >= ? and start_ns < ? order by start_ns, span_id",
        [client, first, last],
    )


def _priced(engine: Engine, client: str, rows: Any, book: Book) -> Costs:
    facts = dict(_facts(engine, client, rows))
    ids = rows["span_id"].to_pylist()
    known = [facts.get(bytes(one)) or {} for one in ids] if facts else [{}] * len(ids)
    told = {name: rows[name].combine_chunks() for name in ("provider", "model_requested", "start_ns")}
    told["model_answered"] = rows["model"].combine_chunks()
    told["service_tier"] = pa.array([one.get("service_tier") for one in known], pa.string())
    told["batch"] = pa.array([one.get("batch") for one in known], pa.bool_())
    counts = {name: rows[name].combine_chunks().cast(pa.int64()) for name in BUCKETS}
    if facts:
        counts |= {name: pa.array([one.get(name) for one in known], pa.int64()) for name in OVERLAYS}
    return price_calls(told, counts, book)


def _facts(engine: Engine, client: str, rows: Any) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """What spans tell of how a call was served and `calls` does not keep; most tell nothing."""
    starts = rows["start_ns"].to_numpy()
    names = ("service_tier", "batch", *OVERLAYS)
    found = engine.query(
        f"select span_id, {', '.join(names)} from spans where client = ? and start_ns between ? and ?"
        f" and cost_confidence is not null and ({' or '.join(f'{name} is not null' for name in names)})",
        [client, int(starts.min()) - AROUND_NS, int(starts.max()) + AROUND_NS],
    )
    for row in found:
        yield bytes(row.pop("span_id")), row
