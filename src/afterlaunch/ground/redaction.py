"""Nothing secret in a log: what looks like a credential is cut out of every line, tracebacks included."""

from __future__ import annotations

import logging
import re

_GONE = "…"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # links that act, or show, without signing in
    (
        re.compile(
            r"(/(?:sign-in|ack|link|hooks/retraining|calendars|ping|status(?:/(?:confirm|unsubscribe))?)/)[^\s\"'?]+"
        ),
        r"\1" + _GONE,
    ),
    (re.compile(r"\b(alt_|ali_|whsec_|sk-|xox[a-z]-)[A-Za-z0-9_+/=-]{8,}"), r"\1" + _GONE),
    (re.compile(r"\b(al_[0-9a-f]{4,}_)[0-9a-f]+"), r"\1" + _GONE),  # a caller key: its id may stay
    (re.compile(r"\b([Bb]earer\s+|Basic\s+)[A-Za-z0-9._~+/=-]{6,}"), r"\1" + _GONE),
    (re.compile(r"\b((?:x-api-key|authorization|cookie)['\"]?\s*[:=]\s*['\"]?)[^\s'\",}]{6,}", re.I), r"\1" + _GONE),
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]+@"), r"\1" + _GONE + "@"),  # a password within an address
    (re.compile(r"(hooks\.slack\.com/services/)[^\s\"']+"), r"\1" + _GONE),
)


def masked(text: str) -> str:
    """`text` with every credential that we know the look of cut out."""
    for pattern, kept in _SECRETS:
        text = pattern.sub(kept, text)
    return text


class Masking(logging.Formatter):
    """A formatter whose whole line, traceback and all, goes through `masked`."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))
