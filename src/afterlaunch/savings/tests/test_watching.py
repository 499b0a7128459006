"""Repeated questions, failed attempts and batches are tried on the calls as they are, and the saving is verified."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Conflict
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import Route
from afterlaunch.savings import actions, duties, watching
from afterlaunch.savings.answered import Answered, differences
from afterlaunch.savings.facts import Place, Score, Terms
from afterlaunch.savings.models import Recommendation
from afterlaunch.savings.replays import HOUR_NS, Outcome, Seen, batched, repeated, summed, tried_again
from afterlaunch.savings.tests.test_board import ME, MINUTE, call, tell
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables

SECOND = 10**9


def seen(start: int, course: str = "a", *, failed: bool = False, cost: int | None = 100, **more: Any) -> Seen:
    return Seen(start, start + SECOND, course, **{"known": True, "failed": failed, "cost_nano": cost, **more})


def test_after_two_failures_in_a_row_nothing_more_would_be_tried() -> None:
    failing = [seen(at * 5 * SECOND, failed=True) for at in range(5)]
    assert [one.taken for one in tried_again(failing)] == [False, False, True, True, True]
    answered = [*failing[:2], seen(10 * SECOND), seen(15 * SECOND, failed=True)]
    assert [(one.taken, one.lost) for one in tried_again(answered)] == [
        (False, False), (False, False), (True, True), (False, False),
    ]  # fmt: skip
    patient = [seen(at * 100 * SECOND, failed=True) for at in range(5)]
    others = [seen(at * SECOND, str(at), failed=True) for at in range(5)]
    assert not any(one.taken for one in (*tried_again(patient), *tried_again(others)))


def test_only_what_nobody_goes_on_with_for_a_day_could_have_waited() -> None:
    until = 60 * HOUR_NS
    calls = [
        seen(0, "one"),
        seen(HOUR_NS, "two"), seen(2 * HOUR_NS, "two"),
        seen(0, "slow"), seen(30 * HOUR_NS, "slow"),
        seen(0, "failed", failed=True),
        seen(0, "untold", known=False),
        seen(50 * HOUR_NS, "new"),
        seen(0, "unpriced", cost=None),
    ]  # fmt: skip
    found = batched(calls, 0.5, until)
    assert [(one.taken, one.saved_nano) for one in found] == [
        (True, 50), (False, 0), (True, 50), (True, 50), (True, 50), (False, 0), (False, 0),
    ]  # fmt: skip


def test_the_interval_is_of_hours_and_needs_enough_of_them() -> None:
    few = summed([Outcome(0, 100, 50.0, True)] * 500)
    assert few.share is None and not few.saves and not few.refuted
    steady = summed([Outcome(hour * HOUR_NS, 100, 30.0, True) for hour in range(24) for _ in range(10)])
    assert steady.share == pytest.approx(0.3) and steady.low == pytest.approx(0.3) and steady.saves
    burst = summed([Outcome(h * HOUR_NS, 100, 90.0 if h == 3 else 0.0, h == 3) for h in range(24) for _ in range(10)])
    assert burst.low == 0 and not burst.saves
    nothing = summed([Outcome(hour * HOUR_NS, 100) for hour in range(24) for _ in range(10)])
    assert nothing.refuted and not nothing.saves
    other = summed(repeated([seen(n * HOUR_NS // 10, repeats="would_hit_differs") for n in range(240)]))
    assert other.share == 1.0 and other.refuted and not other.saves


def test_answers_that_are_surely_worse_refute_a_trial() -> None:
    good = Answered(1_000, 5, 5, 10, 100_000, {"correct": Score(200, 0.9, 0.1)})
    cut = Answered(1_000, 5, 5, 120, 40_000, {"correct": Score(200, 0.7, 0.1)})
    assert not any(one.worse for one in differences(good, good, {"correct": 0.05}))
    worse = {one.name for one in differences(good, cut, {"correct": 0.05}) if one.worse}
    assert worse == {"truncated", "correct"}
    assert differences(good, Answered(99), {}) == []
    assert not any(one.worse for one in differences(good, Answered(100, 2, 1, 3, 9_000), {}))


@pytest.fixture
def store(tmp_path: Path, db: None) -> Iterator[Any]:
    made = stores.open_store(tmp_path / "t.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


@pytest.fixture
def client(db: None) -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=clock.now())


def idea(client: Client, kind: str, **figures: Any) -> Recommendation:
    place = Place("acme", "desk", "support", None, "openai", "gpt-4o")._asdict()
    return Recommendation.objects.create(
        client=client, key=kind, kind=kind, place=place, title=kind, state="projected", low_nano=1, middle_nano=2,
        high_nano=3, figures={"month_nano": 100 * 10**9, **figures}, found_at=clock.now(), seen_at=clock.now(),
    )  # fmt: skip


def route_of(client: Client) -> Route:
    desk = System.objects.create(client=client, key="desk", name="Desk")
    put_upstream(ME, "openai", "https://api.openai.com", "openai", "env:KEY")
    return put_route(ME, "support", desk, ArmValues("openai", "gpt-4o", "v1"))


def since(row: Recommendation, hours: int) -> None:
    row.refresh_from_db()
    row.figures["watched_from"] = (clock.now() - timedelta(hours=hours)).isoformat()
    row.save(update_fields=["figures"])


def test_repeated_questions_are_observed_by_the_cache_of_the_route(store: Any, client: Client) -> None:
    route, row = route_of(client), idea(client, "response_caching")
    with pytest.raises(Conflict, match="cannot be watched"):
        watching.start(ME, row)
    actions.say_terms(ME, client, "desk", "support", Terms(freshness_minutes=10))
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    assert "Start the trial" in browser.get(row.path).content.decode()
    assert "End the trial" in browser.post(f"{row.path}/shadow", follow=True).content.decode()
    route.refresh_from_db()
    assert (route.handling["cache_seconds"], route.handling["cache_observe"]) == (600, True)
    since(row, 30)
    spans = []
    for number in range(1, 400):
        told = {"afterlaunch.call_id": f"c-{number}", "afterlaunch.gateway": "true"}
        told |= {"afterlaunch.response_cache": "would_hit_same_text"} if number % 4 == 0 else {}
        spans.append(call(number, number * 3 * MINUTE, **told))
    tell(store, *spans)
    duties.measure(clock.now())
    row.refresh_from_db()
    assert row.state == "verified" and row.measured["by"] == "watched", row.measured
    assert row.measured["share"] == pytest.approx(0.25, abs=0.01) and row.measured["lost"] == 0
    page = browser.get(row.path).content.decode()
    assert "would have been answered again, 0 of them were answered otherwise by the upstream" in page
    route.refresh_from_db()
    assert "cache_observe" not in route.handling and "cache_seconds" not in route.handling


def test_a_storm_of_retries_is_verified_from_the_attempts_themselves(store: Any, client: Client) -> None:
    row = idea(client, "failed_attempts")
    watching.start(ME, row)
    since(row, 30)
    spans, number = [], 0
    for course in range(200):
        for attempt in range(5 if course % 2 else 1):
            number += 1
            told = {"session.id": f"s-{course}"} | ({"error.type": "500"} if course % 2 else {})
            spans.append(call(number, course * 8 * MINUTE + (10 - attempt) * 2 * SECOND, **told))
    tell(store, *spans)
    duties.measure(clock.now())
    row.refresh_from_db()
    assert (row.measured["after"], row.measured["lost"]) == (300, 0), row.measured
    assert row.state == "verified" and row.measured["share"] > 0.3


def test_a_batch_is_judged_when_the_day_of_its_calls_is_over(store: Any, client: Client) -> None:
    row = idea(client, "batch", factor=0.5)
    watching.start(ME, row)
    since(row, 72)
    spans = [call(n, (25 * 60 + n * 6) * MINUTE, **{"session.id": f"s-{n // 2}"}) for n in range(1, 400)]
    tell(store, *spans, call(900, 60 * MINUTE, **{"session.id": "today"}))
    duties.measure(clock.now())
    row.refresh_from_db()
    assert row.state == "verified" and row.measured["before"] == 399
    assert row.measured["share"] == pytest.approx(0.25, abs=0.01)  # the last call of each session, at half the price
    watched = idea(client, "response_caching")
    with pytest.raises(Conflict):
        watching.stop(ME, watched)
