"""What an attempt has come to: its state, its tokens, and what its budgets are charged."""

from __future__ import annotations

from functools import lru_cache

from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.protocols import Protocol
from afterlaunch.gateway.report import Attempt
from afterlaunch.gateway.spending.budgets import Budgets
from afterlaunch.gateway.upstream import Head
from afterlaunch.gateway.usage import Tokens

_MAY_BE_BILLED = frozenset(("timeout", "connection_lost", "invalid_response"))  # the provider may have worked on it


def content_of(head: Head) -> tuple[str, str]:
    """Content type and encoding, lower case."""
    told = dict(head.headers)
    encoding = told.get(b"content-encoding")
    return _text(told.get(b"content-type", b"")), _coding(encoding) if encoding else ""


@lru_cache(maxsize=256)
def _text(value: bytes) -> str:
    return value.decode("latin-1").strip().lower()


def _coding(value: bytes) -> str:
    text = _text(value)
    return "" if text == "identity" else text


def conclude(attempt: Attempt, tokens: Tokens | None, wire: Protocol, estimator: Estimator, tenant: str) -> None:
    """State and tokens, from what was read of its answer; what is not known is estimated, where it can be."""
    reading, sse = attempt.reading, attempt.sse
    assert reading is not None
    if attempt.status is not None and attempt.status >= 400:
        attempt.state, attempt.error = "upstream-error", reading.error or str(attempt.status)
    elif attempt.state == "complete" and reading.error and sse:
        attempt.state, attempt.error = "upstream-error", reading.error
    elif attempt.state == "complete" and sse and wire.operation and not reading.ended:
        attempt.state, attempt.error = "upstream-cut", "stream_cut"
    attempt.tokens = tokens
    model = reading.model or attempt.model
    events = reading.events - reading.ended if sse else 0  # the last one has no content
    if model is None or wire.operation is None:
        return
    if tokens is not None:
        estimator.learn(model, tenant, attempt.sent_bytes, events, tokens)
    elif events and attempt.state != "upstream-error":
        attempt.estimate = estimator.estimate(model, tenant, attempt.sent_bytes, events)


def settle(budgets: Budgets, attempt: Attempt) -> None:
    """Once for each attempt that holds a reservation, and nothing for others. An error's answer costs nothing, one
    within a stream does."""
    hold, attempt.hold = attempt.hold, None
    if hold is not None:
        answered = attempt.tokens is not None or (attempt.sse and attempt.status == 200)
        free = attempt.state == "upstream-error" and not answered and attempt.error not in _MAY_BE_BILLED
        estimate = attempt.estimate[0] if attempt.estimate else None
        budgets.settle(hold, attempt.tokens, estimate, charged=not free)
