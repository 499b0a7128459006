"""How a span ended: failed or not, and why. Status unset is success unless something else says otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Ints
from afterlaunch.telemetry.conventions.arrow import capped, lengths, nulls, valid, without
from afterlaunch.telemetry.conventions.errors import classify
from afterlaunch.telemetry.conventions.tokens import Count


def endings(out: dict[str, Any], http: Count) -> dict[str, Any]:
    """Reads `status`, `status_message`, `error_type`, `op_kind` and `events` of `out`."""
    count = len(http.values)
    failed = (out["status"].to_numpy() == 2) | valid(out["error_type"]) | (http.known & (http.values >= 400))
    message = out["status_message"]
    told = {
        "failed": pa.array(failed),
        "http_status": pa.array(http.values.astype(np.int16), pa.int16(), mask=~http.known),
        "status_message": capped(without(message, lengths(message) == 0)),
    }
    if not failed.any():
        return told | {"error_kind": nulls(count, pa.string()), "fault": nulls(count, pa.string())}
    return told | _reasons(out, http, np.flatnonzero(failed), count)


def _reasons(out: dict[str, Any], http: Count, rows: Ints, count: int) -> dict[str, Any]:
    """By distinct evidence."""
    where = pa.array(rows)
    types, messages, kinds, events = (
        out[name].take(where).to_pylist() for name in ("error_type", "status_message", "op_kind", "events")
    )
    types = [told or _exception_type(event) for told, event in zip(types, events, strict=True)]
    status = np.where(http.known[rows], http.values[rows], -1).tolist()
    evidence = list(zip(kinds, status, types, messages, strict=True))
    known = {key: number for number, key in enumerate(dict.fromkeys(evidence))}
    found = [classify(kind, code if code >= 0 else None, error, said) for kind, code, error, said in known]
    place = np.full(count, -1)
    place[rows] = [known[key] for key in evidence]
    at = pa.array(place, mask=place < 0)
    columns = ([error for _, _, error, _ in known], *zip(*found, strict=True))
    names = ("error_type", "error_kind", "fault")
    return {name: pa.array(column, pa.string()).take(at) for name, column in zip(names, columns, strict=True)}


def _exception_type(events: str | None) -> str | None:
    for event in orjson.loads(events) if events else []:
        if event["name"] == "exception":
            return str(event["attributes"].get("exception.type", "")) or None
    return None
