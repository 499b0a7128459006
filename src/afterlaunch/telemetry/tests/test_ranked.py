"""The dearest values, how many there are and what all sum to, equal what one gets by taking every group."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import store
from afterlaunch.telemetry.attribution import PARTS, breakdown
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.queries import stretches
from afterlaunch.telemetry.ranked import MEASURED, layers, ranked
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

END = datetime(2026, 3, 2, tzinfo=UTC)
START = END - timedelta(hours=3)
BEFORE = START - timedelta(hours=3)
SUMS = ("calls", "cost_nano", "calls_unknown_cost", *PARTS)


def calls(seed: int) -> list[Any]:
    draw, out = random.Random(seed), []
    for number in range(1, 601):
        told: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": draw.choice(["gpt-4o", "gpt-4o-mini", "no-such-model"]),
            "gen_ai.usage.input_tokens": draw.choice([1_000, draw.randrange(10, 5_000)]),
            "gen_ai.usage.output_tokens": draw.randrange(1, 500),
        }
        late = draw.random() < 0.6
        if draw.random() < 0.9:
            told["tenant.id"] = f"t-{draw.randrange(40) + (0 if late else 20)}"
        if draw.random() < 0.9:
            told["user.id"] = f"u-{draw.randrange(40) + (0 if late else 20)}"
        one = span(told, number=number, trace=number)
        at = (START if late else BEFORE) + timedelta(minutes=draw.randrange(180))
        one.start_time_unix_nano = clock.to_ns(at)
        one.end_time_unix_nano = one.start_time_unix_nano + 10**9
        out.append(one)
    return out


@pytest.fixture(scope="module")
def filled(module_place: Path | str) -> Iterator[None]:
    made = store.open_store(module_place)
    made.commit([normalise(body(*calls(7)), PROTOBUF, "acme", clock.to_ns(END)).table])
    yield
    store.close_store()


@pytest.mark.parametrize("names", [["tenant"], ["tenant", "model"], ["model"], []])
def test_pages_of_any_size_hold_what_all_groups_do(filled: None, names: list[str]) -> None:
    rows = stretches([BEFORE, START, END], names)
    now = {tuple(row.key[name] for name in names): row for row in rows if row.start == START}
    past = {tuple(row.key[name] for name in names): row for row in rows if row.start == BEFORE}
    wanted = {*now, *(key for key, row in past.items() if row.cost_nano)}
    whole = ranked(START, END, names, before=BEFORE)
    assert whole.count == len(whole.rows) == len(wanted) and {row.key for row in whole.rows} == wanted
    for row in whole.rows:
        one, was = now.get(row.key), past.get(row.key)
        assert [getattr(row.now, name) for name in SUMS] == [getattr(one, name, 0) for name in SUMS]
        assert row.now.buckets == (one.buckets if one else dict.fromkeys(BUCKETS, 0))
        assert (row.was and row.was.cost_nano) == (was and was.cost_nano)
        assert (row.was and row.was.calls_unknown_cost) == (was and was.calls_unknown_cost)
    ordered = [(-row.now.cost_nano, -row.now.calls) for row in whole.rows]
    assert ordered == sorted(ordered)
    assert whole.total.cost_nano == sum(row.cost_nano for row in now.values())
    assert whole.total.buckets == {name: sum(row.buckets[name] for row in now.values()) for name in BUCKETS}
    assert whole.was.calls == sum(row.calls for row in past.values())
    for size in (9, 60):
        pages = [
            ranked(START, END, names, before=BEFORE, most=size, skip=skip) for skip in range(0, whole.count + 1, size)
        ]
        assert [row for page in pages for row in page.rows] == whole.rows
        assert {page.count for page in pages} == {whole.count} and pages[0].total == whole.total


@pytest.mark.parametrize("filters", [{}, {"model": "gpt-4o"}, {"tenant": None}], ids=str)
def test_people_are_told_by_their_calls_and_sum_to_what_the_rollups_hold(
    filled: None, filters: dict[str, str | None]
) -> None:
    now, past = (
        {row.value: row for row in breakdown(bounds[0], bounds[1], "user", None, 1_000, **filters).rows}
        for bounds in ((START, END), (BEFORE, START))
    )
    whole = ranked(START, END, ["user"], equals=filters, before=BEFORE)
    assert {row.key[0] for row in whole.rows} == {*now, *(name for name, row in past.items() if row.cost_nano)}
    for row in whole.rows:
        one, was = now.get(row.key[0]), past.get(row.key[0])
        assert [getattr(row.now, name) for name in SUMS] == [getattr(one, name, 0) for name in SUMS]
        assert row.now.buckets == (one.buckets if one else dict.fromkeys(BUCKETS, 0))
        assert (row.was and row.was.cost_nano) == (was and was.cost_nano)
    assert [getattr(whole.total, name) for name in SUMS] == [
        sum(getattr(row.now, name) for row in whole.rows) for name in SUMS
    ]
    assert whole.was.cost_nano == sum(row.cost_nano for row in past.values())
    first = ranked(START, END, ["user"], equals=filters, before=BEFORE, most=7)
    assert (first.rows, first.count, first.total) == (whole.rows[:7], whole.count, whole.total)
    with pytest.raises(Invalid):
        ranked(START, END, ["user", "model"])


def test_without_a_time_before_only_what_was_called_is_told(filled: None) -> None:
    found = ranked(START, END, ["tenant"], frozenset(["acme"]), {"model": "gpt-4o"})
    rows = stretches([START, END], ["tenant"], model="gpt-4o")
    assert {row.key[0]: row.now.calls for row in found.rows} == {row.key["tenant"]: row.calls for row in rows}
    assert all(row.was is None for row in found.rows) and found.was.calls == 0
    nothing = ranked(START, END, ["tenant"], frozenset(["globex"]))
    assert (nothing.rows, nothing.count, nothing.total.calls) == ([], 0, 0)
    with pytest.raises(Invalid):
        ranked(START, END, ["tenant; drop table series"])


@pytest.mark.parametrize("measure", list(MEASURED))
@pytest.mark.parametrize("most", [3, 100])
def test_layers_and_their_rest_add_up_in_every_step(filled: None, measure: str, most: int) -> None:
    bounds = [BEFORE, START, START + timedelta(minutes=50), END]
    found = layers(bounds, "tenant", measure, most)
    sums: dict[str | None, int] = {}
    steps: dict[datetime, int] = {}
    for row in stretches(bounds, ["tenant"]):
        amount = sum(row.buckets.values()) if measure == "tokens" else getattr(row, MEASURED[measure][0])
        sums[row.key["tenant"]] = sums.get(row.key["tenant"], 0) + amount
        steps[row.start] = steps.get(row.start, 0) + amount
    told = {value: sum(step[place] for step in found.steps) for place, value in enumerate(found.values)}
    assert told == {value: sums[value] for value in found.values}
    assert list(told.values()) == sorted(sums.values(), reverse=True)[:most]
    assert (found.rest is None) == (len(sums) <= most)
    rest = found.rest or [0] * len(found.steps)
    assert [sum(step) + more for step, more in zip(found.steps, rest, strict=True)] == [steps[at] for at in bounds[:-1]]
