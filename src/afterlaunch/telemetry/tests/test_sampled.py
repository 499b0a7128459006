"""Calls of sampled traces count as they were sent; what they stand for beyond themselves is kept in sums of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.ground import clock
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.api import spend_row
from afterlaunch.telemetry.attribution import breakdown
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.conventions.sampling import of_threshold
from afterlaunch.telemetry.store import Store, close_store, engine_at, open_store
from afterlaunch.telemetry.tests.places import Places
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, row, rows, span

START = clock.from_ns(AT).astimezone(UTC)
HOUR = (START, START + timedelta(hours=1))
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1_001,
    "gen_ai.usage.output_tokens": 10,
}
NANO = 1_001 * 150 + 10 * 600  # nano-USD: 0.15 and 0.60 USD per million


@pytest.mark.parametrize(
    ("threshold", "times"),
    [
        ("0", 1),
        ("8", 2),
        ("c", 4),
        ("fd70a4", Fraction(2**24, 2**24 - 0xFD70A4)),
        ("f" * 14, 2**56),
        ("", 1),
        ("x", None),
    ],
)
def test_a_threshold_tells_what_one_stands_for(threshold: str, times: Fraction | None) -> None:
    assert of_threshold(threshold) == times


@pytest.mark.parametrize(
    ("state", "told", "resource", "milli"),
    [
        ("", {}, {}, None),
        ("ot=th:8", {}, {}, 2_000),
        ("vendor=x, ot=rv:80000000000000;th:c", {}, {}, 4_000),
        ("ot=th:0", {}, {}, 1_000),
        ("ot=p:3;r:62", {}, {}, 8_000),
        ("ot=p:63", {}, {}, None),
        ("vendor=th:8", {}, {}, None),
        ("other=ot=th", {}, {}, None),
        ("ot=th:ffffffffffffff", {}, {}, None),  # one of 2^56: not believed
        ("", {"sampling.ratio": 0.1}, {}, 10_000),
        ("", {"afterlaunch.sampling.ratio": "0.3"}, {}, 3_333),
        ("", {"logfire.sample_rate": 0.5}, {}, 2_000),
        ("", {"SampleRate": 20}, {}, 20_000),
        ("", {"microsoft.sample_rate": 12.5}, {}, 8_000),
        ("", {"_MS.sampleRate": "50"}, {}, 2_000),
        ("", {"sampling.probability": 0}, {}, None),
        ("", {"sampling.probability": 1.5}, {}, None),
        ("", {"SampleRate": 0}, {}, None),
        ("", {"sampling.ratio": "much"}, {}, None),
        ("", {}, {"afterlaunch.sampling.ratio": "0.25"}, 4_000),
        ("", {}, {"sampling.ratio": "much"}, None),
        ("", {"sampling.ratio": 0.5}, {"sampling.ratio": 0.25}, 2_000),
        ("ot=th:8", {"sampling.ratio": 0.1}, {"sampling.ratio": 0.25}, 2_000),
        ("ot=th:8", {"afterlaunch.gateway": True}, {}, 1_000),  # our gateway tells every call
    ],
)
def test_who_tells_the_share_is_believed_in_this_order(
    state: str, told: Mapping[str, Any], resource: Mapping[str, Any], milli: int | None
) -> None:
    one = span({**CHAT, **told})
    one.trace_state = state
    (found,) = rows(body(one, resource=resource))
    assert found["adjusted_count_milli"] == milli
    kept = {**found["attributes"], **({} if not found["resource"] else {"resource": found["resource"]})}
    assert all(key in kept for key in told if key != "afterlaunch.gateway")  # what was told stays
    assert not resource or "sampling" in str(kept)


def test_where_nobody_samples_nothing_is_told() -> None:
    assert row(CHAT)["adjusted_count_milli"] is None


def sampled(number: int, share: float | None, **more: Any) -> Any:
    told = {**CHAT, **({} if share is None else {"sampling.ratio": share}), "user.id": f"u{number % 2}", **more}
    return span(told, number=number, trace=number)


SHARES = (0.1, 0.3, 1.0, None, 0.25, 0.7)


@pytest.fixture
def told(place: Path | str) -> Iterator[Store]:
    store = open_store(place)
    spans = [sampled(number, share) for number, share in enumerate(SHARES, 1)]
    for half in (spans[:3], spans[3:]):
        store.commit([normalise(body(*half), PROTOBUF, "acme", 0).table])
    yield store
    close_store()


def unsent(value: int) -> int:
    """One by one, in whole numbers."""
    return sum(value * (round(1_000 / share) - 1_000) // 1_000 for share in SHARES if share)


def test_sums_are_of_what_was_sent_and_what_was_left_out_stands_beside_them(told: Store) -> None:
    (whole,) = queries.windows(*HOUR, [])
    assert (whole.calls, whole.input_tokens, whole.cost_nano) == (6, 6 * 1_001, 6 * NANO)
    assert whole.calls_sampled == 4 and whole.calls_unsent_milli == 9_000 + 2_333 + 3_000 + 429
    assert (whole.input_unsent, whole.output_unsent, whole.cost_unsent_nano) == (
        unsent(1_001),
        unsent(10),
        unsent(NANO),
    )
    assert whole.calls_extrapolated == 21 and whole.cost_extrapolated_nano == 6 * NANO + unsent(NANO)
    assert whole.p50_ms is not None and whole.failed == 0  # a share or a time is that of what was sent
    shown = spend_row(whole)
    assert (shown["calls"], shown["calls_extrapolated"], shown["calls_sampled"]) == (6, 21, 4)
    assert float(shown["cost_extrapolated_usd"]) == pytest.approx(whole.cost_extrapolated_nano / 1e9)


def test_every_breakdown_stands_for_the_same(told: Store) -> None:
    found = {name: breakdown(*HOUR, name).total for name in ("model", "user", "session", "purpose")}
    figures = {
        (one.calls_sampled, one.calls_unsent_milli, one.cost_unsent_nano, one.cost_nano) for one in found.values()
    }
    assert figures == {(4, 9_000 + 2_333 + 3_000 + 429, unsent(NANO), 6 * NANO)}


def test_a_month_is_the_sum_of_its_minutes(told: Store) -> None:
    (before,) = queries.windows(*HOUR, [])
    for _ in range(3):
        told.upkeep(clock.now_ns())
    (after,) = queries.windows(*HOUR, [])
    assert after == before


def test_what_a_price_corrects_is_corrected_in_what_it_stands_for(told: Store) -> None:
    from afterlaunch.telemetry.merging import Merged
    from afterlaunch.telemetry.tables import CALLS

    names = ", ".join(f'"{name}"' for name in CALLS.names)
    rows = told.engine.arrow(f"select {names} from calls").cast(CALLS)
    other = rows.set_column(CALLS.get_field_index("cost_nano"), CALLS.field("cost_nano"), [[2 * NANO] * rows.num_rows])
    assert told.replace_calls("reprice", lambda: Merged(other, rows)) == 6
    (whole,) = queries.windows(*HOUR, [])
    assert (whole.calls, whole.cost_nano, whole.calls_unsent_milli) == (6, 12 * NANO, 9_000 + 2_333 + 3_000 + 429)
    assert whole.cost_unsent_nano == unsent(2 * NANO)


def test_a_call_that_a_gateway_saw_is_no_sample_in_whatever_order_it_is_told(places: Places) -> None:
    """The application sends one trace of ten; the gateway tells all calls."""
    same = {**CHAT, "gen_ai.response.id": "chatcmpl-0123456789abcdef"}
    application = body(span({**same, "sampling.ratio": 0.1}, number=1, trace=1), scope="app")
    other = body(span({**same, "sampling.ratio": 0.2}, number=3, trace=3), scope="other")
    gateway = body(span({**same, "afterlaunch.gateway": True}, number=2, trace=2), scope="afterlaunch.gateway")
    for order in itertools.permutations((application, other, gateway)):
        store = Store(engine_at(places()))
        for data in order:
            store.commit([normalise(data, PROTOBUF, "acme", 0).table])
        names = "sum(calls)::bigint as calls, sum(calls_sampled)::bigint as sampled"
        names += ", sum(calls_unsent_milli)::bigint as unsent, sum(cost_unsent_nano)::bigint as cost"
        (sums,) = store.query(f"select {names} from sums_minute")
        (call,) = store.query("select adjusted_count_milli as milli from calls")
        store.close()
        assert sums == {"calls": 1, "sampled": 0, "unsent": 0, "cost": 0} and call == {"milli": 1_000}


def test_operations_stand_for_others_too(place: Path | str) -> None:
    store = open_store(place)
    tool = span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look", "SampleRate": 5}, number=9)
    store.commit([normalise(body(tool), PROTOBUF, "acme", 0).table])
    try:
        (found,) = queries.operations(*HOUR, ["tool"])
        assert (found.calls, found.calls_extrapolated) == (1, 5)
    finally:
        close_store()
