"""A sender that changes its conventions is noticed; one that merely sends other things is not."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from afterlaunch.quality.conventions import Conventions
from afterlaunch.telemetry import tally
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tables import ATTRIBUTE_COUNTS
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.telemetry.told import Count, Told
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import Finding, Scope, Status, View

NOW = datetime(2026, 3, 1, tzinfo=UTC)

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5",
    "gen_ai.response.id": "msg_0123456789",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.usage.cache_creation.input_tokens": 20,
}


def counts(
    told: Mapping[str, Any], calls: int, version: str = "1.0", scope: str = "some.instrumentation", **of_span: Any
) -> list[Count]:
    """What a commit counts for so many calls like this."""
    spans = [
        span({**told, "gen_ai.response.id": f"msg_{n:010}"} if "gen_ai.response.id" in told else told, number=n + 1,
             **of_span)
        for n in range(calls)
    ]  # fmt: skip
    made = tally.of_spans(normalise(body(*spans, scope=scope, version=version), PROTOBUF, "acme", 0).table)
    assert made.schema == ATTRIBUTE_COUNTS
    rows = made.to_pylist()
    assert {(row["client"], row["system"], row["service"]) for row in rows} <= {("acme", "desk", "desk")}
    return [
        Count(row["service"], row["scope"], row["scope_version"], row["what"], row["key"], row["spans"]) for row in rows
    ]


def drifted(now: list[Count], before: list[Count]) -> Finding:
    nothing = Window(NOW, NOW, {})
    return Conventions().assess(View(Scope("acme", "desk", "prod"), nothing, nothing, told=Told(now, before)))


def judged(now: Mapping[str, Any], before: Mapping[str, Any] = CALL, calls: int = 200, version: str = "2.0") -> Finding:
    return drifted(counts(now, calls, version), counts(before, 200))


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in CALL.items() if key not in keys} | more


def test_what_is_told_as_before_is_fine() -> None:
    found = judged(CALL)
    assert (found.status, found.reason, found.count) == (Status.OK, "steady", 200)


def test_too_few_calls_tell_nothing() -> None:
    assert judged(CALL, calls=29).status is Status.NOT_ASSESSED
    assert drifted([], counts(CALL, 200)).status is Status.NOT_ASSESSED
    assert drifted(counts(CALL, 200), []).reason == "too_few_calls"


def test_a_renamed_usage_attribute_is_a_breach_with_the_version_that_did_it() -> None:
    found = judged(without("gen_ai.usage.cache_creation.input_tokens", **{"gen_ai.usage.cache_kept.input_tokens": 20}))
    assert (found.status, found.reason) == (Status.BREACH, "usage_unknown")
    assert "gen_ai.usage.cache_kept.input_tokens" in found.explanation
    assert "some.instrumentation in desk, new version 2.0" in found.explanation


def test_a_field_that_is_filled_no_longer_is_a_breach_if_calls_are_counted_by_it() -> None:
    tokens = judged(without("gen_ai.usage.input_tokens"))
    assert (tokens.status, tokens.reason) == (Status.BREACH, "field_lost")
    answer = judged(without("gen_ai.response.id"))
    assert (answer.status, answer.reason) == (Status.WARNING, "field_lost")
    assert "response_id" in answer.explanation and answer.value == 1.0


def test_a_call_without_a_user_is_no_drift_unless_something_explains_it() -> None:
    with_user = CALL | {"user.id": "u"}
    assert judged(CALL, with_user, version="1.0").status is Status.OK, "a batch job beside people"
    assert judged(CALL, with_user, version="2.0").reason == "field_lost"


def test_failures_tell_less_and_are_no_drift() -> None:
    ok, failed = counts(CALL, 50), counts({"gen_ai.operation.name": "chat"}, 200, status=2)
    assert drifted([*ok, *failed], counts(CALL, 200)).status is Status.OK
    assert drifted(failed, counts(CALL, 200)).status is Status.NOT_ASSESSED


def test_a_new_version_is_judged_alone_where_it_has_calls_enough() -> None:
    now = without("gen_ai.usage.input_tokens")
    mixed = [*counts(CALL, 400), *counts(now, 40, version="2.0")]
    found = drifted(mixed, counts(CALL, 400))
    assert (found.status, found.reason) == (Status.BREACH, "field_lost")
    few = [*counts(CALL, 400), *counts(now, 20, version="2.0")]
    assert drifted(few, counts(CALL, 400)).status is Status.OK


def test_another_new_attribute_is_a_warning() -> None:
    found = judged(CALL | {"gen_ai.something.new": "x"})
    assert (found.status, found.reason) == (Status.WARNING, "unknown_attributes")
    ours = judged(CALL | {"my.own.note": "x"})
    assert ours.status is Status.OK, "what an application writes for itself is its own affair"


def test_a_renamed_attribute_is_named_with_its_new_name() -> None:
    before = CALL | {"traceloop.association.properties.user_id": "u"}
    found = judged(CALL | {"traceloop.association.properties.userid": "u"}, before, version="1.0")
    assert (found.status, found.reason) == (Status.WARNING, "renamed")
    words = found.explanation
    assert "traceloop.association.properties.user_id seems to be traceloop.association.properties.userid now" in words


def test_flags_that_rise_are_a_warning() -> None:
    found = judged(CALL | {"gen_ai.system": "openai"})
    assert (found.status, found.reason) == (Status.WARNING, "flags_risen")
    assert "field_conflict:provider" in found.explanation


def test_a_new_sender_is_not_compared_with_others() -> None:
    now = counts(without("gen_ai.usage.input_tokens"), 200, scope="another.instrumentation")
    assert drifted([*counts(CALL, 200), *now], counts(CALL, 200)).status is Status.OK


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    now = counts(without("gen_ai.response.id", **{"gen_ai.answer.id": "x"}), 100)
    expected = drifted(now, counts(CALL, 200))
    random.Random(seed).shuffle(now)
    assert drifted(now, counts(CALL, 200)) == expected


def test_numbers_in_names_are_one_attribute_and_a_span_tells_it_once() -> None:
    told = CALL | {f"gen_ai.made_up.{n}.content": "x" for n in range(30)}
    (unknown,) = [row for row in counts(told, 20) if row.what == tally.UNKNOWN]
    assert (unknown.key, unknown.spans) == ("gen_ai.made_up.N.content", 20)


def test_names_without_end_are_bounded() -> None:
    spans = [span(CALL | {f"gen_ai.made_up.k{n}x{m}": 1 for m in range(30)}, number=n + 1) for n in range(20)]
    made = tally.of_spans(normalise(body(*spans), PROTOBUF, "acme", 0).table).to_pylist()
    assert sum(row["what"] == tally.UNKNOWN for row in made) == tally.MOST_UNKNOWN
