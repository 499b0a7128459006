"""How a span ended: failed or not, and why. Status unset is success unless something else says otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Ints
from afterlaunch.telemetry.conventions.arrow import capped, lengths, nulls, without
from afterlaunch.telemetry.conventions.attributes import Reading, Words
from afterlaunch.telemetry.conventions.errors import classify
from afterlaunch.telemetry.conventions.events import Events

OK, ERROR = 1, 2  # OTLP status codes
EVIDENCE = ("op_kind", "error_type", "status_message", "said", "code")


def endings(
    reading: Reading, events: Events, words: Words, text: dict[str, Any], out: dict[str, Any]
) -> dict[str, Any]:
    """Reads `status`, `status_message`, `op_kind` and `error_type` of `out`."""
    count = reading.count
    (http, http_known), (grpc, grpc_known) = reading.integer("http_status"), reading.integer("grpc_status")
    status = out["status"].to_numpy()
    # An error that only an event tells was perhaps caught: the span's own "ok" beats it.
    by_event = events.exceptions() & (status != OK) if events.all else np.zeros(count, bool)
    told = reading.layers[0].places("error_type")
    failed = (status == ERROR) | (http_known & (http >= 400)) | by_event | words.among("level", "error")
    failed |= (grpc_known & (grpc > 0)) | (False if told is None else told >= 0)
    message = out["status_message"]
    said = capped(without(message, lengths(message) == 0))
    known = http_known & (http < 1000)
    columns = {
        "failed": pa.array(failed),
        "http_status": pa.array(np.where(known, http, 0).astype(np.int16), mask=~known),
        "status_message": said,
        "error_type": out["error_type"] if not events.all else without(out["error_type"], ~failed),
        "error_kind": nulls(count, pa.string()),
        "fault": nulls(count, pa.string()),
    }
    if not failed.any():
        return columns
    evidence = {name: out[name] for name in ("op_kind",)} | {"error_type": columns["error_type"]}
    evidence |= {
        "status_message": said,
        "said": text["error_message"],
        "code": words.columns(("error_code",))["error_code"],
    }
    statuses = np.where(http_known, http, -1), np.where(grpc_known, grpc, 0)
    return columns | _reasons(evidence, statuses, np.flatnonzero(failed), count)


def _reasons(evidence: dict[str, Any], statuses: tuple[Ints, Ints], rows: Ints, count: int) -> dict[str, Any]:
    """By distinct evidence."""
    where = pa.array(rows)
    kinds, types, messages, said, codes = (
        [None] * len(rows) if (one := evidence[name]).null_count == count else one.take(where).to_pylist()
        for name in EVIDENCE
    )
    messages = [message or other for message, other in zip(messages, said, strict=True)]
    http, grpc = (one[rows].tolist() for one in statuses)
    keys = list(zip(kinds, http, grpc, types, codes, messages, strict=True))
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    found = [
        classify(kind, status if status >= 0 else None, error, _joined(message, code), code_of_grpc or None)
        for kind, status, code_of_grpc, error, code, message in known
    ]
    place = np.full(count, -1)
    place[rows] = [known[key] for key in keys]
    at = pa.array(place, mask=place < 0)
    names = ("error_kind", "fault")
    out = {
        name: pa.array(column, pa.string()).take(at)
        for name, column in zip(names, zip(*found, strict=True), strict=True)
    }
    if any(message is not None for message in said):
        out["status_message"] = pc.coalesce(
            evidence["status_message"], pa.array([key[-1] for key in known], pa.string()).take(at)
        )
    return out


def _joined(message: str | None, code: str | None) -> str | None:
    """A code of the provider's is looked at like a word of the message."""
    return f"{message or ''} {code}" if code else message
