"""What a stored span tells of limits, documents and arguments: from its columns, else from the attributes it was sent
with. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from afterlaunch.ground import clock

Row = Mapping[str, Any]
HEADER = "http.response.header."
_LIMIT = re.compile(
    r"^(?:x-ratelimit|ratelimit)-(limit|remaining|reset)(?:-([a-z-]+))?$"
    r"|^anthropic-ratelimit-([a-z-]+)-(limit|remaining|reset)$"
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNIT = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DOCUMENT = re.compile(r"^retrieval\.documents\.(\d+)\.document\.(id|metadata|score)$")
_TIMES = ("updated_at", "last_modified", "indexed_at")
CACHE = ("retrieval.cache.hit", "gen_ai.retrieval.cache_hit", "cache.hit")
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


def seconds(text: str | None, at: datetime) -> float | None:
    """Of a header: seconds, a duration (6m0s), or an instant (ISO, HTTP date)."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    parts = _SPAN.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNIT[unit] for number, unit in parts)
    then = instant(text)
    if then is None:
        try:
            then = parsedate_to_datetime(text)
        except ValueError:
            return None
    return max(0.0, (then.astimezone(UTC) - at).total_seconds())


def instant(text: Any) -> datetime | None:
    """RFC 3339, a date, or seconds since 1970."""
    if isinstance(text, int | float) or (isinstance(text, str) and re.fullmatch(r"\d{9,11}(\.\d+)?", text)):
        return datetime.fromtimestamp(float(text), UTC)
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def limits(row: Row) -> dict[str, dict[str, float]]:
    """Kind of limit (requests, tokens, …) -> limit, remaining, reset_s, as the headers told them."""
    told = parsed(row.get("limits"))
    if isinstance(told, dict):
        return told
    out: dict[str, dict[str, float]] = {}
    at = clock.from_ns(row["start_ns"])
    for name, text in headers(row).items():
        if found := _LIMIT.match(name):
            part, kind = (found[1], found[2] or "requests") if found[1] else (found[4], found[3])
            value = seconds(text, at) if part == "reset" else _number(text)
            if value is not None:
                out.setdefault(kind, {})["reset_s" if part == "reset" else part] = value
    return out


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def retry_after(row: Row) -> float | None:
    """Seconds that the provider asked to wait."""
    if row.get("retry_after_ns") is not None:
        return float(row["retry_after_ns"]) / 1e9
    told = headers(row)
    if (milliseconds := _number(told.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    return seconds(told.get("retry-after"), clock.from_ns(row["start_ns"]))


def headroom(row: Row) -> float | None:
    """The remaining share of the tightest limit, 0 to 1."""
    if row.get("limit_headroom") is not None:
        return float(row["limit_headroom"])
    shares = [
        one["remaining"] / one["limit"] for one in limits(row).values() if one.get("limit") and "remaining" in one
    ]
    return min(shares, default=None)


def documents(row: Row) -> list[dict[str, Any]] | None:
    """What a retrieval found, by rank: id, updated (an instant or None). None when it does not tell."""
    if row.get("document_ids") is not None:
        times = row.get("document_updated_ns") or []
        return [
            {"id": one, "updated": clock.from_ns(times[at]) if at < len(times) and times[at] is not None else None}
            for at, one in enumerate(row["document_ids"])
        ]
    if row.get("document_count") == 0:
        return []
    told = attributes(row)
    listed = parsed(told.get("gen_ai.retrieval.documents"))
    if isinstance(listed, list):
        return [_document(one) for one in listed]
    family: dict[int, dict[str, Any]] = {}
    for key, text in told.items():
        if found := _DOCUMENT.match(key):
            part = family.setdefault(int(found[1]), {})
            if found[2] != "metadata":
                part[found[2]] = text
            elif isinstance(meta := parsed(text), dict):
                part.update(meta)
    return [_document(family[number]) for number in sorted(family)] or None


def _document(one: Any) -> dict[str, Any]:
    if not isinstance(one, dict):
        return {"id": str(one), "updated": None}
    inner = one.get("metadata")
    meta: dict[str, Any] = {**(inner if isinstance(inner, dict) else {}), **one}
    times = [instant(meta[name]) for name in _TIMES if meta.get(name)]
    return {"id": str(meta.get("id", "")), "updated": next((at for at in times if at), None)}


def cache_hit(row: Row) -> bool | None:
    """Whether a retrieval was answered from a cache; None when it does not tell, which is no miss."""
    if row.get("cache_hit") is not None:
        return bool(row["cache_hit"])
    told = attributes(row)
    text = next((told[key] for key in CACHE if key in told), None)
    return None if text is None else text.strip().lower() in ("true", "1", "yes")


def index_updated(row: Row) -> datetime | None:
    if row.get("index_updated_ns") is not None:
        return clock.from_ns(row["index_updated_ns"])
    told = attributes(row)
    return instant(told.get("retrieval.index.updated_at")) or instant(told.get("retrieval.index.version"))


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
