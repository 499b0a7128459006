"""Whose a call is: told by itself, else by the nearest span above it, whenever that comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.ground import clock
from afterlaunch.telemetry import lineage, queries, store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import AT, MS, PROTOBUF, body, span

START = clock.from_ns(AT)
CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o",
}
CHAT |= {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "gen_ai.agent.version": "7"}
WHOSE = {"session.id": "s-1", "user.id": "ada", "tenant.id": "acme-shop"}


@pytest.fixture
def kept(place: Path | str) -> Iterator[store.Store]:
    yield store.open_store(place)
    store.close_store()


def mapped(*spans: Any, client: str = "acme") -> Any:
    return normalise(body(*spans), PROTOBUF, client, 0).table


def root(**told: Any) -> Any:
    return span(WHOSE | told, number=1, name="POST /ask", kind=2, lasts_ms=5000)


def agent(told: dict[str, Any] | None = None) -> Any:
    return span(AGENT | (told or {}), number=2, parent=1, name="invoke_agent planner", kind=1, lasts_ms=4000)


def chat(number: int = 3, parent: int = 2, told: dict[str, Any] | None = None) -> Any:
    return span(CHAT | (told or {}), number=number, parent=parent, name="chat", lasts_ms=900)


def calls() -> list[dict[str, Any]]:
    return store.current().query("select * from calls order by span_id")


def sums(name: str) -> dict[str | None, tuple[int, int | None]]:
    found = queries.windows(START - timedelta(hours=1), START + timedelta(hours=1), [name])
    return {one.key[name]: (one.calls, one.cost_nano) for one in found}


def test_the_nearest_ancestor_of_the_same_commit_tells_it() -> None:
    table = lineage.inherited(mapped(root(), agent({"session.id": "inner"}), chat(), chat(4, 3), chat(5, 1)))
    rows = {int.from_bytes(row["span_id"], "big"): row for row in table.to_pylist()}
    deep = rows[4]
    assert (deep["session"], deep["user"], deep["agent"], deep["agent_version"]) == ("inner", "ada", "planner", "7")
    assert deep["inherited"] == ["session", "user", "tenant", "agent"]
    assert rows[5]["agent"] is None and rows[5]["session"] == "s-1"
    assert rows[1]["inherited"] is None and rows[2]["inherited"] == ["user", "tenant"]


def test_an_own_agent_takes_no_version_of_another() -> None:
    table = lineage.inherited(mapped(root(), agent(), chat(told={"gen_ai.agent.name": "writer"})))
    assert (table["agent"][2].as_py(), table["agent_version"][2].as_py()) == ("writer", None)


def test_other_traces_and_loops_tell_nothing() -> None:
    stranger = span(CHAT, number=3, parent=1, trace=2)
    loop = [span(CHAT, number=8, parent=9, trace=3), span(CHAT, number=9, parent=8, trace=3)]
    table = lineage.inherited(mapped(root(), stranger, *loop, span(CHAT, number=7, parent=7, trace=4)))
    assert table["session"].to_pylist() == ["s-1", None, None, None, None]


def test_ids_that_count_upwards_meet_no_others() -> None:
    """Some senders, and most tests, number their traces and spans."""
    spans = []
    for trace in range(1, 2_001):
        named = AGENT | {"gen_ai.agent.name": f"agent {trace}"}
        spans.append(span(named, number=trace * 10 + 1, trace=trace, kind=1, lasts_ms=4000))
        spans += [span(CHAT, number=trace * 10 + one, parent=trace * 10 + 1, trace=trace) for one in (2, 3)]
    rows = lineage.inherited(mapped(*spans)).to_pylist()
    wrong = [row for row in rows if row["agent"] != f"agent {int.from_bytes(row['trace_id'], 'big')}"]
    assert len(wrong) == 0


@pytest.mark.parametrize("turned", [False, True])
def test_ancestors_that_come_in_another_commit_correct_calls_and_sums(kept: store.Store, turned: bool) -> None:
    first, then = [mapped(chat(), chat(4))], [mapped(root(), agent())]
    for tables in [then, first] if turned else [first, then]:
        kept.commit(tables)
    before = sums("agent")[None]
    assert before[0] == 2 and before[1]
    for _ in range(2):  # again changes nothing
        kept.settle(AT + 60_000 * MS)
        assert sums("agent") == {"planner": before} and sums("tenant") == {"acme-shop": before}
    assert [(row["session"], row["user"], row["agent"]) for row in calls()] == [("s-1", "ada", "planner")] * 2
    assert kept.settle(AT + 60_000 * MS) == 0


def test_what_a_call_tells_itself_stays(kept: store.Store) -> None:
    kept.commit([mapped(chat(told={"user.id": "bob"}))])
    kept.commit([mapped(root(), agent())])
    kept.settle(AT + 60_000 * MS)
    assert [(row["user"], row["session"]) for row in calls()] == [("bob", "s-1")]


def test_clients_never_tell_of_each_other(kept: store.Store) -> None:
    kept.commit([mapped(chat(), client="globex"), mapped(root(), agent(), client="acme")])
    kept.settle(AT + 60_000 * MS)
    assert [(row["client"], row["user"]) for row in calls()] == [("globex", None)]


def test_traces_that_lack_nothing_in_the_end_keep_nobody_waiting(
    kept: store.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span around a call, but not above it, makes its trace a candidate that never changes."""
    monkeypatch.setattr(lineage, "TRACES", 1)
    beside = [span(CHAT, number=trace, trace=trace, parent=9, lasts_ms=900) for trace in (11, 12)]
    around = [span(AGENT, number=trace + 10, trace=trace, kind=1, lasts_ms=4000) for trace in (11, 12)]
    kept.commit([mapped(*beside, *around, span(CHAT, number=3, trace=13, parent=2, lasts_ms=900))])
    kept.commit([mapped(span(AGENT, number=2, trace=13, kind=1, lasts_ms=4000))])
    assert len(lineage.candidates(kept.engine, AT - 10**9, AT + 10 * 10**9)) == 3
    kept.settle(AT + 60_000 * MS)
    found = store.current().query("select agent from calls order by trace_id")
    assert [row["agent"] for row in found] == [None, None, "planner"]
