"""Slack's Web API: one method, judged. A 200 with "ok": false is a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.notify.json_calls import TOTAL, call, document_in
from afterlaunch.notify.rules import Outcome, judge_status, seconds_to_wait

API = "https://slack.com/api"
PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
     "team_added_to_org"}
)  # fmt: skip


def ask(
    base: str, method: str, token: str, document: Mapping[str, Any], total: float = TOTAL
) -> tuple[Outcome, dict[str, Any]]:
    """What came of it, and the document that Slack answered with."""
    answer = call(f"{base}/{method}", document, [("Authorization", f"Bearer {token}")], total)
    if isinstance(answer, Outcome):
        return answer, {}
    judged = judge_status(answer.status, answer.body, answer.headers.get("retry-after"))
    if judged.result != "accepted":
        return judged, {}
    told = document_in(answer)
    if told.get("ok") is True:
        return Outcome("delivered", f"{method}: ok", receipt=str(told.get("ts", ""))), told
    error = str(told.get("error") or "no JSON with ok: true")
    wait = seconds_to_wait(answer.headers.get("retry-after"))
    return Outcome("temporary" if error in PASSING else "permanent", f"{method}: {error}", wait), told
