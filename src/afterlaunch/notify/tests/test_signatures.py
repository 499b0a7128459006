from __future__ import annotations

import json

import pytest
from tests.real_input import real

from afterlaunch.notify.rules import Outcome, after, judge_status
from afterlaunch.notify.webhook.signing import sign, verify


def test_the_published_webhook_signature_is_ours() -> None:
    row = json.loads(real("vectors/incidents/signatures.json").read_text())["standard_webhooks"]
    stamp, body, secret = row["webhook-timestamp"], row["body"].encode(), row["secret"]
    assert sign(secret, row["webhook-id"], stamp, body) == row["webhook-signature"]
    assert sign(secret.removeprefix("whsec_"), row["webhook-id"], stamp, body) == row["webhook-signature"]
    headers = {name: str(row[name]) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    assert verify(secret, headers, body, stamp) == "valid"
    several = {**headers, "webhook-signature": f"v2,abc v1,zzz {row['webhook-signature']}"}
    assert verify(secret, several, body, stamp) == "valid"
    for missing in headers:
        assert verify(secret, {k: v for k, v in headers.items() if k != missing}, body, stamp) == "header_missing"
    assert verify(secret, {**headers, "webhook-timestamp": "soon"}, body, stamp) == "timestamp_not_integer"
    for now in (stamp + 301, stamp - 301):
        assert verify(secret, headers, body, now) == "timestamp_out_of_tolerance"
    assert verify(secret, headers, body + b" ", stamp) == "no_signature_matches"


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "accepted"), (204, "accepted"), (302, "permanent"), (400, "permanent"), (410, "permanent")]
    + [(status, "temporary") for status in (408, 425, 429, 500, 503)],
)
def test_anything_but_2xx_is_a_failure(status: int, result: str) -> None:
    assert judge_status(status).result == result


def test_retries_wait_5_15_30_60_seconds_then_the_next_method_is_tried() -> None:
    steps = [after(Outcome("temporary"), attempt) for attempt in range(1, 6)]
    assert [step.wait for step in steps[:4]] == [5, 15, 30, 60] and steps[4].reason == "retries_exhausted"
    assert after(judge_status(429, retry_after="40"), 1).wait == 40
    assert after(judge_status(503, retry_after="9000"), 1).wait == 60
