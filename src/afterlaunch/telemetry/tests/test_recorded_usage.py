"""Usage as providers sent it: nothing is counted twice, nothing is lost, and the price is the published one."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from tests.real_input import real

from afterlaunch.prices.usage import usage
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, rows, span

PROVIDERS = {"aws_bedrock": "aws.bedrock", "google_gemini": "gcp.gemini", "google_vertex": "gcp.vertex_ai"}
PROVIDERS |= {"azure_openai": "azure.ai.openai", "mistral": "mistral_ai"}


def lines(path: str) -> Iterable[dict[str, Any]]:
    with gzip.open(real(path)) as found:
        yield from map(orjson.loads, found)


def last_usage(told: dict[str, Any]) -> dict[str, Any]:
    """The last object stands, except Anthropic's, whose events are merged key by key."""
    objects = [one["value"] for one in told["provider_usage"]]
    if told["provider"] != "anthropic":
        return dict(objects[-1])
    return {name: value for one in objects for name, value in one.items() if value is not None}


def test_every_providers_usage_adds_up_to_its_own_total() -> None:
    """Telemetry conventions §5.3: what the buckets sum to is what the provider says; else it is marked."""
    told = [one for one in lines("data/llm-wire-cassettes/wire.jsonl.gz") if one["provider_usage"]]
    spans = []
    for number, one in enumerate(told, 1):
        kind = "embeddings" if one["api"] in ("embeddings", "rerank") else "chat"
        provider = PROVIDERS.get(one["provider"], one["provider"])
        attributes = {"gen_ai.operation.name": kind, "gen_ai.provider.name": provider}
        attributes["gen_ai.usage.raw"] = orjson.dumps(last_usage(one)).decode()
        spans.append(span(attributes, number=number))
    found: Counter[str] = Counter()
    by_api: Counter[tuple[str, str]] = Counter()
    for one, row in zip(told, rows(body(*spans)), strict=True):
        native = usage(last_usage(one))
        parts = [row[name] or 0 for name in BUCKETS]
        assert all(part >= 0 for part in parts) and "negative_bucket" not in row["flags"]
        if native is None or row["in_uncached"] is None:
            found["no usage that we know"] += 1
            continue
        total = native.counts.get("total")
        if total is None:
            found["no total is told"] += 1
        elif total == sum(parts):
            found["adds up"] += 1
            by_api[native.shape.name, row["usage_semantics"]] += 1
        else:
            assert "total_mismatch" in row["flags"]
            found["does not, and is marked"] += 1
    print(dict(found), dict(by_api))
    assert found == {"adds up": 1231, "no total is told": 272, "does not, and is marked": 4, "no usage that we know": 5}
    assert by_api["bedrock", "cache exclusive"] and by_api["gemini", "reasoning exclusive"]
    assert not by_api["openai", "cache exclusive"] and not by_api["openai", "reasoning exclusive"]


# Who could parse a body, and who sent it: by the names in it.
MAKERS = {
    "anthropic": ("anthropic", "anthropic"),
    "bedrock": ("aws", "aws.bedrock"),
    "gemini": ("google", "gcp.gemini"),
    "openai": ("openai", "openai"),
    "cohere": ("cohere", "cohere"),
}


def raw_usage(body: dict[str, Any]) -> Any:
    """Where an answer tells its usage; Cohere's embeddings do in `meta`."""
    return next((body[name] for name in ("usage", "usageMetadata", "meta") if body.get(name)), None)


def gold() -> Iterable[tuple[dict[str, Any], Any, list[tuple[dict[str, Any], dict[str, Any]]]]]:
    """(row, our reading, the published readings of the provider that sent it)."""
    for one in lines("data/usage-price-gold/usages.jsonl.gz"):
        told = usage(raw_usage(one["body"]))
        maker = MAKERS.get(told.shape.name, ("", ""))[0] if told else ""
        hits = [(e["usage"], x) for e in one["extracted"] for x in e["extractors"] if x["provider_id"] == maker]
        if told and hits:
            yield one, told, hits


def test_usage_is_extracted_as_published() -> None:
    wrong, right = [], 0
    for one, told, hits in gold():
        n = Counter(told.counts)
        wrote = n["cache_write"] or n["cache_write_5m"] + n["cache_write_1h"]
        heard = n["in_total"] + n["tool_use"] + (0 if told.shape.cache_inside else n["cache_read"] + wrote)
        said = n["out_total"] + (0 if told.shape.reasoning_inside else n["reasoning"])
        ours = (heard, said, n["cache_read"], wrote, n["reasoning"])
        names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens")
        if any(tuple(e.get(name, 0) for name in names) == ours for e, _ in hits):
            right += 1
        else:
            wrong.append(one["idx"])
    assert (right, wrong) == (864, []), "every one of the file"


def test_calls_cost_what_is_published() -> None:
    spans: list[Any] = []
    expected: list[set[int]] = []
    for one, told, hits in gold():
        prices = {Decimal(x["input_price"]) + Decimal(x["output_price"]) for _, x in hits if "output_price" in x}
        model = one.get("model") or one["body"].get("modelVersion")
        if not prices or not model:
            continue
        raw = orjson.dumps(raw_usage(one["body"])).decode()
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": MAKERS[told.shape.name][1]}
        attributes |= {"gen_ai.response.model": model, "gen_ai.usage.raw": raw}
        spans.append(span(attributes, number=len(spans) + 1))
        expected.append({int(-(-price * 10**9 // 1)) for price in prices})
    found = rows(body(*spans))
    apart = [row["model_answered"] for row, costs in zip(found, expected, strict=True) if row["cost_nano"] not in costs]
    assert (len(found), apart) == (536, [])


def test_what_a_gateway_writes_as_openinference_is_read_as_the_wire_had_it() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    expected = []
    for number, one in enumerate(lines("data/wire-to-openinference-spans/pairs.jsonl.gz"), 1):
        told = one["expected_span"]
        made = spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name=told["name"])
        made.status.code = (
            Status.STATUS_CODE_ERROR if told["status"]["code"].endswith("ERROR") else Status.STATUS_CODE_OK
        )
        made.status.message = told["status"].get("message", "")
        for pair in told["attributes"]:
            made.attributes.add(key=pair["key"], value=json_format.ParseDict(pair["value"], AnyValue()))
        for event in told.get("events", ()):
            made.events.add(name=event["name"], time_unix_nano=int(event.get("timeUnixNano", 0)))
        expected.append({pair["key"]: next(iter(pair["value"].values())) for pair in told["attributes"]} | {"": told})
    found = rows(request.SerializeToString())
    for row, told in zip(found, expected, strict=True):
        counts = {
            name: int(told[f"llm.token_count.{name}"])
            for name in ("prompt", "completion")
            if f"llm.token_count.{name}" in told
        }
        heard = sum(row[name] or 0 for name in BUCKETS[:6]) if row["in_uncached"] is not None else None
        said = (row["out_visible"] or 0) + (row["out_reasoning"] or 0) if row["out_visible"] is not None else None
        assert heard == counts.get("prompt"), told["output.value"]
        assert said == counts.get("completion", 0 if row["op_kind"] == "embedding" and heard is not None else None)
        model = told.get("llm.model_name") or told.get("embedding.model_name")
        assert model is None or model in (row["model_answered"], row["model_requested"])
        assert row["failed"] == told[""]["status"]["code"].endswith("ERROR")
        assert (row["error_kind"] == "invalid_request") == row["failed"]
    assert len(found) == 19


def test_langfuse_like_sums_of_everything_are_understood() -> None:
    """Whatever a total includes, the witness tells: each of the five sums."""
    parts = {"gen_ai.usage.cache_read.input_tokens": 30, "gen_ai.usage.reasoning.output_tokens": 7}
    tellings = [
        (110, "inclusive", 70, 3),
        (117, "reasoning exclusive", 70, 10),
        (140, "cache exclusive", 100, 3),
        (147, "exclusive", 100, 10),
    ]
    for total, semantics, fresh, visible in tellings:
        told = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.total_tokens": total}
        (row,) = rows(body(span(told | parts)))
        assert (row["usage_semantics"], row["in_uncached"], row["out_visible"]) == (semantics, fresh, visible)
        assert not row["flags"] & {"total_mismatch", "negative_bucket"}


@pytest.mark.parametrize("path", ["data/llm-wire-cassettes/wire.jsonl.gz"])
def test_limit_headers_of_recorded_answers_are_understood(path: str) -> None:
    spans: list[Any] = []
    headers: list[dict[str, Any]] = []
    for one in lines(path):
        told = {name.lower(): value for name, value in (one["response_headers"] or {}).items()}
        limited = {name: value for name, value in told.items() if "ratelimit" in name or name.startswith("retry-after")}
        if limited:
            attributes = {
                f"http.response.header.{name}": value if isinstance(value, list) else [str(value)]
                for name, value in limited.items()
            }
            spans.append(span(attributes, number=len(spans) + 1))
            headers.append(limited)
    table = normalise(body(*spans), PROTOBUF, "acme", 0).table
    found: Counter[str] = Counter()
    for told, limits, headroom, after in zip(
        headers, *(table[name].to_pylist() for name in ("limits", "limit_headroom", "retry_after_ns")), strict=True
    ):
        if any(name.startswith(("x-ratelimit-limit", "anthropic-ratelimit")) for name in told):
            each = orjson.loads(limits)
            assert all(set(one) <= {"limit", "remaining", "reset_s"} and one for one in each.values())
            assert headroom is None or 0 <= headroom <= 1
            found["limits"] += 1
        if "retry-after" in told:
            assert after is not None and after >= 0
            found["retry-after"] += 1
    print(dict(found))
    assert found["limits"] > 250 and found["retry-after"] == 34
