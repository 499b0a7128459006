"""Every breakdown of one window sums to the same total, with rows of what is not told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.contracts.labels import PROBE_AGENT
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import attribution
from afterlaunch.telemetry.attribution import BY, breakdown
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.store import close_store, open_store
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span

START = clock.from_ns(AT).astimezone(UTC)
WINDOW = (START, START + timedelta(hours=2))
KEYS = {
    "tenant.id": ("t1", "t2", None),
    "gen_ai.agent.name": ("planner", PROBE_AGENT, None),
    "afterlaunch.route": ("chat", None),
    "gen_ai.prompt.version": ("v1", "v2", None),
    "user.id": ("u1", "u2", "u3", None),
    "session.id": ("s1", None),
    "afterlaunch.transaction": ("o1", "o2", None),
    "afterlaunch.arm": ("baseline", "candidate", None),
}


def made(chance: random.Random, number: int) -> Any:
    model = chance.choice(("gpt-5", "gpt-4o-mini", "no-such-model"))
    told: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    told["gen_ai.response.model"] = model
    if number % 7:
        told |= {"gen_ai.usage.input_tokens": chance.randrange(5_000), "gen_ai.usage.output_tokens": 10}
    told |= {key: value for key, values in KEYS.items() if (value := chance.choice(values)) is not None}
    one = span(told, number=number, trace=number)
    one.start_time_unix_nano = AT + chance.randrange(7_200) * 10**9
    one.end_time_unix_nano = one.start_time_unix_nano + 10**9
    return one


@pytest.fixture(scope="module")
def told(module_place: Path | str) -> Iterator[None]:
    chance, store = random.Random(5), open_store(module_place)
    for client in ("acme", "other"):
        spans = [made(chance, number + (1_000 if client == "other" else 0)) for number in range(1, 201)]
        store.commit([normalise(body(*spans), PROTOBUF, client, 0).table])
    yield
    close_store()


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("clients", [None, frozenset({"acme"})], ids=["all", "one"])
def test_every_dimension_sums_to_the_same_total(clients: frozenset[str] | None) -> None:
    found = {name: breakdown(*WINDOW, name, clients) for name in BY}
    totals = {name: vars(one.total) for name, one in found.items()}
    expected = totals["model"]
    assert expected["calls"] == (400 if clients is None else 200)
    assert 0 < expected["calls_unknown_cost"] < expected["calls"] and expected["cost_nano"] > 0
    assert all(total == expected for total in totals.values()), totals
    for name in ("tenant", "agent", "route", "version", "user", "session", "transaction", "arm"):
        assert found[name].unattributed.calls > 0, f"{name}: what is not told has a row"
    assert {row.value for row in found["purpose"].rows} == {"production", "probe"}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("name", BY)
def test_a_short_list_has_a_row_of_all_others(name: str) -> None:
    whole, short = breakdown(*WINDOW, name), breakdown(*WINDOW, name, most=1)
    assert vars(short.total) == vars(whole.total)
    assert len(short.rows) <= 2 and short.unattributed.calls == whole.unattributed.calls


@pytest.mark.usefixtures("told")
def test_filters_hold_for_every_dimension() -> None:
    totals = [vars(breakdown(*WINDOW, name, None, tenant="t1").total) for name in BY]
    assert totals[0]["calls"] > 0 and all(total == totals[0] for total in totals)


def test_what_is_no_dimension_is_refused() -> None:
    with pytest.raises(Invalid):
        breakdown(*WINDOW, "mood")
    assert attribution.purpose_of(None, "shadow", "prod") == "shadow"
    assert attribution.purpose_of(None, None, "test") == "test"
    assert isinstance(WINDOW[0], datetime)
