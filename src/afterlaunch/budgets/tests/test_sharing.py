"""One limit over gateways on several machines: what is given never passes it, and nothing is given twice."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from afterlaunch.budgets.actions import Values, put_budget
from afterlaunch.budgets.counting import take
from afterlaunch.budgets.models import Pot, Share
from afterlaunch.budgets.sharing import draw, standing
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.routes.models import Budget

GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))
DAY = datetime(2026, 3, 10, tzinfo=UTC)
START = int(DAY.timestamp())


@pytest.fixture
def budget() -> Budget:
    with clock.frozen(DAY):
        values = Values("tokens", 100_000, "day", {"tenant": "*"}, fed="gateways", thresholds=(), forecast=False)
        return put_budget(automation("house"), None, "Together", values)


def ask(budget: Budget, gateway: str, held: int, tries: int = 0, counter: str = "tenant=a") -> int:
    want = {"budget": str(budget.pk), "counter": counter, "window_start": START, "held": held, "tries": tries}
    found: int = draw(GATEWAY, gateway, [want])[0]["share"]
    return found


@pytest.mark.django_db
def test_shares_never_pass_the_limit_and_all_of_it_can_be_drawn(budget: Budget) -> None:
    assert budget.contract().shared
    dice, held = random.Random(5), dict.fromkeys("abcd", 0)
    for _ in range(400):
        name = dice.choice("abcd")
        held[name] = ask(budget, name, held[name], dice.randrange(8))
        assert sum(held.values()) <= budget.limit
    assert sum(held.values()) == budget.limit == Pot.objects.get().given
    assert standing(budget, START, "tenant=a") == (4, budget.limit)
    assert ask(budget, "a", held["a"], 6) == held["a"], "nothing is left"
    assert ask(budget, "a", 0, counter="tenant=b") == budget.limit // 32, "another counter is another pot"


@pytest.mark.django_db
def test_a_share_that_a_gateway_forgot_is_told_and_not_given_again(budget: Budget) -> None:
    first = ask(budget, "a", 0)
    assert ask(budget, "a", 0) == first and Pot.objects.get().given == first
    assert ask(budget, "a", first) > first


@pytest.mark.django_db
def test_what_was_counted_before_is_given_away_already(budget: Budget) -> None:
    told = {"budget": str(budget.pk), "counter": "tenant=a", "window_start": START, "used": 60_000, "reserved": 10_000}
    take(GATEWAY, "host", [told | {"at": START + 5}])
    share = ask(budget, "host/1", 0)
    assert share == 70_000 and ask(budget, "host/1", share) == 70_000 + 30_000 // 32
    assert ask(budget, "other/2", 0) < 1_000
    assert Pot.objects.get().given == sum(Share.objects.values_list("amount", flat=True))


@pytest.mark.django_db
def test_who_may_not_ask_and_what_is_no_want_is_refused(budget: Budget) -> None:
    with pytest.raises(NotAllowed):
        draw(Actor("token", "t", (Held(Role.INGEST, "acme"),)), "g", [])
    for want in ({}, 5, {"budget": "x"}, {"budget": str(budget.pk), "counter": "", "window_start": START + 1}):
        with pytest.raises(Invalid):
            draw(GATEWAY, "g", [want])
    other = put_budget(automation("house"), None, "Alone", Values("tokens", 10, "day", thresholds=(), forecast=False))
    with pytest.raises(Invalid):
        ask(other, "g", 0, counter="")
