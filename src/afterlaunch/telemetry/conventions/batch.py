"""What passes from stage to stage: a batch of spans, how its attributes are read, and the columns so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.attributes import Layer, Reading, Words
from afterlaunch.telemetry.conventions.conflicts import conflicts
from afterlaunch.telemetry.conventions.dialects import claude_code
from afterlaunch.telemetry.conventions.events import Events
from afterlaunch.telemetry.conventions.identity import envelope
from afterlaunch.telemetry.conventions.inside import inside
from afterlaunch.telemetry.conventions.kinds import CALLS, Kinds
from afterlaunch.telemetry.conventions.leftovers import taken
from afterlaunch.telemetry.conventions.tokens import fill_from_estimates, told_counts
from afterlaunch.telemetry.conventions.who import endpoint, finish, implied, named, operation, provider
from afterlaunch.telemetry.otlp import Decoded

SERVER, CONSUMER = 2, 5  # OTLP span kinds of requests that come in
MEANT = {"provider": provider, "finish_reason": finish}
"""Fields whose words are other words for the same."""


class Batch:
    """`out`: the columns so far; `flags`: name -> rows; `gone`: attributes that a column holds."""

    def __init__(self, decoded: Decoded, client: str | None, received_ns: int) -> None:
        self.decoded, self.client, self.received_ns = decoded, client, received_ns
        self.count = len(decoded.spans)
        self.flags: dict[str, Bools] = {}
        self.out, self.good, backwards = envelope(decoded)
        self.flag("negative_duration", backwards)
        self.start_ns = self.out["start_ns"].to_numpy()
        self.events = Events(decoded.spans.field("events"), self.count)
        self.claude = claude_code(decoded.attributes, self.count)
        self.reading = self._read()
        self.layer = self.reading.layers[0]
        self.gone, equal = taken(self.layer)
        for name, rows in conflicts(self.layer, equal, MEANT).items():
            self.flag(name, rows)
        self.text = self.reading.texts
        self.words: Words = operation(endpoint(self.reading, self.reading.words().each("provider", provider)))
        self.words = implied(self.words, self.claude)
        self.whole, self.meaning, self.odd_counts = told_counts(self.reading, self.text["usage_raw"], self.words)
        self.flag("invalid_value", self.odd_counts)
        self.estimated = fill_from_estimates(self.whole, self.reading)
        self.flag("usage_estimated", self.estimated)
        self.flag("semantics_assumed", self.meaning.assumed)
        self.kinds = Kinds(self.reading, self.words, self.whole["in_total"].known | self.whole["out_total"].known)
        self.calls: Bools = self.kinds.among(*CALLS)
        self.words = named(self.words, self.kinds, self.out["name"])

    def _read(self) -> Reading:
        kind = self.out["kind"].to_numpy()
        where: dict[str, Callable[[], Bools]] = {
            "entry": lambda: (kind == SERVER) | (kind == CONSUMER),
            "claude_code": lambda: self.claude,
        }
        first = Layer(self.decoded.attributes, self.count, where)
        return Reading([first, *(layer for layer in (inside(first), self.events.layer()) if layer)])

    def flag(self, name: str, rows: Bools) -> None:
        self.flags[name] = self.flags[name] | rows if name in self.flags else rows

    def yes_no(self, yes: Bools, known: Bools) -> Any:
        """A boolean column, NULL where nothing is known."""
        return pa.array(yes, mask=~known) if known.any() else nulls(self.count, pa.bool_())
