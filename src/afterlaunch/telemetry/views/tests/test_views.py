"""Every view answers its question on the page, in the API and as files, with the same figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from django.test import Client as Browser
from django.utils.html import conditional_escape

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.tests.test_queries import START
from afterlaunch.telemetry.views.compare import two_proportions
from afterlaunch.telemetry.views.pages import VIEWS
from afterlaunch.telemetry.views.ranking import score
from afterlaunch.telemetry.views.tests import assistant
from afterlaunch.telemetry.views.tests.test_search import asker

pytestmark = pytest.mark.django_db
RUNS = 60
END = START + timedelta(minutes=RUNS // 3)
IDS = {"transaction": {"id": "order-1"}, "session": {"id": "session-1"}, "user": {"id": "user-0"}}


@pytest.fixture(autouse=True, scope="module")
def opened(module_place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(module_place)
    tables.prepare(made)
    made.commit([normalise(assistant.body(START, RUNS), "application/json", None, 0).table])
    yield made
    store.close_store()


@pytest.fixture
def ask() -> Any:
    asks = asker(None)

    def said(view: str, **query: str) -> Any:
        answer = asks(f"/api/v1/{view}", **{"to": END.isoformat(), **query})
        assert answer.status_code == 200, answer.content
        return answer.json()

    return said


def browser() -> Browser:
    made = Browser()
    made.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    return made


def taken(address: str, query: dict[str, str]) -> bytes:
    answer: Any = browser().get(address, query)
    return b"".join(answer.streaming_content)


def test_what_takes_long_comes_after_the_page(opened: store.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"from": START.isoformat(), "to": END.isoformat()}
    asked: list[str] = []
    query = opened.engine.query

    def noted(sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return query(sql, *rest)

    monkeypatch.setattr(opened.engine, "query", noted)
    page = browser().get("/calls/usage", times).content.decode()
    assert "Adding up" in page and "part=units" in page
    assert not any("row_number" in sql for sql in asked)
    part = browser().get("/calls/usage", {**times, "part": "units"}).content.decode()
    assert part.startswith('<section class="card" id="units">') and "session" in part and "<html" not in part
    assert any("row_number" in sql for sql in asked)
    assert browser().get("/calls/usage", {**times, "part": "nothing"}).status_code == 404


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_page_api_and_files_say_the_same(view: Any, ask: Any) -> None:
    more = IDS.get(view.name, {})
    said = ask(view.name, **more)
    times = {"from": START.isoformat(), "to": END.isoformat(), **more}
    page = browser().get(view.page, times)
    assert page.status_code == 200
    assert "Link and files" in page.content.decode()
    sections = [key for key in said if isinstance(said[key], list)]
    assert sections and said[sections[0]], "the first section has rows"
    for section in sections:
        file = taken(view.api, {**times, "section": section, "format": "parquet"})
        assert parquet.read_table(BytesIO(file)).num_rows == len(said[section])
        lines = taken(view.api, {**times, "section": section, "format": "csv"}).decode().splitlines()
        assert len(lines) == len(said[section]) + 1
    assert browser().get(view.api, {**times, "format": "xls"}).status_code == 400
    assert browser().get(view.api, {**times, "section": "nope", "format": "csv"}).status_code == 400


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_with_nothing_told_a_view_says_what_to_send(view: Any) -> None:
    empty = {"from": END.isoformat(), "to": (END + timedelta(days=1)).isoformat(), **IDS.get(view.name, {})}
    page = browser().get(view.page, empty)
    assert page.status_code == 200
    said, parts = page.content.decode(), [card["one"] for card in page.context["sections"]]
    for one in parts:
        if one.later:
            said += browser().get(view.page, {**empty, "part": one.key}).content.decode()
    nothing = [one for one in parts if not one.grid.rows]
    assert nothing or view.name == "compare", "figures of which nothing is known stand in it"
    for one in nothing:
        assert conditional_escape(one.empty) in said and conditional_escape(one.advice) in said, one.key


def test_tokens_cache_and_cost_by_any_dimension(ask: Any) -> None:
    rows = {row["agent"]: row for row in ask("usage", group_by="agent")["rows"]}
    assert set(rows) == {"helper", "planner"}
    calls = 2 * RUNS + RUNS // 6
    assert sum(row["calls"] for row in rows.values()) == calls
    assert sum(row["calls_with_unknown_tokens"] for row in rows.values()) == RUNS // 6, "throttled calls tell none"
    assert rows["helper"]["prompt_cache_hit_rate"] == pytest.approx(300 / 1000, abs=0.03)
    both = ask("usage", group_by="tenant,version")["rows"]
    assert len(both) == 3 and sum(row["calls"] for row in both) == calls
    units = {row["unit"]: row for row in ask("usage")["units"]}
    orders, others = RUNS // 6, RUNS * 2 // 3
    assert [units[name]["count"] for name in ("transaction", "session", "user")] == [
        orders + others, RUNS // 4, RUNS // 12,
    ]  # fmt: skip
    assert units["transaction"]["with_unknown_cost"] == RUNS // 6
    assert ask("usage", q="tenant:tenant-1")["rows"][0]["calls"] < calls


def test_latency_of_every_kind_of_operation(ask: Any) -> None:
    rows = {row["op_kind"]: row for row in ask("latency", group_by="op_kind")["rows"]}
    assert set(rows) == {"inference", "tool", "retrieval", "agent"}
    assert rows["retrieval"]["p95_ms"] == pytest.approx(200, rel=0.05)
    assert rows["agent"]["p50_ms"] == pytest.approx(9000, rel=0.05)
    assert rows["inference"]["ttft_count"] > RUNS and rows["inference"]["ttft_p99_ms"] <= 520
    assert rows["tool"]["ttft_p50_ms"] is None


def test_errors_by_whose_fault_and_what_throttling_cost(ask: Any) -> None:
    said = ask("errors")
    whose = {(row["op_kind"], row["whose"]): row["failed"] for row in said["rows"]}
    assert whose[("inference", "rate limit")] == RUNS // 6
    assert whose[("tool", "tool")] >= RUNS // 9
    event = said["throttling"][0]
    assert len(said["throttling"]) == RUNS // 6
    assert event["retry_after_s"] == 2.0 and event["wait_s"] == pytest.approx(2.5) and event["recovered"] == "yes"
    assert event["limit"] in (500.0, 30000.0) and "retry-after: 2" in event["headers"]
    room = said["headroom"][0]
    assert room["provider"] == "openai" and room["limit_type"] == "requests" and 0 < room["lowest"] < 0.85


def test_steps_tools_sequences_and_loops_of_agents(ask: Any) -> None:
    said = ask("agents")
    assert {row["agent"]: row["runs"] for row in said["runs"]} == {"helper": RUNS // 2, "planner": RUNS // 2}
    tools = {row["tool"]: row for row in said["tools"]}
    assert tools["send_mail"]["calls"] == RUNS and tools["find_order"]["failed"] > 0
    assert "tool" in tools["find_order"]["why"]
    looped = [number for number in range(RUNS) if number % 7 == 6]
    assert len(said["loops"]) == len(looped) and {row["times"] for row in said["loops"]} == {4}
    assert said["sequences"][0]["sequence"] == "find_order > send_mail"
    pairs = {(row["tool"], row["next"]): row["times"] for row in said["pairs"]}
    assert pairs[("find_order", "send_mail")] == RUNS
    assert "tell no arguments" in said["notes"]["loops"]


def test_retrieval_quality_cache_and_age(ask: Any) -> None:
    said = ask("retrieval")
    (row,) = said["rows"]
    assert row["source"] == "handbook" and row["retrievals"] == RUNS
    assert row["empty_share"] == pytest.approx(0.2) and row["cache_hit_rate"] == pytest.approx(0.25)
    assert row["index_age_days"] == pytest.approx(28, abs=1)
    assert row["document_age_max_days"] == pytest.approx(273, abs=1)
    assert row["ages_told"] == pytest.approx(2 / 3)
    (quality,) = said["quality"]
    assert quality["judged"] == RUNS / 2
    assert quality["recall"] == pytest.approx(0.4) and quality["mrr"] == pytest.approx(0.4)


def test_transactions_by_cost_and_one_of_them(ask: Any) -> None:
    rows = ask("transactions")["rows"]
    assert len(rows) == RUNS // 6 and {row["traces"] for row in rows} == {2}
    (order,) = [row for row in rows if row["transaction"] == "order-1"]
    one = ask("transaction", id="order-1")["rows"]
    assert len(one) == 2 and sum(row["calls"] for row in one) == order["calls"]
    assert sum(float(row["cost_usd"]) for row in one) == pytest.approx(float(order["cost_usd"]))
    assert [row["transaction"] for row in ask("transactions", q="transaction:order-1")["rows"]] == ["order-1"]
    page = browser().get("/calls/transactions", {"from": START.isoformat(), "to": END.isoformat()}).content.decode()
    assert "/calls/transaction?" in page and "tell no transaction" in page


def test_sessions_and_users_by_cost_and_one_of_them(ask: Any) -> None:
    rows = ask("sessions")["rows"]
    assert len(rows) == RUNS // 4 and rows[0]["traces"] == 4
    costs = [float(row["cost_usd"]) for row in rows]
    assert costs == sorted(costs, reverse=True)
    one = ask("session", id="session-1")
    assert len(one["rows"]) == 4
    user = ask("user", id="user-0")
    assert len(user["rows"]) == 12 and [row["session"] for row in user["sessions"]][-1] == "session-0"


def test_two_versions_and_two_periods_side_by_side(ask: Any) -> None:
    rows = {row["measure"]: row for row in ask("compare", by="version", a="v12", b="v13")["rows"]}
    assert rows["Latency p95"]["a_value"] > rows["Latency p95"]["b_value"]
    assert rows["Failed"]["verdict"] in ("too few to say", "chance may explain it")
    assert rows["Calls"]["b_value"] < rows["Calls"]["a_value"]
    before = {
        row["measure"]: row for row in ask("compare", **{"from": (START + timedelta(minutes=10)).isoformat()})["rows"]
    }
    assert before["Calls"]["a_value"] > 0 < before["Calls"]["b_value"]
    assert {row["verdict"] for row in before.values()} <= {"", "too few to say", "chance may explain it"}


def test_a_trace_and_a_session_show_what_was_said_and_not_what_others_said(ask: Any) -> None:
    trace = f"/traces/{1:032x}"
    waterfall = browser().get(trace).content.decode()
    assert "find_order" in waterfall and "session-0" in waterfall and "#span" not in waterfall
    said = browser().get(trace, {"view": "conversation"}).content.decode()
    assert "Where is order 0?" in said and "Order 0 is on its way." in said and said.count("You are kind.</div>") == 1
    times = {"from": START.isoformat(), "to": END.isoformat()}
    session = browser().get("/calls/session", {**times, "id": "session-0"}).content.decode()
    assert "Order 3 is on its way." in session and "Order 4 is on its way." not in session
    assert session.count("Be brief.</div>") == 1, "instructions that are told apart"
    nobody = asker("stranger")("/api/v1/session", id="session-0")
    assert nobody.json()["rows"] == []


def test_ranking_measures_have_the_values_of_the_books() -> None:
    """Järvelin and Kekäläinen's example of graded gains, with the later discount; and the plain ones by hand."""
    told = score(["a", "b", "c", "d"], {"b": 1, "d": 1, "x": 1}, 10)
    assert told is not None
    assert (told.recall, told.precision, told.reciprocal_rank) == (2 / 3, 0.5, 0.5)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert told.ndcg == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert score(["a"], {}, 10) is None and score([], {"a": 1}, 10) == score(["z"], {"a": 1}, 10)


def test_two_proportions_against_a_value_worked_by_hand() -> None:
    """120 of 1000 against 90 of 1000: pooled share 0.105, z = 2.188."""
    p_value = two_proportions(120, 1000, 90, 1000)
    assert p_value == pytest.approx(0.02866, abs=2e-4)
    assert two_proportions(1, 20, 0, 20) is None
