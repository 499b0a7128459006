"""What a process remembers of what its store holds, so that most commits need not ask it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import pyarrow as pa

from afterlaunch.telemetry.engines import Engine
from afterlaunch.telemetry.remembered import Remembered, of_ids
from afterlaunch.telemetry.suspects import Suspects

log = logging.getLogger(__name__)
READ_AT_START = 200_000
"""So many of the newest spans are remembered when a store is opened; older ones are asked for when they matter."""


@dataclass
class Memory:
    spans: Remembered
    suspects: Suspects


def empty(engine: Engine) -> Memory:
    """Of a shared store nobody remembers what others write: it is asked."""
    return Memory(Remembered(), Suspects(always=engine.shared))


def recalled(engine: Engine) -> Memory:
    """The newest spans one by one, of the rest only between which starts they lie."""
    memory = empty(engine)
    newest = engine.arrow(
        "select span_id, trace_id, response_id, scope, start_ns, cost_confidence is not null as call, client, instance,"
        " model_requested, null::varchar as stream_key from spans"
        " where seq >= (select max(seq) from spans) - ? order by seq",
        [READ_AT_START],
    )
    (rest,) = engine.query(
        "select min(start_ns) as lowest, max(start_ns) as highest from spans"
        " where seq < (select max(seq) from spans) - ?",
        [READ_AT_START],
    )
    if not newest.num_rows:
        return memory
    scopes = [row["scope"] for row in engine.query("select distinct coalesce(scope, '') as scope from calls")]
    if rest["lowest"] is not None:
        memory.spans.unread(rest["lowest"], rest["highest"])
        memory.suspects.unread(rest["lowest"], rest["highest"], scopes)
    ids = {"span_id": pa.binary(8), "trace_id": pa.binary(16)}
    for name, kind in ids.items():
        newest = newest.set_column(newest.column_names.index(name), name, newest[name].cast(kind))
    memory.spans.add(newest["start_ns"].to_numpy(), of_ids(newest["span_id"]))
    calls = newest.filter(newest["call"])
    if calls.num_rows:
        memory.suspects.remember(calls)
        memory.suspects.among(calls)
    return memory


class Recalling:
    """On a thread of its own: questions are answered meanwhile."""

    def __init__(self, engine: Engine, nothing: bool = False) -> None:
        self._engine = engine
        self._problem: Exception | None = None
        self._memory = empty(engine)
        self._thread = threading.Thread(target=self._recall, name="telemetry-recall", daemon=True)
        if not nothing and not engine.shared:
            self._thread.start()

    def _recall(self) -> None:
        try:
            self._memory = recalled(self._engine)
        except Exception as problem:  # noqa: BLE001 - raised where somebody needs the memory
            self._problem = problem

    def wait(self) -> None:
        """Until nothing is read any more, and no cursor of it is left."""
        if self._thread.ident is not None:
            self._thread.join()

    def memory(self) -> Memory:
        """What failed is tried once more. Raises what the engine raises."""
        self.wait()
        if self._problem:
            log.warning("what the store holds is recalled once more: %s", self._problem)
            self._memory, self._problem = recalled(self._engine), None
        return self._memory
