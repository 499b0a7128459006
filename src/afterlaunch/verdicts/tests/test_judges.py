"""Each judge: ok, warning, breach, and not assessed; and the watch that runs them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.anomalies.rules import Volume
from afterlaunch.app.judges import JUDGES
from afterlaunch.probes.providers import ProviderHealth
from afterlaunch.quality.rules import Refusals, Truncated
from afterlaunch.slo.rules import ErrorRate, Latency, Timeouts
from afterlaunch.spend.rules import CacheHits, CostPerCall, CostPerHour, UnknownCost, UnknownModel
from afterlaunch.telemetry.signals.readings import Minute
from afterlaunch.telemetry.told import Told
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict, VerdictChange
from afterlaunch.verdicts.words import Judge, Scope, Status, Targets, View

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


def window(hours: float = 1, **fields: Any) -> Window:
    return Window(NOW - timedelta(hours=hours), NOW, {}, **fields)


def view(
    recent: Window,
    past: Window | None = None,
    rival: Window | None = None,
    hours: dict[int, Window] | None = None,
    **targets: Any,
) -> View:
    scope = Scope("acme", "support", "prod")
    return View(scope, recent, past or window(23), rival, Targets(**targets), hours or {})


def week(calls: int = 200, night: int | None = None, days: int = 7, cost: float = 1.0) -> dict[int, Window]:
    """Equal hours but for the one of the day that is now; every third costs a fifth more."""
    return {
        back: window(
            calls=calls if night is None or (back + 1) % 24 else night,
            cost_nano=int(cost * 10**9 * (1.2 if back % 3 == 0 else 1)),
        )
        for back in range(1, days * 24)
    }


GOOD = window(calls=200, p95_ms=800, p99_ms=900, cost_nano=10**9, cache_known_calls=200, cache_known_input=100)
PAST = window(23, calls=4600, p95_ms=780, p99_ms=900, cost_nano=23 * 10**9, cache_read=50, cache_known_input=100)

CASES: list[tuple[Judge, View, Status, str]] = [
    (ErrorRate(), view(replace(GOOD, failed=0)), Status.OK, "share_within_limit"),
    (ErrorRate(), view(window(calls=20, failed=1)), Status.WARNING, "share_perhaps_above_limit"),
    (ErrorRate(), view(replace(GOOD, failed=12)), Status.BREACH, "share_above_limit"),
    (ErrorRate(), view(window(calls=19, failed=19)), Status.NOT_ASSESSED, "too_few_calls"),
    (ErrorRate(), view(replace(GOOD, failed=6), rival=window(calls=200, failed=30)), Status.OK, "share_within_limit"),
    (
        ErrorRate(),
        view(replace(GOOD, failed=30), rival=window(calls=200, failed=60)),
        Status.BREACH,
        "share_above_limit",
    ),
    (Timeouts(), view(replace(GOOD, timeouts=8)), Status.BREACH, "share_above_limit"),
    (Latency(95), view(GOOD, PAST), Status.OK, "latency_within_line"),
    (Latency(95), view(replace(GOOD, p95_ms=1500, p95_low_ms=1300), PAST), Status.BREACH, "latency_above_line"),
    (Latency(95), view(replace(GOOD, p95_ms=1500, p95_low_ms=900), PAST), Status.WARNING, "latency_perhaps_above_line"),
    (Latency(95), view(replace(GOOD, p95_low_ms=700), PAST, p95_ms=500), Status.BREACH, "latency_above_line"),
    (Latency(95), view(GOOD), Status.NOT_ASSESSED, "no_baseline"),
    (Latency(99), view(replace(GOOD, calls=99), PAST), Status.NOT_ASSESSED, "too_few_calls"),
    (Volume(), view(GOOD, hours=week()), Status.OK, "volume_usual"),
    (Volume(), view(window(calls=0), hours=week()), Status.BREACH, "no_telemetry"),
    (Volume(), view(window(calls=20), hours=week()), Status.WARNING, "volume_fell"),
    (Volume(), view(window(calls=2000), hours=week()), Status.WARNING, "volume_rose"),
    (Volume(), view(window(calls=9), hours=week(night=8)), Status.OK, "volume_usual"),
    (Volume(), view(window(calls=0), hours=week(night=2)), Status.NOT_ASSESSED, "quiet_hour"),
    (Volume(), view(window(calls=200), hours=week(night=5)), Status.WARNING, "volume_rose"),
    (Volume(), view(window(calls=190), hours=week(days=1)), Status.OK, "volume_usual"),
    (Volume(), view(window(calls=0), hours=week(days=1)), Status.BREACH, "no_telemetry"),
    (Volume(), view(GOOD, hours={1: GOOD}), Status.NOT_ASSESSED, "no_baseline"),
    (Volume(), view(GOOD), Status.NOT_ASSESSED, "no_baseline"),
    (CostPerHour(), view(GOOD, hours=week()), Status.OK, "cost_within_line"),
    (CostPerHour(), view(replace(GOOD, cost_nano=4 * 10**9), hours=week()), Status.BREACH, "cost_above_line"),
    (
        CostPerHour(),
        view(replace(GOOD, cost_nano=4 * 10**9, top_cost_nano=3 * 10**9, top_cost_calls=1), hours=week()),
        Status.WARNING,
        "few_dear_calls",
    ),
    (CostPerHour(), view(GOOD, PAST), Status.NOT_ASSESSED, "no_baseline"),
    (CostPerHour(), view(replace(GOOD, calls_unknown_cost=150), PAST), Status.NOT_ASSESSED, "cost_unknown"),
    (UnknownCost(), view(replace(GOOD, calls_unknown_cost=2)), Status.OK, "gap_within_limit"),
    (UnknownCost(), view(replace(GOOD, calls_unknown_cost=3)), Status.WARNING, "gap_above_limit"),
    (UnknownCost(), view(replace(GOOD, calls_unknown_cost=1, failed=30)), Status.OK, "gap_within_limit"),
    (
        UnknownCost(),
        view(replace(GOOD, calls_unknown_cost=30, failed=30)),
        Status.NOT_ASSESSED,
        "perhaps_failures",
    ),
    (UnknownCost(), view(replace(GOOD, calls_unknown_cost=40, failed=30)), Status.WARNING, "gap_above_limit"),
    (UnknownCost(), view(window(calls=19)), Status.NOT_ASSESSED, "too_few_calls"),
    (UnknownModel(), view(GOOD), Status.OK, "gap_within_limit"),
    (UnknownModel(), view(replace(GOOD, calls_unknown_model=5)), Status.WARNING, "gap_above_limit"),
    (CacheHits(), view(replace(GOOD, cache_read=30), PAST), Status.WARNING, "hit_rate_below_line"),
    (CacheHits(), view(replace(GOOD, cache_read=60), PAST), Status.OK, "hit_rate_above_line"),
    (CacheHits(), view(GOOD), Status.NOT_ASSESSED, "cache_not_in_use"),
    (CostPerCall(), view(replace(GOOD, cost_nano=3 * 10**9), PAST), Status.BREACH, "cost_above_line"),
    (
        CostPerCall(),
        view(replace(GOOD, cost_nano=3 * 10**9, top_cost_nano=2 * 10**9, top_cost_calls=1), PAST),
        Status.WARNING,
        "few_dear_calls",
    ),
    (CostPerCall(), view(replace(GOOD, calls_unknown_cost=190), PAST), Status.NOT_ASSESSED, "too_few_calls"),
    (CostPerCall(), view(GOOD, rival=GOOD), Status.OK, "cost_within_line"),
    (Refusals(), view(replace(GOOD, refused=40)), Status.BREACH, "share_above_limit"),
    (Refusals(), view(replace(GOOD, refused=5)), Status.OK, "share_within_limit"),
    (Truncated(), view(replace(GOOD, truncated=60)), Status.BREACH, "share_above_limit"),
    (ProviderHealth(), view(replace(GOOD, provider_faults=15)), Status.BREACH, "share_above_limit"),
]


@pytest.mark.parametrize(("judge", "seen", "status", "reason"), CASES)
def test_a_judge_says_what_it_found_and_why(judge: Judge, seen: View, status: Status, reason: str) -> None:
    found = judge.assess(seen)
    assert (found.status, found.reason) == (status, reason)
    assert found.explanation and found.judge == judge.name


def test_every_judge_is_on_the_page_of_judges() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "judges.md").read_text()
    missing = [judge.name for judge in JUDGES if f"`{judge.name}`" not in page]
    assert not missing


@given(calls=st.integers(0, 19), bad=st.integers(0, 19))
def test_no_judge_ever_says_ok_on_too_little(calls: int, bad: int) -> None:
    thin = window(calls=calls, failed=min(bad, calls), refused=min(bad, calls), p95_ms=10.0, p99_ms=10.0)
    for judge in JUDGES:
        assert judge.assess(view(thin)).status is not Status.OK


def test_a_steady_week_raises_next_to_no_alarm() -> None:
    chance = random.Random(7)
    judge, breaches, looks = ErrorRate(), 0, 0
    for _ in range(7 * 24 * 4):
        calls = 30 + chance.randrange(10)
        failed = sum(chance.random() < 0.003 for _ in range(calls))
        breaches += judge.assess(view(window(0.25, calls=calls, failed=failed))).status is Status.BREACH
        looks += 1
    print(f"{breaches} breaches in {looks} looks at 0.3 % errors")
    assert breaches <= 2


def no_hours(bounds: Sequence[datetime], names: Sequence[str]) -> list[Window]:
    return []


def no_minutes(now: datetime) -> list[Minute]:
    return []


def nothing_told(now: datetime) -> dict[tuple[str, str, str], Told]:
    return {}


def _ask(state: dict[str, Any]) -> watch.Ask:
    def ask(start: datetime, end: datetime, names: Sequence[str]) -> list[Window]:
        values = {
            "client": "acme",
            "system": "support",
            "environment": "prod",
            "route": "answers",
            "provider": "openai",
        }
        arms = ["baseline", "candidate"] if "arm" in names else [None]
        rows = []
        for arm in arms:
            refused = state["refused"] if arm != "baseline" and end - start < DAY - HOUR else 0
            key = {name: arm if name == "arm" else values[name] for name in names}
            rows.append(Window(start, end, key, calls=100, refused=refused, p95_ms=500, p99_ms=600))
        return rows

    return ask


@pytest.mark.django_db
def test_the_watch_keeps_the_latest_verdict_per_scope_and_every_change() -> None:
    state = {"refused": 0}
    watch.run(JUDGES, NOW, _ask(state), no_hours, no_minutes, nothing_told)
    assert not Verdict.objects.filter(status="breach").exists()
    first = VerdictChange.objects.count()
    assert watch.run(JUDGES, NOW + timedelta(minutes=1), _ask(state), no_hours, no_minutes, nothing_told) == 0
    state["refused"] = 40
    watch.run(JUDGES, NOW + timedelta(minutes=2), _ask(state), no_hours, no_minutes, nothing_told)
    bad = Verdict.objects.filter(status="breach", judge="quality.refusals")
    assert {(v.route, v.arm) for v in bad} == {("", ""), ("answers", "candidate")}
    assert all(v.since == NOW + timedelta(minutes=2) for v in bad)
    assert VerdictChange.objects.count() > first


@pytest.mark.django_db
def test_the_watch_asks_a_fixed_number_of_questions(django_assert_max_num_queries: Any) -> None:
    asked: list[Any] = []
    plain = _ask({"refused": 0})

    def counting(start: datetime, end: datetime, names: Sequence[str]) -> list[Window]:
        asked.append(names)
        return plain(start, end, names)

    with django_assert_max_num_queries(10):
        watch.run(JUDGES, NOW, counting, no_hours, no_minutes, nothing_told)
    assert len(asked) == 12


SAMPLE = replace(GOOD, calls_sampled=150, calls_unsent_milli=1_350_000, cost_unsent_nano=9 * 10**9)


@pytest.mark.parametrize("judge", [Volume(), CostPerHour()], ids=lambda judge: judge.name)
def test_judges_of_volume_and_money_say_that_they_saw_a_sample(judge: Judge) -> None:
    whole = judge.assess(view(GOOD, PAST, hours=week()))
    found = judge.assess(view(SAMPLE, PAST, hours=week()))
    assert (found.status, found.value, found.threshold) == (whole.status, whole.value, whole.threshold)
    said = "150 of these 200 calls are of sampled traces; extrapolated, all stand for about 1,550 calls and $10.0000."
    assert found.explanation == f"{whole.explanation} {said}"
    told = {"calls_sampled": 150, "calls_extrapolated": 1_550, "cost_extrapolated_usd": 10.0}
    assert dict(found.evidence) == {**whole.evidence, **told}


@pytest.mark.parametrize("judge", [ErrorRate(), Timeouts(), Latency(95), CacheHits(), UnknownCost()])
def test_judges_of_shares_and_times_judge_a_sample_as_it_is(judge: Judge) -> None:
    assert judge.assess(view(SAMPLE, PAST)) == judge.assess(view(GOOD, PAST))
