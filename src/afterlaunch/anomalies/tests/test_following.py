"""From telemetry to an episode, a verdict, a page, and a person who calls it usual."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import pi, sin
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.anomalies import duties, gathering
from afterlaunch.anomalies.models import Series, Told
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.spend.explaining import behind
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.verdicts.models import Verdict

NOW = datetime(2026, 11, 21, 12, 20, tzinfo=UTC)
LAST = datetime(2026, 11, 21, 11, 30, tzinfo=UTC)
"""Within the newest closed hour."""
HOUR = timedelta(hours=1)
RESOURCE = {"service.name": "desk", "deployment.environment.name": "prod"}


@pytest.fixture
def store(tmp_path: Path, db: None) -> Iterator[Any]:
    Client.objects.get_or_create(slug="acme", defaults={"name": "Acme", "created_at": NOW})
    with clock.frozen(NOW):
        yield stores.open_store(tmp_path / "t.duckdb")
        stores.close_store()


def call(number: int, at: datetime, agent: str, tokens: int) -> Any:
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.agent.name": agent,
    }
    one = span(told, number=number, trace=number)
    one.start_time_unix_nano = clock.to_ns(at)
    one.end_time_unix_nano = one.start_time_unix_nano + 10**9
    return one


def tell(store: Any, *spans: Any) -> None:
    store.commit([normalise(body(*spans, resource=RESOURCE), PROTOBUF, "acme", clock.to_ns(NOW)).table])


def three_weeks(store: Any) -> None:
    """Two agents with a rhythm of the day: about a dollar an hour each. The newest hour is not told."""
    chance, spans = Random(7), []
    for back in range(1, 21 * 24):
        at = LAST - back * HOUR
        for place, agent in enumerate(("answer", "search")):
            usual = 400_000 * (1 + 0.5 * sin(at.hour / 24 * 2 * pi)) * chance.uniform(0.9, 1.1)
            spans.append(call(2 * back + place, at, agent, int(usual)))
    tell(store, *spans)


def verdict() -> Verdict:
    return Verdict.objects.get(judge="anomalies.spend", system="desk")


def test_an_agent_that_costs_more_is_told_once_with_what_drives_it(store: Any) -> None:
    three_weeks(store)
    tell(store, call(5_000, LAST, "search", 400_000), call(5_001, LAST, "answer", 2_800_000))
    duties.follow(NOW, behind)
    found = verdict()
    assert (found.status, found.reason, found.severity) == ("breach", "unusual", "P2")
    assert found.explanation.startswith("Agent answer: $7.00 cost in an hour, where $")
    assert "What drives it: more tokens per call (+$" in found.explanation
    assert "Unusual as well: " in found.explanation and "the whole system" in found.explanation
    (told,) = Told.objects.filter(series__dimension="agent")
    assert (told.since, told.until, told.series.value) == (LAST.replace(minute=0), None, "answer")
    duties.follow(NOW + timedelta(minutes=5), behind)  # nothing new: nothing changes
    assert Told.objects.filter(series__dimension="agent").count() == 1


def test_a_person_calls_it_usual(store: Any) -> None:
    three_weeks(store)
    tell(store, call(5_001, LAST, "answer", 2_800_000))
    duties.follow(NOW, behind)
    row = Series.objects.get(dimension="agent", value="answer")
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    board = browser.get("/anomalies?state=unusual").content.decode()
    assert "Cost: agent answer" in board and "agent search" not in board
    page = browser.get(f"/anomalies/{row.pk}").content.decode()
    assert "It is usual" in page and "<svg" in page
    assert browser.post(f"/anomalies/{row.pk}/usual", {"days": "7"}).status_code == 302
    assert browser.post(f"/anomalies/{row.pk}/usual", {"days": "7"}).status_code == 409
    told = row.episodes.get()
    assert told.until == NOW and told.ended_by and Entry.objects.filter(deed="anomaly.called_usual").exists()
    tell(store, call(6_001, LAST + HOUR, "answer", 2_900_000))
    with clock.frozen(NOW + HOUR):
        duties.follow(NOW + HOUR, behind)
    assert not row.episodes.filter(until=None).exists()


def test_a_young_series_is_learning_and_a_long_silent_one_rests(store: Any) -> None:
    tell(store, *[call(n, LAST - n * HOUR, "answer", 400_000) for n in range(1, 30)])
    duties.follow(NOW, behind)
    assert (verdict().status, verdict().reason) == ("not_assessed", "learning")
    duties.follow(NOW + timedelta(days=9), behind)
    assert not Series.objects.filter(followed=True).exists()
    assert verdict().reason in ("learning", "no_data")
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    assert "Nothing is followed yet" in browser.get("/anomalies").content.decode()


def test_hours_in_pieces_are_the_hours_at_once(store: Any) -> None:
    three_weeks(store)
    for back in (48, 30, 2, 1, 0):
        duties.follow(NOW - back * HOUR, behind)
    one = Series.objects.get(dimension="agent", value="answer")
    points, state = one.points, bytes(one.state or b"")
    Series.objects.all().delete()
    with clock.frozen(NOW):
        duties.follow(NOW, behind)
    again = Series.objects.get(dimension="agent", value="answer")
    # from 28 days before another instant on: the same hours, as what is told begins after both
    assert again.points == points and bytes(again.state or b"") == state


def test_rare_and_cheap_values_are_not_followed(store: Any) -> None:
    three_weeks(store)
    tell(store, call(9_000, LAST - 5 * HOUR, "once", 1_000))
    values = {key[4] for key in gathering.wanted(NOW.replace(minute=0)) if key[3] == "agent"}
    assert values == {"answer", "search"}


def test_an_unusual_hour_of_a_sample_says_so(store: Any) -> None:
    three_weeks(store)
    dear = [call(9_000 + number, LAST + timedelta(seconds=number), "search", 4_000_000) for number in range(10)]
    for one in dear:
        one.trace_state = "ot=th:8"
    tell(store, *dear)
    duties.follow(NOW, behind)
    assert any("These calls are of sampled traces; extrapolated" in one.words for one in Told.objects.all())
