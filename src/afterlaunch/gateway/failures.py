"""What kind of failure an upstream's answer is. Pure. The words are telemetry's (`telemetry.conventions.errors`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from afterlaunch.ground import clock

NETWORK, RATE_LIMITED, QUOTA, OVERLOADED = "network", "rate_limited", "quota_exhausted", "overloaded"
PROVIDER, TIMEOUT, AUTH, NO_MODEL = "provider_error", "timeout", "auth", "model_not_found"
CONTEXT, CONTENT, INVALID, BUSY = "context_length", "content_filter", "invalid_request", "busy"
_BY_STATUS = {
    401: AUTH,
    402: QUOTA,
    403: AUTH,
    404: NO_MODEL,
    408: TIMEOUT,
    413: CONTEXT,
    429: RATE_LIMITED,
    503: OVERLOADED,
    504: TIMEOUT,
    529: OVERLOADED,
}
_QUOTA = re.compile(rb"insufficient_quota|billing_hard_limit|credit balance|exceeded your current quota", re.IGNORECASE)
_ROUTER = re.compile(rb"temporarily rate-limited upstream", re.IGNORECASE)
_CONTEXT = re.compile(
    rb"context_length_exceeded|prompt is too long|maximum context length"
    rb"|exceed_context_size|exceeds the (?:available )?context",
    re.IGNORECASE,
)
_CONTENT = re.compile(rb"content_filter|content_policy_violation|ResponsibleAIPolicyViolation")
_BROKEN = {"unreachable": NETWORK, "address-refused": INVALID, "busy": BUSY, "timeout": TIMEOUT}


class Failure(NamedTuple):
    """`wait`: seconds that the upstream asked for, None when it named none. `sent`: the request may have reached it."""

    kind: str
    wait: float | None = None
    sent: bool = True


def of_answer(status: int, headers: Sequence[tuple[bytes, bytes]], said: bytes) -> Failure | None:
    """Of an answer that has begun with `said`; None below 400."""
    if status < 400:
        return None
    kind = _BY_STATUS.get(status) or (PROVIDER if status >= 500 else INVALID)
    if status == 429 and _QUOTA.search(said):
        kind = QUOTA
    elif status == 429 and _ROUTER.search(said):
        kind = OVERLOADED
    elif status in (400, 413, 422):
        kind = CONTEXT if _CONTEXT.search(said) else CONTENT if _CONTENT.search(said) else INVALID
    return Failure(kind, retry_after(headers))


def of_broken(kind: str) -> Failure:
    """Of an upstream that gave no answer; `kind` is that of `Broken`. A lost connection tells not how far it came."""
    return Failure(_BROKEN.get(kind, NETWORK), sent=kind not in ("unreachable", "address-refused", "busy"))


def retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds, from `retry-after-ms`, else `retry-after` (seconds or a date, RFC 9110 §10.2.3)."""
    found = dict(reversed(headers))
    try:
        if b"retry-after-ms" in found:
            return max(0.0, float(found[b"retry-after-ms"]) / 1000)
        if b"retry-after" in found:
            return _seconds(found[b"retry-after"].decode("latin-1").strip())
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return None
    return None


def _seconds(text: str) -> float:
    """Raises ValueError for what is neither."""
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        return float(text)
    return max(0.0, (parsedate_to_datetime(text) - clock.now()).total_seconds())
