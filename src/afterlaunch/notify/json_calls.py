"""One JSON request to a provider, judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from afterlaunch.ground.outbound import Answer, Refused, Unreachable, post
from afterlaunch.notify.rules import Outcome

TOTAL = 10.0  # seconds for one exchange, a third of a lease
LIMIT = 256 * 1024  # bytes of an answer


def call(url: str, document: Any, headers: Sequence[tuple[str, str]] = (), total: float = TOTAL) -> Answer | Outcome:
    """The answer, or why there was none."""
    told = [("Content-Type", "application/json; charset=utf-8"), *headers]
    try:
        return post(url, orjson.dumps(document), told, total, LIMIT)
    except Refused as problem:
        return Outcome("permanent", problem.message)
    except Unreachable as problem:
        return Outcome("temporary", str(problem))


def document_in(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; empty when it holds none."""
    try:
        told = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
