"""The mapping as the table says: a plain reading of the table, span by span, gives what the columns hold."""

from __future__ import annotations

import gzip
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import conventions
from afterlaunch.telemetry.anyvalues import text_of
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.conventions.plan import is_known
from afterlaunch.telemetry.conventions.table import As, source
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, row, rows, span, text
from afterlaunch.telemetry.tests.test_decode import RECORDED, recorded

FIELD = {field.name: field for field in FIELDS}
AS_SENT: tuple[str, ...] = (
    "model_requested",
    "response_id",
    "previous_response_id",
    "session",
    "user",
    "tenant",
    "workflow",
)
AS_SENT += ("prompt_name", "prompt_version", "arm", "tool_call_id", "data_source", "agent_version")
"""Fields that a column holds as the sender wrote them, whatever else the span tells."""


def first_present(field: str, told: dict[str, Any]) -> str | None:
    """The table, read plainly: an empty text is absent, the first present source wins."""
    for one in FIELD[field].sources:
        value = told.get(one.key)
        if not one.path and not one.where and value not in (None, "", "<REDACTED>"):
            return text_of(value)
    return None


def keys_of(*fields: str) -> list[str]:
    return [one.key for name in fields for one in FIELD[name].sources if not one.path and not one.where]


plain_values = st.one_of(st.text(max_size=6), st.integers(-5, 5), st.booleans(), st.just("<REDACTED>"), st.floats(0, 2))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.dictionaries(st.sampled_from(keys_of(*AS_SENT)), plain_values, max_size=8), min_size=1, max_size=5))
def test_the_first_present_source_wins(spans: list[dict[str, Any]]) -> None:
    found = rows(body(*(span(told, number=n + 1) for n, told in enumerate(spans))))
    for told, one in zip(spans, found, strict=True):
        assert {name: one[name] for name in AS_SENT} == {name: first_present(name, told) for name in AS_SENT}


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(keys_of(*(field.name for field in FIELDS))), plain_values, max_size=12))
def test_nothing_that_was_sent_is_lost(told: dict[str, Any]) -> None:
    """Whatever no column holds as it was sent stays with the attributes; counts are in the buckets, or stay."""
    found = row(told)
    held_text = " ".join(
        str(one)
        for name, value in found.items()
        if name not in ("attributes", "name")
        for one in (value if isinstance(value, list) else [value])
    )
    numbers = {
        one.key for field in FIELDS if field.read in (As.COUNT, As.NUMBER, As.FLAG, As.SIGNED) for one in field.sources
    }
    kinds = {
        one.key
        for name in (
            "operation",
            "openinference_kind",
            "langfuse_type",
            "traceloop_kind",
            "request_type",
            "vercel_operation",
            "claude_type",
            "logfire_type",
            "finish_reason",
            "provider",
        )
        for one in FIELD[name].sources
    }
    for key, value in told.items():
        if key in found["attributes"] or value in ("", "<REDACTED>") or key in numbers or key in kinds:
            continue
        sent = text_of(value)
        assert sent in held_text or text(sent)[1:-1] in held_text or sent.strip().lower() in held_text, key


@pytest.mark.parametrize("name", RECORDED)
def test_order_of_spans_and_attributes_does_not_matter(name: str) -> None:
    for number, data in enumerate(recorded(name)):
        if number >= 25:
            break
        expected = sorted(rows(data), key=lambda one: one["span_id"])
        request = ExportTraceServiceRequest.FromString(data)
        chance = random.Random(number)
        for group in request.resource_spans:
            for scoped in group.scope_spans:
                shuffled = list(scoped.spans)
                chance.shuffle(shuffled)
                del scoped.spans[:]
                scoped.spans.extend(shuffled)
                for one in scoped.spans:
                    pairs = list(one.attributes)
                    chance.shuffle(pairs)
                    del one.attributes[:]
                    one.attributes.extend(pairs)
        found = sorted(rows(request.SerializeToString()), key=lambda one: one["span_id"])
        assert found == expected


def test_bodies_together_are_mapped_as_each_alone() -> None:
    bodies = [data for name in RECORDED for data in list(recorded(name))[:10]]
    alone = [one for data in bodies for one in rows(data)]
    assert rows(b"".join(bodies)) == alone


@pytest.mark.parametrize(
    ("told", "flag"),
    [
        ({"gen_ai.usage.input_tokens": -1}, "invalid_value"),
        ({"gen_ai.usage.input_tokens": "many"}, "invalid_value"),
        ({"gen_ai.usage.input_tokens": 1.5}, "invalid_value"),
        ({"gen_ai.usage.input_tokens": 2**53}, "invalid_value"),
        ({"gen_ai.usage.made_up_tokens": 3}, "usage_key_unknown"),
        ({"llm.token_count.prompt_details.new": 3}, "usage_key_unknown"),
        ({"user.id": "<REDACTED>"}, "redacted"),
        ({"gen_ai.response.time_to_first_chunk": 250.0}, "unit_suspect"),
        ({"gen_ai.provider.name": "openai", "gen_ai.system": "anthropic"}, "field_conflict:provider"),
        ({"gen_ai.usage.input_tokens": 5, "llm.token_count.prompt": 6}, "field_conflict:in_total"),
        ({"user.id": "a", "enduser.id": "b"}, "field_conflict:user"),
        ({"gen_ai.output.messages": "a" * 70_000}, "content_truncated"),
        ({"my.note": "a" * 70_000}, "content_truncated"),
        (
            {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.total_tokens": 77},
            "total_mismatch",
        ),
        ({"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 9}, "cache_exceeds_input"),
        (
            {
                "gen_ai.usage.cache_write.input_tokens": 5,
                "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 9,
            },
            "cache_write_split_exceeds_total",
        ),
    ],
)
def test_what_is_odd_is_marked_and_kept(told: dict[str, Any], flag: str) -> None:
    found = row(told)
    assert flag in found["flags"]
    kept = {**found["attributes"], **{str(value): value for value in found.values() if isinstance(value, str)}}
    assert kept or flag == "redacted"


@pytest.mark.parametrize(
    ("more", "sure"),
    [
        ({}, "exact"),
        ({"gen_ai.usage.total_tokens": 15}, "exact"),
        ({"gen_ai.usage.total_tokens": 77}, "assumed"),
        ({"gen_ai.usage.cache_read.input_tokens": 30}, "assumed"),
        ({"gen_ai.usage.cache_read.input_tokens": -3}, "assumed"),
        ({"gen_ai.usage.cost": 0.5}, "assumed"),
        ({"gen_ai.usage.raw": '{"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": -1}'}, "assumed"),
    ],
)
def test_counts_that_contradict_each_other_have_no_exact_cost(more: dict[str, Any], sure: str) -> None:
    called = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
    found = row({**called, "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, **more})
    assert found["cost_confidence"] == sure and found["cost_nano"] > 0


@pytest.mark.parametrize(
    "told",
    [
        {"gen_ai.provider.name": "az.ai.openai", "gen_ai.system": "azure"},
        {"gen_ai.response.finish_reasons": ["stop"], "llm.finish_reason": "end_turn"},
        {"gen_ai.request.model": "gpt-4o", "llm.model_name": "gpt-4o-2024-08-06"},
        {"gen_ai.conversation.id": "c", "session.id": "s"},
        {"gen_ai.usage.input_tokens": 5, "llm.token_count.prompt": "5"},
    ],
)
def test_other_words_for_the_same_are_no_conflict(told: dict[str, Any]) -> None:
    assert not {flag for flag in row(told)["flags"] if flag.startswith("field_conflict")}


@pytest.mark.parametrize("part", ["text.input", "text.output", "image.cache_read.input", "audio.cache_read.input"])
def test_a_part_without_a_price_of_its_own_is_kept_and_no_surprise(part: str) -> None:
    key = f"gen_ai.usage.{part}_tokens"
    found = row({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10, key: 5})
    assert "usage_key_unknown" not in found["flags"] and found["attributes"][key] == "5"
    assert (found["in_uncached"], found["out_visible"]) == (100, 10) and is_known(key)


def test_unknown_is_never_zero() -> None:
    found = row({"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"})
    unknown = ("in_uncached", "in_cache_read", "out_visible", "out_reasoning", "cost_nano", "ttft_ns", "streaming")
    assert [found[name] for name in unknown] == [None] * len(unknown)
    assert found["cost_confidence"] == "unknown" and "usage_missing" in found["flags"]
    zero = row({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0})
    assert (zero["in_uncached"], zero["out_visible"], zero["in_cache_read"]) == (0, 0, None)


def test_clocks_that_go_wrong_are_marked() -> None:
    data = body(span({}, lasts_ms=-5))
    backwards = rows(data)[0]
    assert backwards["duration_ns"] is None and "negative_duration" in backwards["flags"]
    assert "clock_skew" in rows(data, received_ns=AT - 700 * 10**9)[0]["flags"]
    assert "clock_skew" not in rows(data, received_ns=AT - 500 * 10**9)[0]["flags"]


def test_a_key_sent_twice_counts_once_the_last_and_is_marked() -> None:
    one = span({"user.id": "a"})
    one.attributes.add(key="user.id").value.string_value = "b"
    found = rows(body(one))[0]
    assert found["user"] == "b" and "duplicate_attribute" in found["flags"]


def test_vectors_are_left_out_and_everything_else_kept() -> None:
    found = row(
        {"embedding.embeddings.0.embedding.vector": [0.1] * 1536, "embedding.embeddings.0.embedding.text": "Hi"}
    )
    assert found["attributes"] == {"embedding.embeddings.0.embedding.text": "Hi"}


def test_links_and_trace_state_are_kept() -> None:
    one = span({})
    one.trace_state = "ot=th:8"
    one.links.add(trace_id=b"t" * 16, span_id=b"s" * 8).attributes.add(key="k").value.int_value = 3
    found = rows(body(one))[0]
    assert found["trace_state"] == "ot=th:8"
    assert found["links"] == (
        '[{"trace_id":"' + (b"t" * 16).hex() + '","span_id":"' + (b"s" * 8).hex() + '","attributes":{"k":3}}]'
    )


def test_a_fault_of_ours_keeps_the_spans_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    data = body(span({"gen_ai.system": "openai", "n": 1}), resource={"service.name": "desk"})
    monkeypatch.setattr(conventions, "columns", broken)
    found = rows(data)[0]
    assert found["flags"] == {"mapping_failed"} and found["service"] == "desk"
    assert found["attributes"] == {"gen_ai.system": "openai", "n": "1"}
    with pytest.raises(Invalid):
        conventions.normalise(b"\xff", PROTOBUF, "acme", 0)


def test_json_and_gzip_tell_the_same_as_protobuf() -> None:
    from google.protobuf import json_format

    for name in RECORDED:
        for data in list(recorded(name))[:10]:
            document = json_format.MessageToDict(ExportTraceServiceRequest.FromString(data))
            for group in document["resourceSpans"]:
                for scoped in group["scopeSpans"]:
                    for one in scoped["spans"]:
                        for key in ("traceId", "spanId", "parentSpanId"):
                            if key in one:
                                import base64

                                one[key] = base64.b64decode(one[key]).hex()
            sent = json.dumps(document).replace('"SPAN_KIND_CLIENT"', "3").replace('"SPAN_KIND_INTERNAL"', "1")
            sent = sent.replace('"STATUS_CODE_OK"', "1").replace('"STATUS_CODE_ERROR"', "2")
            assert rows(gzip.decompress(gzip.compress(sent.encode())), "application/json") == rows(data)


def test_the_table_is_well_formed() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))
    for field in FIELDS:
        assert field.told.endswith((".", "`")) or field.told, field.name
        keys = [(one.name, one.where) for one in field.sources]
        assert len(keys) == len(set(keys)), field.name
        for one in field.sources:
            assert one.where in ("", "entry", "claude_code") and one.unit in ("", "ms", "percent", "one_in"), one
    with pytest.raises(ValueError, match="no source"):
        source("genai", "a b")
    assert set(SPANS.names) >= {"dialects", "usage_source", "document_ids"}
