"""From telemetry to a verdict: runs out of hand, and loops; on both engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.agents import duties, gathering
from afterlaunch.agents.rules import LOOPS, RUNAWAY, Detail, Loop, Run, Usual
from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.verdicts.models import Verdict

SECOND = 10**9
MINUTE = 60 * SECOND
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o-mini",
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.agent.name": "answer",
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "find_order",
    "gen_ai.agent.name": "answer",
}


@pytest.fixture
def store(place: Path | str, db: None) -> Iterator[Any]:
    yield stores.open_store(place)
    stores.close_store()


def told(attributes: dict[str, Any], number: int, trace: int, ago_ns: int) -> Any:
    one = span(attributes, number=number, trace=trace)
    one.start_time_unix_nano = clock.now_ns() - ago_ns
    one.end_time_unix_nano = one.start_time_unix_nano + SECOND
    return one


def chat(number: int, trace: int, ago_ns: int, tokens: int = 1_000, more: dict[str, Any] | None = None) -> Any:
    return told({**CHAT, "gen_ai.usage.input_tokens": tokens, **(more or {})}, number, trace, ago_ns)


def tell(store: Any, *spans: Any) -> None:
    store.commit([normalise(body(*spans), PROTOBUF, "acme", clock.now_ns()).table])


def verdict(judge: str) -> Verdict:
    duties.judge(clock.now())
    return Verdict.objects.get(judge=judge)


def a_usual_day(store: Any) -> None:
    """200 runs of three calls."""
    day = [
        chat(10_000 + 3 * run + n, 1_000 + run, 2 * 60 * MINUTE + run * MINUTE) for run in range(200) for n in (0, 1, 2)
    ]
    tell(store, *day)


def test_a_run_out_of_hand_pages_while_it_goes_on(store: Any) -> None:
    a_usual_day(store)
    tell(store, *[chat(n, 7, (60 - n) * 10 * SECOND, 1_000 + 500 * n) for n in range(1, 60)])
    tell(store, *[chat(500 + n, 8, 5 * MINUTE) for n in range(3)])
    found = verdict("agents.runaway")
    assert (found.status, found.reason, found.value, found.threshold) == ("breach", "runs_away", 59, 20)
    assert f"Trace {7:032x} of agent answer made 59 model calls" in found.explanation
    assert "99 of 100 of its runs make 3 at most" in found.explanation
    assert "grew from 1,500 to 30,500 tokens" in found.explanation
    assert found.evidence["trace"] == f"{7:032x}"


def test_one_that_ended_wakes_nobody_and_silence_is_not_ok(store: Any) -> None:
    a_usual_day(store)
    tell(
        store,
        *[chat(n, 7, 20 * MINUTE - n * SECOND, more={"afterlaunch.transaction": "order-9"}) for n in range(1, 60)],
    )
    found = verdict("agents.runaway")
    assert (found.status, found.reason) == ("warning", "ran_away")
    assert found.explanation.startswith("Transaction order-9 of agent answer") and "has ended" in found.explanation
    duties.judge(clock.now() + timedelta(hours=1))
    found.refresh_from_db()
    assert (found.status, found.reason) == ("not_assessed", "no_runs")


def test_without_a_past_nothing_is_made_up(store: Any) -> None:
    tell(store, *[chat(n, 7, MINUTE) for n in range(1, 60)])
    found = verdict("agents.runaway")
    assert (found.status, found.reason) == ("not_assessed", "no_baseline")
    tell(store, *[chat(1_000 + n, 7, MINUTE) for n in range(1, 200)])
    assert verdict("agents.runaway").reason == "long_run"


def test_a_loop_is_told_where_other_runs_do_not_repeat(store: Any) -> None:
    ways = ('{"id": 7, "full": true, "in": {"eu": 1}}', '{"full":true,"in":{"eu":1},"id":7}')  # one thing, two ways
    others = [
        told({**TOOL, "gen_ai.tool.call.arguments": f'{{"id": {n}}}'}, 2_000 + n, 2_000 + n, 9 * MINUTE)
        for n in range(25)
    ]
    asked = [{**TOOL, "gen_ai.tool.call.arguments": ways[n % 2]} for n in range(1, 13)]
    tell(store, *others, *[told(one, n, 7, (13 - n) * 10 * SECOND) for n, one in enumerate(asked, 1)])
    found = verdict("agents.loop")
    assert (found.status, found.value, found.evidence["trace"]) == ("breach", 12, f"{7:032x}")
    assert "called find_order 12 times with the same arguments and goes on" in found.explanation


def test_arguments_that_nobody_tells_are_not_assessed(store: Any) -> None:
    tell(store, *[told(TOOL, n, 7, MINUTE) for n in range(1, 30)])
    assert verdict("agents.loop").reason == "no_arguments"


def run(name: str = "a", calls: int = 5, cost: int = 0, last: int = 100) -> Run:
    return Run("acme", "desk", "prod", "answer", name, True, calls, cost, 0, last)


USUAL = {run().kind: Usual(500, 10, 10**9)}


@pytest.mark.parametrize(
    ("runs", "status", "reason"),
    [
        ([run()], "ok", "runs_usual"),
        ([run(calls=30)], "ok", "runs_usual"),
        ([run(calls=31)], "breach", "runs_away"),
        ([run(calls=31, last=99)], "warning", "ran_away"),
        ([run("b", 400, last=99), run("a", 31)], "breach", "runs_away"),  # what goes on comes first
        ([run(cost=3 * 10**9 + 1)], "breach", "runs_away"),
    ],
)
def test_lines(runs: list[Run], status: str, reason: str) -> None:
    found = RUNAWAY.find(runs, USUAL, 100, Detail())
    assert (found.status.value, found.reason) == (status, reason)


def test_what_a_tool_is_for_is_no_loop() -> None:
    polling = [Loop(str(n), "answer", "wait", 12, 30, 1.0, 100) for n in range(30)]
    assert LOOPS.find(polling, 30, 0, 50).status.value == "ok"
    few = [Loop("1", "answer", "wait", 12, 2, 1.0, 100)]
    assert LOOPS.find(few, 2, 0, 50).status.value == "warning"


def test_ranks() -> None:
    assert gathering.rank(Counter({1: 98, 5: 1, 9: 1})) == 5
    assert gathering.rank(Counter({3: 1})) == 3
