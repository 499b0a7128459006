"""A failure is told once, where it began; what only passed it on and what got over it is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from afterlaunch.ground import clock
from afterlaunch.telemetry import profiles, queries, store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.failing import Course, courses, steps_of
from afterlaunch.telemetry.tests.telling import AT, MS, PROTOBUF, body, span
from afterlaunch.telemetry.views import errors
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.exports import of_search
from afterlaunch.telemetry.views.finding import find
from afterlaunch.telemetry.views.search import parse

START = clock.from_ns(AT)
CHAT: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
CHAT |= {"gen_ai.request.model": "gpt-4o"}
FAILED = CHAT | {"error.type": "RateLimitError", "http.response.status_code": 429}
DONE = CHAT | {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}


@pytest.fixture
def kept(place: Path | str) -> Iterator[store.Store]:
    yield store.open_store(place)
    store.close_store()


def one(told: dict[str, Any], number: int, parent: int = 0, at_ms: int = 0, failed: bool = False, **more: Any) -> Any:
    out = span(told, number=number, parent=parent, lasts_ms=100, status=2 if failed else 0, **more)
    out.start_time_unix_nano += at_ms * MS
    out.end_time_unix_nano += at_ms * MS
    return out


def failing(number: int, parent: int = 0, at_ms: int = 0) -> Any:
    return one(FAILED, number, parent, at_ms, True)


def agent(number: int = 1, parent: int = 0, failed: bool = True, at_ms: int = 0) -> Any:
    return one(AGENT, number, parent, at_ms, failed)


def mapped(*spans: Any, client: str = "acme") -> Any:
    return normalise(body(*spans), PROTOBUF, client, 0).table


def found(*spans: Any) -> dict[int, Course]:
    return {int(key[2], 16): course for key, course in courses(steps_of(mapped(*spans).to_pylist(), [])).items()}


PASSED_ON, ORIGIN, MADE_GOOD = Course(True, False), Course(False, False), Course(False, True)


def test_a_failure_that_parents_pass_on_began_at_the_deepest() -> None:
    chain = (agent(1), agent(2, 1), failing(3, 2))
    assert found(*chain) == {1: PASSED_ON, 2: PASSED_ON, 3: ORIGIN}


def test_a_span_that_got_by_without_ends_the_chain() -> None:
    assert found(agent(1), agent(2, 1, failed=False), failing(3, 2)) == {1: ORIGIN, 3: ORIGIN}


def test_an_uncounted_span_below_leaves_the_origin_with_the_operation() -> None:
    plain = one({"http.response.status_code": 500}, 3, 2, failed=True, name="GET")
    assert found(agent(1), one(TOOL, 2, 1, failed=True), plain) == {1: PASSED_ON, 2: ORIGIN, 3: ORIGIN}
    between = one({}, 2, 1, failed=True, name="step")
    assert found(agent(1), between, failing(3, 2)) == {1: PASSED_ON, 2: PASSED_ON, 3: ORIGIN}


def test_a_retry_and_a_fallback_make_a_failure_good() -> None:
    retried = (agent(1, failed=False), failing(2, 1), failing(3, 1, 200), one(DONE, 4, 1, 400))
    assert found(*retried) == {2: MADE_GOOD, 3: MADE_GOOD}
    assert found(agent(1), failing(2, 1), failing(3, 1, 200)) == {1: PASSED_ON, 2: ORIGIN, 3: ORIGIN}
    earlier = (agent(1, failed=False), one(DONE, 2, 1), failing(3, 1, 200))
    assert found(*earlier) == {3: ORIGIN}


def test_another_kind_or_tool_makes_nothing_good() -> None:
    other = TOOL | {"gen_ai.tool.name": "clock"}
    assert found(agent(1, failed=False), one(TOOL, 2, 1, failed=True), one(other, 3, 1, 200)) == {2: ORIGIN}
    assert found(agent(1, failed=False), one(TOOL, 2, 1, failed=True), one(TOOL, 3, 1, 200)) == {2: MADE_GOOD}


def test_what_recovers_further_up_recovers_all_below() -> None:
    steps = (agent(1, failed=False), agent(2, 1), failing(3, 2), agent(4, 1, False, 200), one(DONE, 5, 4, 200))
    assert found(*steps) == {2: Course(True, True), 3: MADE_GOOD}


def test_what_fails_after_a_failure_was_made_good_is_a_failure_of_its_own() -> None:
    steps = (agent(1), failing(2, 1), one(DONE, 3, 1, 200))
    assert found(*steps) == {1: ORIGIN, 2: MADE_GOOD}


def test_loops_of_parents_end() -> None:
    assert set(found(agent(1, 2), agent(2, 1), failing(3, 3))) == {1, 2, 3}


def counted() -> tuple[int, int, int]:
    """(failed, passed on, made good) as the rollups tell it, over all operations."""
    minutes = queries.minute_of(START - timedelta(hours=1)), queries.minute_of(START + timedelta(hours=1))
    rollups = queries.Rollups(*minutes, None, {}, 1, operations=True)
    measures = (profiles.ERROR, profiles.PASSED_ON, profiles.RECOVERED)
    told = rollups.profile([], measures).get((), {})
    return tuple(sum(count for _, count in told.get(one, ())) for one in measures)  # type: ignore[return-value]


def settle(kept: store.Store) -> None:
    kept.settle(AT + 60_000 * MS)
    assert kept.settle(AT + 60_000 * MS) == 0  # again changes nothing


def test_the_rollups_count_it_once_whatever_comes_when(kept: store.Store) -> None:
    kept.commit([mapped(failing(3, 2))])
    settle(kept)
    assert counted() == (1, 0, 0)
    kept.commit([mapped(agent(2, 1))])
    settle(kept)
    assert counted() == (2, 1, 0)
    kept.commit([mapped(agent(1))])
    settle(kept)
    assert counted() == (3, 2, 0)
    kept.commit([mapped(one(DONE, 4, 2, 200))])  # late: what was above it failed for itself then
    settle(kept)
    assert counted() == (3, 1, 1)
    (row,) = kept.query("select sum(propagated)::bigint as passed, sum(recovered)::bigint as good from failures")
    assert (row["passed"], row["good"]) == (1, 1)


def asked(q: str = "") -> Asked:
    return Asked("/calls", "", START - timedelta(hours=1), START + timedelta(hours=1), parse(q), None, {})


def test_pages_and_files_tell_it(kept: store.Store) -> None:
    kept.commit([mapped(agent(1, failed=False), agent(2, 1), failing(3, 2), agent(4, 1, False, 200))])
    kept.commit([mapped(failing(8), agent(9))])
    settle(kept)
    ask = asked()
    rows = {row["op_kind"]: row for row in errors.sheet(ask).sections[0].grid.rows}
    told = {kind: (row["failed"], row["recovered"], row["passed_on"]) for kind, row in rows.items()}
    assert told == {"inference": (2, 1, 0), "agent": (1, 0, 1)}
    assert (rows["inference"]["whose"], rows["inference"]["share_of_failed"]) == ("rate limit", 2 / 3)

    def spans(q: str) -> set[tuple[int, bool | None, bool | None]]:
        found = find(parse(q), ask.start, ask.end, None, 10, table="spans").rows
        return {(int(row["span_id"], 16), row["error_propagated"], row["recovered"]) for row in found}

    assert spans("recovered:yes") == {(2, True, True), (3, False, True)}
    assert spans("error_propagated:no kind:agent failed:yes") == {(9, False, False)}
    assert spans("kind:agent failed:no") == {(1, None, None), (4, None, None)}
    calls = find(parse("recovered:no"), ask.start, ask.end, None, 10).rows
    assert [row["span_id"] for row in calls] == [f"{8:016x}"]
    body = of_search("parquet", parse(""), ask.start, ask.end, None, "spans", False).getvalue()
    table = parquet.read_table(BytesIO(body)).select(["span_id", "error_propagated", "recovered"]).to_pylist()
    by_span = {int(row["span_id"], 16): (row["error_propagated"], row["recovered"]) for row in table}
    assert by_span[2] == (True, True) and by_span[3] == (False, True) and by_span[1] == (None, None)


def test_members_of_one_call_are_one_failure(kept: store.Store) -> None:
    outer = normalise(body(agent(1), failing(2, 1), scope="openinference.instrumentation.anthropic"), PROTOBUF, "a", 0)
    inner = normalise(body(failing(3, 2), scope="com.anthropic.sdk.python"), PROTOBUF, "a", 0)
    kept.commit([outer.table])
    kept.commit([inner.table])
    settle(kept)
    assert [len(row["members"]) for row in kept.query("select members from calls")] == [2]
    assert counted() == (2, 1, 0)


def test_clients_keep_their_failures_apart(kept: store.Store) -> None:
    kept.commit([mapped(agent(1), client="acme"), mapped(failing(2, 1), client="globex")])
    settle(kept)
    assert counted() == (2, 0, 0)


def test_a_renamed_tenant_keeps_them(kept: store.Store) -> None:
    tenant = {"tenant.id": "shop"}
    kept.commit([mapped(one(AGENT | tenant, 1, failed=True), one(FAILED | tenant, 2, 1, failed=True))])
    settle(kept)
    kept.rename_tenant("acme", "shop", "erased")
    assert counted() == (2, 1, 0)
