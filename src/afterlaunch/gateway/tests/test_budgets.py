"""Budgets as callers meet them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from afterlaunch.contracts.budgets import Budget, PriceCard, Step
from afterlaunch.gateway.spending.store import Store
from afterlaunch.gateway.tests.house import Canned, House, house, snapshot_of, until
from afterlaunch.gateway.tests.test_callers_who_leave import leave_early
from afterlaunch.gateway.tests.test_forwarding import STREAM, call

CARD = PriceCard((Step(-1, {"input": 1_000_000, "output": 2_000_000}),), 0, "test 1", 4e9)  # 1 and 2 USD per million
ANSWER = b'{"id":"c","model":"gpt-4o","usage":{"prompt_tokens":100,"completion_tokens":50}}'
USED = b'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50}}\n\n'
COST = 200_000  # nano-USD
BODY = b'{"model":"gpt-4o","max_tokens":50,"messages":[{"role":"user","content":"%b"}]}' % (
    b"word " * 70
)  # > 100 tokens


def budgeted(of: House, *budgets: Budget) -> None:
    epoch = of.gateway.holder.epoch + 1
    of.server.publish(replace(snapshot_of(of.provider_url, epoch=epoch), budgets=budgets))
    until(lambda: of.gateway.holder.epoch == epoch)


def money(limit: int, **values: object) -> Budget:
    made = Budget("b1", "Support", {"client": "acme"}, "usd", limit, "day")
    return replace(made, **values)  # type: ignore[arg-type]


def counter(of: House, budget: str = "b1") -> dict[str, int]:
    with closing(Store(of.gateway.budgets_file)) as store:
        assert store.check() == []
        return next(row for row in store.changed(0) if row["budget"] == budget)


def test_a_call_is_reserved_and_settled_to_the_last_nano(gateway_house: House) -> None:
    gateway_house.server.cards["gpt-4o"] = CARD
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, money(10**9), Budget("b2", "Calls", {"tenant": "*"}, "requests", 2, "hour"))
    status, said, _ = call(gateway_house, BODY, afterlaunch_tenant="t1")
    assert status == 200 and int(said["afterlaunch-budget-remaining"]) == 1 and "afterlaunch-budget-reset" in said
    until(lambda: counter(gateway_house)["reserved"] == 0)
    assert counter(gateway_house)["used"] == COST
    call(gateway_house, BODY, afterlaunch_tenant="t1")
    status, said, body = call(gateway_house, BODY, afterlaunch_tenant="t1")
    assert (status, said["afterlaunch-reason"]) == (429, "budget-exhausted") and int(said["retry-after"]) <= 3601
    message = json.loads(body)["error"]["message"]
    assert message.startswith("Budget Calls for tenant=t1 has 0 requests of 2 requests left in this hour;")
    assert call(gateway_house, BODY, afterlaunch_tenant="t2")[0] == 200
    assert len(gateway_house.provider.requests) == 3
    until(lambda: any(row["budget"] == "b1" and row["used"] == 3 * COST for row in gateway_house.server.counters), 6)


def test_a_price_that_nobody_knows_is_not_zero(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, money(10**9))
    status, said, _ = call(gateway_house, BODY)
    assert (status, said["afterlaunch-reason"]) == (402, "price-unknown")
    budgeted(gateway_house, money(10**9, no_price="default-price", default_pico=3_000_000))
    assert call(gateway_house, BODY)[0] == 200
    until(lambda: counter(gateway_house)["used"] == 450_000)
    budgeted(gateway_house, money(1, no_price="tokens-only"), Budget("b2", "T", {}, "tokens", 10_000, "day"))
    assert call(gateway_house, BODY)[0] == 200
    until(lambda: counter(gateway_house, "b2")["used"] == 150)


def test_soft_and_observing_budgets_refuse_nobody(gateway_house: House) -> None:
    gateway_house.server.cards["gpt-4o"] = CARD
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, money(1, mode="soft"), replace(money(1, mode="observe"), id="b2"))
    assert [call(gateway_house, BODY)[0] for _ in range(2)] == [200, 200]
    until(lambda: counter(gateway_house)["used"] == counter(gateway_house, "b2")["used"] == 2 * COST)
    assert (counter(gateway_house)["refused"], counter(gateway_house, "b2")["refused"]) == (0, 2)


def test_failures_cost_nothing_and_leavers_an_estimate(gateway_house: House) -> None:
    gateway_house.server.cards["gpt-4o"] = CARD
    budgeted(gateway_house, money(10**9))
    gateway_house.provider.answer = lambda _: Canned([b"{}"], status=500)
    assert call(gateway_house, BODY)[0] == 500
    until(lambda: (counter(gateway_house)["used"], counter(gateway_house)["reserved"]) == (0, 0))
    broken = b'data: {"error":{"code":"overloaded"}}\n\n'
    gateway_house.provider.answer = lambda _: Canned([USED, broken], headers=STREAM)
    assert call(gateway_house, b'{"stream":true,"stream_options":{"include_usage":true},"model":"gpt-4o"}')[0] == 200
    until(lambda: counter(gateway_house)["used"] == COST)  # an error at the end of a stream: its tokens were used
    event = b'data: {"model":"gpt-4o","choices":[{"delta":{"content":"x"}}]}\n\n'
    gateway_house.provider.answer = lambda _: Canned([event] * 1_000, headers=STREAM, pause=0.01)
    leave_early(gateway_house, b'{"stream":true,"model":"gpt-4o"}', b"data:")
    until(lambda: counter(gateway_house)["reserved"] == 0 and counter(gateway_house)["used"] > COST)


def test_many_callers_at_once_do_not_pass_a_hard_budget(gateway_house: House) -> None:
    gateway_house.server.cards["gpt-4o"] = CARD
    gateway_house.provider.answer = lambda _: Canned([ANSWER], pause=0.02)
    budgeted(gateway_house, money(20 * COST + 1))
    with ThreadPoolExecutor(32) as many:
        found = [status for status, _, _ in many.map(lambda _: call(gateway_house, BODY), range(64))]
    assert set(found) == {200, 429}
    until(lambda: counter(gateway_house)["reserved"] == 0)
    assert counter(gateway_house)["used"] == found.count(200) * COST <= 20 * COST
    assert counter(gateway_house)["refused"] == found.count(429)


def test_the_server_may_be_away(gateway_house: House) -> None:
    """Prices that were known are kept, counters go on; only a model that is new cannot be priced."""
    gateway_house.server.cards["gpt-4o"] = replace(CARD, until=1.0)  # old at once
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, money(10**9))
    assert call(gateway_house, BODY)[0] == 200
    gateway_house.server.cards.clear()
    gateway_house.server.trace_status = 503
    assert call(gateway_house, BODY)[0] == 200
    assert call(gateway_house, BODY.replace(b"gpt-4o", b"gpt-9"))[0] == 402


def test_without_its_file_only_hard_budgets_refuse_and_it_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    (tmp_path / "budgets.sqlite3").mkdir()  # no database can be here
    with house(tmp_path) as made:
        made.server.cards["gpt-4o"] = CARD
        made.provider.answer = lambda _: Canned([ANSWER])
        assert call(made, BODY)[0] == 200
        budgeted(made, money(10**9, mode="soft"))
        assert call(made, BODY)[0] == 200
        budgeted(made, money(10**9))
        status, said, _ = call(made, BODY)
        assert (status, said["afterlaunch-reason"], said["retry-after"]) == (503, "budget-store", "5")
        (tmp_path / "budgets.sqlite3").rmdir()
        assert call(made, BODY)[0] == 200
        until(lambda: counter(made)["used"] == COST)


def test_a_transaction_that_runs_away_is_stopped_and_others_go_on(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, Budget("b1", "Steps", {"transaction": "*"}, "requests", 2, "hour"))
    run = [call(gateway_house, BODY, afterlaunch_transaction="order-1")[0] for _ in range(4)]
    assert run == [200, 200, 429, 429]
    assert call(gateway_house, BODY, afterlaunch_transaction="order-2")[0] == 200
    assert [call(gateway_house, BODY)[0] for _ in range(3)] == [200] * 3  # who names none is not counted
