"""What went wrong, and whose fault it was: the same for everybody who tells of one failure."""

from __future__ import annotations

import base64
import gzip
from collections import defaultdict
from typing import Any

import orjson
import pytest
from tests.real_input import real

from afterlaunch.telemetry.conventions.errors import FAULTS, classify
from afterlaunch.telemetry.tests.telling import row, rows
from afterlaunch.telemetry.tests.test_decode import FOLDER, RECORDED

KIND_OF_STATUS = {400: "invalid_request", 401: "auth", 404: "model_not_found"}


def test_every_recorded_refusal_is_the_same_kind_from_all_five_scopes() -> None:
    told: dict[tuple[str, int], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in RECORDED:
        with gzip.open(real(f"{FOLDER}/{name}.jsonl.gz")) as lines:
            for one in map(orjson.loads, lines):
                for sent in one["otlp"] if one["http_status"] >= 400 else ():
                    if sent["path"] == "/v1/traces":
                        for found in rows(base64.b64decode(sent["protobuf_base64"])):
                            assert found["failed"], found["scope"]
                            told[one["wire_id"], one["http_status"]][found["scope"]].add(found["error_kind"])
    scopes = {scope for by_scope in told.values() for scope in by_scope}
    for (wire, status), by_scope in told.items():
        kinds = set().union(*by_scope.values())
        assert kinds == {KIND_OF_STATUS[status]}, (wire, status, dict(by_scope))
    print(f"{len(told)} refused calls, {len(scopes)} scopes: {sorted(scopes)}")
    assert len(told) == 23 and len(scopes) == 8


def test_what_failed_after_the_providers_answer_is_the_applications() -> None:
    found = row({"http.response.status_code": 200, "error.type": "TypeError", "gen_ai.operation.name": "chat"})
    assert (found["failed"], found["error_kind"], found["fault"]) == (True, "application", "application")


@pytest.mark.parametrize(
    ("evidence", "kind", "fault"),
    [
        (("inference", 429, None, None), "rate_limited", "provider"),
        (("inference", 429, "insufficient_quota", None), "quota_exhausted", "account"),
        (("inference", 429, None, "provider is temporarily rate-limited upstream"), "overloaded", "provider"),
        (("inference", 529, None, None), "overloaded", "provider"),
        (("inference", 502, None, None), "provider_error", "provider"),
        (("inference", 400, None, "context_length_exceeded: ..."), "context_length", "caller"),
        (("inference", 400, None, None), "invalid_request", "caller"),
        (("inference", 400, None, "content_filter"), "content_filter", "model policy"),
        (("inference", None, "openai.RateLimitError", None), "rate_limited", "provider"),
        (("inference", None, "botocore.errorfactory.ThrottlingException", None), "rate_limited", "provider"),
        (("inference", None, None, "Error code: 404 - {...}"), "model_not_found", "caller"),
        (("inference", None, "httpx.ReadTimeout", None), "timeout", "provider"),
        (("inference", None, "OSError", "Connection reset by peer"), "network", "network"),
        (("inference", None, "json.JSONDecodeError", None), "model_output", "model"),
        (("agent", None, "GraphRecursionError", None), "agent_limit", "application"),
        (("agent", None, "CancelledError", None), "cancelled", "user"),
        (("guardrail", None, None, "refused"), "guardrail_block", "policy"),
        (("other", 403, "guardrail_block", "guardrail_block"), "guardrail_block", "policy"),
        (("inference", 200, "guardrail_block", None), "guardrail_block", "policy"),
        (("tool", None, "RateLimitError", "boom"), "tool_error", "tool"),
        (("tool", 500, None, None), "tool_error", "tool"),
        (("tool", None, "httpx.ConnectTimeout", None), "timeout", "tool"),
        (("retrieval", None, "ValueError", None), "retrieval_error", "retrieval"),
        (("other", None, "ZeroDivisionError", None), "application", "application"),
        (("inference", None, None, None), "unknown", "unknown"),
    ],
)
def test_the_kind_and_the_fault(evidence: tuple[Any, ...], kind: str, fault: str) -> None:
    assert classify(*evidence) == (kind, fault)
    assert kind in FAULTS


def test_grpc_tells_by_its_own_codes() -> None:
    found = row({"gen_ai.operation.name": "chat", "rpc.grpc.status_code": 8})
    assert (found["failed"], found["error_kind"]) == (True, "rate_limited")
    assert row({"rpc.grpc.status_code": 0})["failed"] is False


def test_an_exception_fails_a_span_unless_it_says_that_all_is_well() -> None:
    event = ("exception", 5, {"exception.type": "openai.RateLimitError", "exception.message": "slow down"})
    failed = row({"openinference.span.kind": "LLM"}, events=[event])
    assert (failed["failed"], failed["error_type"], failed["error_kind"]) == (
        True,
        "openai.RateLimitError",
        "rate_limited",
    )
    assert failed["status_message"] == "slow down"
    caught = row({"openinference.span.kind": "LLM"}, events=[event], status=1)
    assert (caught["failed"], caught["error_type"], caught["error_kind"]) == (False, None, None)
