"""Rate limits as the provider's response headers tell them (telemetry conventions §8.4).

Captured headers stand in `http.response.header.NAME` (a list of strings). Which limit: requests, tokens, input-tokens,
…; `reset` comes as seconds, as a duration (`6m0s`) or as an instant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Ints
from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.attributes import Layer
from afterlaunch.telemetry.conventions.inside import parsed

COLUMNS = {
    "limits": pa.string(),
    "limit_type": pa.string(),
    "limit_headroom": pa.float64(),
    "retry_after_ns": pa.int64(),
}
_OPENAI = re.compile(r"(?:x-)?ratelimit-(limit|remaining|reset)(?:-(.+))?")
_ANTHROPIC = re.compile(r"anthropic-ratelimit-(.+)-(limit|remaining|reset)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True)
class Limits:
    """`each`: limit type -> limit, remaining (counts), reset_s; unknown parts are absent."""

    each: dict[str, dict[str, float]]
    retry_after_s: float | None = None

    def tightest(self) -> tuple[str, float] | None:
        """(type, remaining share) of the limit that is nearest."""
        shares = [
            (told["remaining"] / told["limit"], kind)
            for kind, told in self.each.items()
            if told.get("limit") and "remaining" in told
        ]
        return (min(shares)[1], min(1.0, min(shares)[0])) if shares else None


def limits(headers: dict[str, str], at_s: float) -> Limits:
    """`headers` in lower case; `at_s`: when they came, in seconds since 1970."""
    each: dict[str, dict[str, float]] = {}
    for name, text in headers.items():
        if found := _OPENAI.fullmatch(name):
            what, kind = found[1], found[2] or "requests"
        elif found := _ANTHROPIC.fullmatch(name):
            what, kind = found[2], found[1]
        else:
            continue
        value = seconds_until(text, at_s) if what == "reset" else _count(text)
        if value is not None:
            each.setdefault(kind, {})["reset_s" if what == "reset" else what] = value
    wait = _count(headers.get("retry-after-ms", ""))
    after = wait / 1000 if wait is not None else seconds_until(headers.get("retry-after", ""), at_s)
    return Limits(each, after)


def _count(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < 2**53 else None


def seconds_until(text: str, at_s: float) -> float | None:
    """Seconds, a duration, an ISO time or an HTTP date, as seconds from now; None for anything else."""
    text = text.strip()
    if (plain := _count(text)) is not None:
        # A large number is an instant: no provider makes anybody wait for years.
        return max(0.0, plain - at_s) if plain > 1e9 else plain
    if text and not _DURATION.sub("", text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    instant = _instant(text)
    return None if instant is None else max(0.0, instant.timestamp() - at_s)


def _instant(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
        except (ValueError, TypeError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def limit_columns(layer: Layer, start_ns: Ints, duration: Any) -> dict[str, Any]:
    """What the headers of each span told when it ended."""
    members = layer.plan.families.get("header", ())
    told: dict[int, dict[str, str]] = {}
    for code, member in members:
        owners, places = layer.of_key(code)
        for owner, text in zip(owners.tolist(), layer.values.texts(places).to_pylist(), strict=True):
            told.setdefault(owner, {})[member.path] = _first(text)
    if not told:
        return {name: nulls(layer.count, kind) for name, kind in COLUMNS.items()}
    end_ns = start_ns + duration.fill_null(0).to_numpy()
    rows: dict[str, list[Any]] = {name: [None] * layer.count for name in COLUMNS}
    for owner, headers in told.items():
        found = limits(headers, float(end_ns[owner]) / 1e9)
        if found.each:
            rows["limits"][owner] = orjson.dumps(found.each).decode()
        if near := found.tightest():
            rows["limit_type"][owner], rows["limit_headroom"][owner] = near
        if found.retry_after_s is not None and found.retry_after_s < 1e9:
            rows["retry_after_ns"][owner] = round(found.retry_after_s * 1e9)
    return {name: pa.array(rows[name], kind) for name, kind in COLUMNS.items()}


def _first(text: str | None) -> str:
    values = parsed(text) if (text or "").startswith("[") else None
    return str(values[0]) if isinstance(values, list) and values else text or ""
