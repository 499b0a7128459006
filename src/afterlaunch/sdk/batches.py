"""Tables of predictions and labels, sent whole: a call that a person or a nightly job makes, so it waits and raises."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from .posting import NotTaken, Taken, post
from .start import destination
from .tables import Table, by_time, read, rows_within, with_vectors

ROWS, COLUMNS, CELLS = 500_000, 500, 20_000_000  # of one body, as the server has it
ID, TIME, LABEL, SOURCE = "prediction_id", "time", "label", "source"
MEANING = {
    ID: "which says which rows are the same prediction",
    TIME: "when each was made, with a zone",
    LABEL: "what the prediction should have been",
}


def log_predictions(
    data: Any,
    *,
    embeddings: Any = None,
    system: str | int | None = None,
    environment: str | None = None,
    client: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    max_body_mb: float = 16.0,
    patience: float = 120.0,
) -> Taken:
    """Send predictions: a DataFrame of pandas or polars, a pyarrow Table, a dict of columns, or dicts, with the columns
    `prediction_id` and `time`, `model_version` where there is one, and features and outputs. `embeddings` are vectors
    in the order of the rows (an array of two dimensions, or lists), the column `embedding`; a dict names several.

    `system` is a name, with its `client` for tokens of all clients, or the system's number. What is not given is what
    `init` was given, then AFTERLAUNCH_…. A large table goes in bodies of at most `max_body_mb`, each with a key made
    of what it holds: the same call again changes nothing. Waits up to `patience` seconds for a server that is busy or
    away. Raises ValueError or TypeError for a table that cannot be sent, NotTaken where the server does not take it.
    """
    given = embeddings if isinstance(embeddings, Mapping) or embeddings is None else {"embedding": embeddings}
    table = with_vectors(_required(read(data), (ID, TIME)), given or {})
    url, headers = _where("predictions", system, environment, client, endpoint, token)
    return _send(table, headers, lambda _: url, max_body_mb, patience)


def log_labels(
    data: Any,
    *,
    complete_until: datetime | None = None,
    system: str | int | None = None,
    environment: str | None = None,
    client: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    max_body_mb: float = 16.0,
    patience: float = 120.0,
) -> Taken:
    """Send labels as `log_predictions` sends predictions, with the columns `prediction_id`, `label` and `time` (when it
    was labelled), and `source` where it is not the token's name.

    `complete_until` says that the sources of the table have labelled every prediction until then that they ever will.
    It goes with the last body; a table of several sources that needs more than one body raises ValueError.
    """
    table = _required(read(data), (ID, LABEL, TIME))
    url, headers = _where("labels", system, environment, client, endpoint, token)
    if complete_until is None:
        return _send(table, headers, lambda _: url, max_body_mb, patience)
    if complete_until.tzinfo is None:
        raise ValueError("complete_until has no time zone")
    said = f"{url}{'&' if '?' in url else '?'}{urlencode({'complete_until': complete_until.isoformat()})}"

    def at(last: bool) -> str:
        if last:
            return said
        if SOURCE in table.names and len(set(table.values(SOURCE))) > 1:
            raise ValueError("Labels of several sources need more than one body: send each source with its own call.")
        return url

    return _send(table, headers, at, max_body_mb, patience)


def _required(table: Table, names: tuple[str, ...]) -> Table:
    lacking = [name for name in names if name not in table.names]
    if lacking:
        told = "; ".join(f"no column {name!r}, {MEANING[name]}" for name in lacking)
        raise ValueError(f"There is {told}. The columns are: {', '.join(table.names[:20]) or 'none'}.")
    if not table.count:
        raise ValueError("The table has no rows.")
    if len(table.names) > COLUMNS:
        raise ValueError(f"A table may have {COLUMNS} columns; this one has {len(table.names)}.")
    return table


def _where(
    what: str,
    system: str | int | None,
    environment: str | None,
    client: str | None,
    endpoint: str | None,
    token: str | None,
) -> tuple[str, dict[str, str]]:
    base, headers, told = destination(endpoint, token, {"environment": environment, "client": client})
    query = {"environment": told.get("environment"), "client": None, "system": None}
    path = f"/api/v1/{what}"
    if isinstance(system, int):
        path = f"/api/v1/systems/{system}/{what}"
    else:
        query |= {"client": told.get("client"), "system": system or told.get("system")}
        if not query["system"]:
            raise ValueError("Name the system: system=…, afterlaunch.init(system=…) or AFTERLAUNCH_SYSTEM.")
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{base}{path}" + (f"?{given}" if given else ""), headers


def _send(table: Table, headers: dict[str, str], url: Callable[[bool], str], most: float, patience: float) -> Taken:
    """`url` of a body, told whether it is the last. What does not fit is ordered by time and halved."""
    limit, taken = int(most * 2**20), Taken()
    parts = -(-table.count // min(ROWS, max(1, CELLS // len(table.names)), rows_within(table, limit)))
    ordered = parts > 1
    table = by_time(table, TIME) if ordered else table
    bounds = [table.count * at // parts for at in range(parts + 1)]
    waiting = deque(pairwise(bounds))
    while waiting:
        start, stop = waiting.popleft()
        body = table.encoded(start, stop)
        try:
            if len(body) > limit:
                raise NotTaken(f"One row is larger than {most:g} MiB.", 413)
            told = _posted(url(not waiting), headers, table.content_type, body, patience)
        except NotTaken as problem:
            if problem.status == 413 and stop - start > 1:
                table, ordered = (table, True) if ordered else (by_time(table, TIME), True)
                middle = (start + stop) // 2
                waiting.extendleft([(middle, stop), (start, middle)])
                continue
            raise _explained(problem, taken, start, stop, table.count, ordered) from None
        taken = _with(taken, told)
    return taken


def _posted(url: str, headers: dict[str, str], kind: str, body: bytes, patience: float) -> dict[str, Any]:
    key = hashlib.sha256(body).hexdigest()
    return post(url, {**headers, "Content-Type": kind, "Idempotency-Key": f"sdk-{key}"}, body, patience)


def _with(taken: Taken, told: dict[str, Any]) -> Taken:
    more = replace(taken, bodies=taken.bodies + 1)
    if told.get("duplicate"):
        return replace(more, duplicates=taken.duplicates + int(told["rows"]))
    return replace(
        more,
        rows=taken.rows + int(told["rows"]),
        columns_ignored=list(dict.fromkeys([*taken.columns_ignored, *told.get("columns_ignored", [])])),
        columns_missing=list(dict.fromkeys([*taken.columns_missing, *told.get("columns_missing", [])])),
    )


def _explained(problem: NotTaken, taken: Taken, start: int, stop: int, count: int, ordered: bool) -> NotTaken:
    said = [str(problem)]
    if stop - start < count:
        order = " in the order of time" if ordered else ""
        said.append(f"Said of rows {start + 1:,} to {stop:,} of {count:,}{order}.")
    if taken.bodies:
        said.append(f"{taken.rows + taken.duplicates:,} rows were taken; the same call again sends the rest.")
    found = NotTaken(" ".join(said), problem.status)
    found.taken = taken
    return found
