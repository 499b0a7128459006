"""The series of one target from scrape to scrape: samples to metric points, and gaps where a series ends. Pure.

1. A head that is new is taken apart once and kept as a row of `_heads`. 2. A scrape is those rows again with values and
instants. 3. A series that was there and is not any more, or whose target does not answer, gets a gap: a point without
a value, so that nobody takes its last value for the present.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.scraping.parse import Sample, Scraped, Unreadable, kind_of, parse, series
from afterlaunch.telemetry.signals.points import INT63, POINTS, series_id

UP, TOOK, COUNT = "up", "scrape_duration_seconds", "scrape_samples_scraped"
OUR_OWN = (UP, TOOK, COUNT)
OLDEST_NS = 3_600 * 10**9  # an exporter's own timestamp is believed within an hour of ours
AHEAD_NS = 300 * 10**9
FORGET = 4  # times the series of a scrape: so many heads may be kept that were not in it


@dataclass(frozen=True)
class Place:
    """Whose series they are. `labels` go on every series, with `job` and `instance` among them."""

    client: str
    system: str
    environment: str
    labels: dict[str, str] = field(default_factory=dict)


class TooMany(ValueError):
    """More samples than the target may have."""


class Series:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._row: dict[str, int] = {}
        self._heads = POINTS.empty_table()
        self._there: set[int] = set()

    def answered(self, text: str, open_metrics: bool, at_ns: int, seconds: float, limit: int) -> tuple[Any, int]:
        """(points, how many samples). Raises Unreadable, TooMany; then nothing has changed."""
        scraped = parse(text, open_metrics)
        if len(scraped.samples) > limit:
            raise TooMany(f"{len(scraped.samples):,} samples, {limit:,} are allowed")
        self._learn(scraped)
        count = float(len(scraped.samples))
        samples = [*scraped.samples, *self._ours(1.0, seconds, count)]
        rows = np.array([self._row[one.head] for one in samples], np.int64)
        told = np.array([one.at_ns or 0 for one in samples], np.int64)
        own = (told > at_ns - OLDEST_NS) & (told < at_ns + AHEAD_NS) & (told <= INT63)
        points = self._points(rows, np.where(own, told, at_ns), [one.value for one in samples])
        # Who tells its own instants says when it has ended by itself.
        now = {int(row) for row in rows[~own]}
        gone = self._gaps(self._there - now - {int(row) for row in rows}, at_ns)
        self._there = now
        if len(self._row) > FORGET * (len(rows) + 100):
            self._forget()
        return pa.concat_tables([points, gone]), len(scraped.samples)

    def silent(self, at_ns: int, seconds: float) -> Any:
        """The target did not answer: up is 0, and every other series has a gap."""
        self._learn(Scraped([], {}))
        up = self._row[UP]
        gaps = self._gaps(self._there - {self._row[one] for one in OUR_OWN}, at_ns)
        self._there = {self._row[one] for one in OUR_OWN}
        ours = self._ours(0.0, seconds, 0.0)
        rows = np.array([self._row[one.head] for one in ours], np.int64)
        assert up in rows
        return pa.concat_tables([self._points(rows, np.full(len(rows), at_ns), [one.value for one in ours]), gaps])

    def ended(self, at_ns: int) -> Any:
        """The target is no more: gaps for all of it."""
        there, self._there = self._there, set()
        return self._gaps(there, at_ns)

    @staticmethod
    def _ours(up: float, seconds: float, count: float) -> list[Sample]:
        return [Sample(name, value, None) for name, value in zip(OUR_OWN, (up, seconds, count), strict=True)]

    def _learn(self, scraped: Scraped) -> None:
        fresh = dict.fromkeys(one.head for one in scraped.samples if one.head not in self._row)
        fresh |= dict.fromkeys(name for name in OUR_OWN if name not in self._row)
        if not fresh:
            return
        rows = [self._head(head, scraped.kinds) for head in fresh]
        first = len(self._heads)
        self._heads = pa.concat_tables([self._heads, pa.Table.from_pylist(rows, schema=POINTS)]).combine_chunks()
        self._row |= {head: first + number for number, head in enumerate(fresh)}

    def _head(self, head: str, kinds: dict[str, str]) -> dict[str, Any]:
        name, told = series(head)
        ours = self._place.labels
        # What the exporter says of itself must not pass for what we know: its own label moves aside.
        labels = {(f"exported_{key}" if key in ours else key): value for key, value in told.items()} | ours
        kind = "gauge" if name in OUR_OWN else kind_of(name, kinds)
        place, host = self._place, labels.get("instance")
        return {
            "series": series_id(place.client, place.system, place.environment, host, name, "", labels),
            "client": place.client,
            "system": place.system,
            "environment": place.environment,
            "service": labels.get("job"),
            "host": host,
            "name": name,
            "unit": "",
            "kind": kind,
            "cumulative": kind == "counter",
            "labels": list(labels.items()),
        }

    def _points(self, rows: Any, at_ns: Any, values: list[float | None]) -> Any:
        """A series that is there twice at one instant is taken once."""
        table = self._heads.take(pa.array(rows))
        for name, column in (("at_ns", pa.array(at_ns, pa.int64())), ("value", pa.array(values, pa.float64()))):
            table = table.set_column(table.schema.get_field_index(name), name, column)
        keys = np.stack([rows, at_ns], axis=1)
        _, first = np.unique(keys, axis=0, return_index=True)
        return table if len(first) == len(rows) else table.take(pa.array(np.sort(first)))

    def _gaps(self, rows: set[int], at_ns: int) -> Any:
        ordered = np.array(sorted(rows), np.int64)
        return self._points(ordered, np.full(len(ordered), at_ns), [None] * len(ordered))

    def _forget(self) -> None:
        """Heads that come and go (request ids in labels, say) would fill the memory."""
        kept = sorted(self._there)
        number = {row: new for new, row in enumerate(kept)}
        self._heads = self._heads.take(pa.array(kept, pa.int64())).combine_chunks()
        self._row = {head: number[row] for head, row in self._row.items() if row in number}
        self._there = set(number.values())


__all__ = ["Place", "Series", "TooMany", "Unreadable"]
