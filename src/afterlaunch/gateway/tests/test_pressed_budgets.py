"""Budgets that let calls pass otherwise when their limit comes near."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from afterlaunch.contracts.budgets import Budget, delay_at
from afterlaunch.gateway.tests.house import Canned, House
from afterlaunch.gateway.tests.test_budgets import ANSWER, BODY, budgeted
from afterlaunch.gateway.tests.test_forwarding import call

THREE = Budget("b1", "Three", {"client": "acme"}, "requests", 3, "day")


def test_a_spent_budget_moves_calls_to_the_cheaper_model(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, replace(THREE, mode="downgrade", cheaper="gpt-4o-mini"))
    answers = [call(gateway_house, BODY) for _ in range(5)]
    assert [status for status, _, _ in answers] == [200] * 5
    models = [json.loads(one.body)["model"] for one in gateway_house.provider.requests]
    assert models == ["gpt-4o"] * 3 + ["gpt-4o-mini"] * 2
    assert int(answers[0][1]["afterlaunch-budget-remaining"]) == 2
    assert int(answers[4][1]["afterlaunch-budget-remaining"]) == 0


def test_a_budget_that_throttles_delays_and_never_refuses(
    gateway_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def noted(fill: float) -> float:
        slept.append(fill)
        return delay_at(fill) / 100

    monkeypatch.setattr("afterlaunch.gateway.spending.scopes.delay_at", noted)
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    budgeted(gateway_house, replace(THREE, mode="throttle"))
    assert [call(gateway_house, BODY)[0] for _ in range(5)] == [200] * 5
    assert [round(one, 2) for one in slept] == [0.33, 0.67, 1.0, 1.33, 1.67]


def test_the_delay_rises_to_its_end() -> None:
    assert [round(delay_at(fill), 1) for fill in (0.5, 0.8, 0.9, 1.0, 9.0)] == [0.0, 0.0, 1.0, 2.0, 5.0]


def test_what_is_no_such_budget_says_so() -> None:
    assert replace(THREE, mode="downgrade").check() and replace(THREE, cheaper="x").check()
