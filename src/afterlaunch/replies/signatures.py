"""Whether a request is what it says. Pure; over the raw bytes, in constant time, against every secret that is good."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

SKEW = 300  # seconds that Slack's time and ours may differ


def secrets_in(text: str) -> list[str]:
    """Several are good at once while one replaces another: separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def slack(secrets: Iterable[str], timestamp: str, given: str, body: bytes, now: float) -> str:
    """ "valid", or the named reason why not. `now` in Unix seconds."""
    if not timestamp or not given:
        return "header_missing"
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return "timestamp_not_integer"
    if abs(now - int(timestamp)) > SKEW:
        return "timestamp_out_of_tolerance"
    signed = b"v0:" + timestamp.encode() + b":" + body
    wanted = [b"v0=" + hmac.new(one.encode(), signed, hashlib.sha256).hexdigest().encode() for one in secrets]
    return "valid" if _any(wanted, [given]) else "no_signature_matches"


def pagerduty(secrets: Iterable[str], given: str, body: bytes) -> str:
    """The header lists one signature for each secret of theirs."""
    if not given:
        return "header_missing"
    wanted = [b"v1=" + hmac.new(one.encode(), body, hashlib.sha256).hexdigest().encode() for one in secrets]
    return "valid" if _any(wanted, given.split(",")) else "no_signature_matches"


def _any(wanted: Iterable[bytes], given: Iterable[str]) -> bool:
    texts = [one.strip().encode("utf-8", "replace") for one in given]
    matches = [hmac.compare_digest(right, text) for right in wanted for text in texts]  # all of them, every time
    return any(matches)
