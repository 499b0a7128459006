"""A limit that gateways on several machines share."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterlaunch.contracts.budgets import Budget
from afterlaunch.gateway.telling import identity
from afterlaunch.gateway.tests.house import Canned, House, house
from afterlaunch.gateway.tests.test_budgets import ANSWER, BODY, budgeted
from afterlaunch.gateway.tests.test_forwarding import call

SHARED = Budget("b1", "Together", {"client": "acme"}, "requests", 20, "day", shared=True)


def test_what_the_server_gives_is_spent_and_no_more(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    gateway_house.server.pot = 7  # the other thirteen are another gateway's
    budgeted(gateway_house, SHARED)
    answers = [call(gateway_house, BODY)[:2] for _ in range(10)]
    assert [status for status, _ in answers] == [200] * 7 + [429] * 3
    assert answers[-1][1]["afterlaunch-reason"] == "budget-exhausted" and len(gateway_house.provider.requests) == 7


def test_a_server_that_is_silent_lets_what_was_given_be_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    with house(tmp_path) as of:
        of.provider.answer = lambda _: Canned([ANSWER])
        of.server.pot = 3
        budgeted(of, SHARED)
        assert call(of, BODY)[0] == 200
        monkeypatch.setattr(of.server, "_share", lambda _: (500, b"{}"))
        assert [call(of, BODY)[0] for _ in range(2)] == [200, 200]
        status, said, _ = call(of, BODY)
        assert (status, said["afterlaunch-reason"]) == (503, "budget-share")


def test_a_gateway_keeps_its_name(tmp_path: Path) -> None:
    first = identity(tmp_path / "one")
    assert identity(tmp_path / "one") == first != identity(tmp_path / "two")
