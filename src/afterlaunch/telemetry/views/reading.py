"""What the columns of a stored span tell of limits and documents, and what its attributes tell of judgements. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from afterlaunch.ground import clock

Row = Mapping[str, Any]
HEADER = "http.response.header."
RELEVANT = "afterlaunch.retrieval.relevant_ids"


def attributes(row: Row) -> dict[str, str]:
    told = row.get("attributes")
    return told if isinstance(told, dict) else dict(told or {})


def parsed(text: Any) -> Any:
    """JSON text as what it says; None for anything else."""
    if not isinstance(text, str | bytes) or not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def headers(row: Row) -> dict[str, str]:
    """Response headers by lower-case name; the first value of each."""
    out = {}
    for key, text in attributes(row).items():
        if key.startswith(HEADER):
            value = parsed(text)
            first = value[0] if isinstance(value, list) and value else text
            out[key.removeprefix(HEADER).lower()] = str(first)
    return out


def limits(row: Row) -> dict[str, dict[str, float]]:
    """Kind of limit (requests, tokens, …) -> limit, remaining, reset_s; unknown parts are absent."""
    told = parsed(row["limits"])
    return told if isinstance(told, dict) else {}


def documents(row: Row) -> list[dict[str, Any]] | None:
    """What a retrieval found, by rank: id, updated (an instant or None). None when it does not tell."""
    if row["document_ids"] is None:
        return [] if row["document_count"] == 0 else None
    times = row["document_updated_ns"] or []
    return [
        {"id": one, "updated": clock.from_ns(times[at]) if at < len(times) and times[at] is not None else None}
        for at, one in enumerate(row["document_ids"])
    ]


def relevant(row: Row) -> dict[str, float] | None:
    """Document id -> gain, of a retrieval whose right answer is known."""
    told = parsed(attributes(row).get(RELEVANT))
    if isinstance(told, list):
        return {str(one): 1.0 for one in told}
    if isinstance(told, dict):
        return {str(key): float(gain) for key, gain in told.items() if isinstance(gain, int | float)}
    return None


def digest(text: str | None) -> str | None:
    """Of a tool's arguments: the same for the same ones, whatever the order of their keys."""
    if not text:
        return None
    value = parsed(text)
    whole = orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if value is not None else text.encode()
    return hashlib.blake2b(whole, digest_size=8).hexdigest()
