"""Judges of how calls use tokens, and what stands behind a finding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.ground import clock
from afterlaunch.spend.drivers import FACTORS, Group
from afterlaunch.spend.explaining import explained, scaled
from afterlaunch.spend.use_rules import CacheLost, RetryStorm, input_per_call, output_per_call
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import Finding, Scope, Status, View

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCOPE = Scope("acme", "desk", "prod")


def window(calls: int = 200, failed: int = 0, minutes: int = 5, **more: Any) -> Window:
    return Window(NOON - timedelta(minutes=minutes), NOON, {}, calls=calls, failed=failed, **more)


def view(recent: Window, past: Window | None = None, rival: Window | None = None) -> View:
    return View(SCOPE, recent, past or window(0), rival)


@pytest.mark.parametrize(
    ("now", "before", "reason"),
    [
        (window(99, buckets={"in_uncached": 10**6}), window(), "too_few"),
        (window(buckets={"in_uncached": 200 * 500}), window(50), "no_baseline"),
        (window(buckets={"in_uncached": 200 * 900}), window(1_000, buckets={"in_uncached": 10**6}), "within"),
        (window(buckets={"in_uncached": 200 * 2_001}), window(1_000, buckets={"in_uncached": 10**6}), "above"),
        # what comes from the cache is as long as before
        (window(buckets={"in_cache_read": 200 * 900}), window(1_000, buckets={"in_uncached": 10**6}), "within"),
    ],
)
def test_longer_prompts(now: Window, before: Window, reason: str) -> None:
    assert reason in input_per_call().assess(view(now, before)).reason


def test_longer_answers_count_reasoning_and_are_compared_with_the_other_arm() -> None:
    past = window(1_000, buckets={"out_visible": 100_000})
    now = window(buckets={"out_visible": 20_000, "out_reasoning": 25_000})
    assert output_per_call().assess(view(now, past)).status is Status.BREACH
    both = window(buckets={"out_visible": 40_000})
    found = output_per_call().assess(view(now, past, rival=both))
    assert found.status is Status.OK and "the baseline arm" in found.explanation


@pytest.mark.parametrize(
    ("read", "before", "status", "reason"),
    [
        (900, 950, "ok", "hits_as_usual"),
        (474, 950, "breach", "hits_lost"),
        (0, 100, "not_assessed", "cache_not_in_use"),
    ],
)
def test_a_lost_cache(read: int, before: int, status: str, reason: str) -> None:
    now = window(cache_known_calls=200, cache_known_input=1_000, cache_read=read)
    past = window(cache_known_calls=500, cache_known_input=1_000, cache_read=before)
    found = CacheLost().assess(view(now, past))
    assert (found.status.value, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("now", "past", "reason"),
    [
        (window(100, 33), window(1_000, 5), "attempts_usual"),
        (window(100, 34), window(1_000, 5), "attempts_above_line"),
        (window(100, 40), window(1_000, 300), "attempts_usual"),  # it was no better before
        (window(100, 95), window(), "too_few_calls"),  # nothing is answered: another judge's concern
    ],
)
def test_retry_storms(now: Window, past: Window, reason: str) -> None:
    assert RetryStorm().assess(view(now, past)).reason == reason


def test_a_time_scaled_down_keeps_what_calls_are_like() -> None:
    found = scaled(Group(("a",), 1_440, 14_400_000, {"in_uncached": 144_000}), 5 / 1_440)
    assert (found.calls, found.cost_nano, found.buckets) == (5, 50_000, {"in_uncached": 500})
    assert scaled(Group(("a",), 3, 9, {}), 0.01).calls == 1


@pytest.fixture
def store(tmp_path: Path, db: None) -> Iterator[Any]:
    yield stores.open_store(tmp_path / "t.duckdb")
    stores.close_store()


def test_a_breach_names_what_drives_it(store: Any) -> None:
    def call(number: int, at: datetime, tokens: int) -> Any:
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": "gpt-4o",
            "gen_ai.usage.input_tokens": tokens,
            "gen_ai.usage.output_tokens": 10,
            "afterlaunch.route": f"route-{number % 2}",
        }
        one = span(told, number=number, trace=number)
        one.start_time_unix_nano = clock.to_ns(at)
        one.end_time_unix_nano = one.start_time_unix_nano + 10**9
        return one

    rows = [call(n, NOON - timedelta(minutes=10 + n), 1_000) for n in range(1, 1_201)]
    rows += [call(5_000 + n, NOON - timedelta(minutes=4), 1_000 if n % 2 else 20_000) for n in range(10)]
    resource = {"service.name": "desk", "deployment.environment.name": "prod"}
    store.commit([normalise(body(*rows, resource=resource), PROTOBUF, "acme", clock.to_ns(NOON)).table])
    recent = window(10)
    told = Finding("spend.cost_per_hour", Status.BREACH, "cost_above_line", "It costs.", 1.0, 0.1, "USD/h", 10)
    found = explained(view(recent), told)
    assert "more tokens per call (+$" in found.explanation and "more calls (+$" in found.explanation
    assert "Most of it: route-0 · openai · gpt-4o" in found.explanation
    assert sum(int(found.evidence[f"{name}_nano"] or 0) for name in FACTORS) == found.evidence["over_nano"]
    assert found.evidence["until_midnight_nano"] == round(int(found.evidence["over_nano"] or 0) * 144)
    fine = replace(told, status=Status.OK)
    assert explained(view(recent), fine) is fine
