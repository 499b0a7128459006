from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.budgets.actions import Values, put_budget
from afterlaunch.budgets.alerting import tidy
from afterlaunch.budgets.cards import card
from afterlaunch.budgets.counting import take
from afterlaunch.budgets.models import Count, Mark
from afterlaunch.contracts.budgets import PriceCard, Step
from afterlaunch.contracts.plain import made
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import NotAllowed
from afterlaunch.prices import in_force
from afterlaunch.prices.book import BUNDLED, Book, Discount
from afterlaunch.prices.rows import Times
from afterlaunch.routes import shadow_use
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream, set_handling
from afterlaunch.routes.models import Budget, ShadowUse

HOUSE = automation("house")
GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MIDNIGHT = int(datetime(2026, 3, 10, tzinfo=UTC).timestamp())


@pytest.fixture
def budget(desk: System, monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    return put_budget(HOUSE, desk.client, "tenants", Values("tokens", 1_000, "day", {"tenant": "*"}))


def told(budget: Budget, **more: Any) -> dict[str, Any]:
    one = {"budget": str(budget.pk), "counter": "tenant=t1", "window_start": MIDNIGHT, "used": 10, "reserved": 3}
    return one | {"at": NOON.timestamp()} | more


def test_the_later_telling_wins_and_a_repeated_one_changes_nothing(budget: Budget) -> None:
    later = told(budget, used=20, at=int(NOON.timestamp() + 5) * 1000)  # in milliseconds
    assert take(GATEWAY, "g1", [later]).taken == 1
    for old in (told(budget), later):
        answer = take(GATEWAY, "g1", [old])
        assert (answer.taken, answer.older) == (0, 1)
    assert Count.objects.get().used == 20


def test_gateways_add_up_and_the_burn_is_marked(budget: Budget) -> None:
    take(GATEWAY, "g1", [told(budget), told(budget, counter="tenant=t2", used=5)])
    take(GATEWAY, "g2", [told(budget, used=7)])
    marks = Mark.objects.order_by("counter").values_list("counter", "used", "slot")
    assert list(marks) == [("tenant=t1", 17, int(NOON.timestamp())), ("tenant=t2", 5, int(NOON.timestamp()))]


def test_what_was_told_under_the_host_alone_is_not_counted_twice(budget: Budget) -> None:
    yesterday = told(budget, window_start=MIDNIGHT - 86_400, used=4)
    take(GATEWAY, "host", [yesterday, told(budget), told(budget, counter="tenant=t2")])
    take(GATEWAY, "host/a", [told(budget, used=11)])
    take(GATEWAY, "host/b", [told(budget, used=2)])
    rows = Count.objects.order_by("gateway", "window_start", "counter").values_list("gateway", "counter", "used")
    assert list(rows) == [
        ("host", "tenant=t1", 4), ("host", "tenant=t2", 10), ("host/a", "tenant=t1", 11), ("host/b", "tenant=t1", 2),
    ]  # fmt: skip
    assert Mark.objects.get(counter="tenant=t1", window_start=MIDNIGHT).used == 13


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": "999"}, {"budget": 1}, {"counter": 5}, {"counter": "x" * 501}, {"used": -1}, {"used": 1.5},
        {"used": True}, {"window_start": MIDNIGHT + 60}, {"at": "now"}, {"at": float("nan")}, {"used": 1 << 70},
        {"at": 9e10}, {"at": 9e15}, {"at": 0}, {"window_start": 1 << 61}, {"at": 10**400},
    ],
)  # fmt: skip
def test_a_bad_counter_is_named_and_the_good_are_kept(budget: Budget, wrong: dict[str, Any]) -> None:
    answer = take(GATEWAY, "g1", [told(budget) | wrong, told(budget), "none"])
    assert answer.taken == 1
    assert [place for place, _ in answer.refused] == [0, 2]


def test_what_a_shadow_used_is_added_up_over_gateways_and_is_no_budgets(budget: Budget, desk: System) -> None:
    put_upstream(HOUSE, "openai", "https://api.openai.com", "openai", "env:KEY")
    route = put_route(HOUSE, "answers", desk, ArmValues("openai"))

    def own(**more: Any) -> dict[str, Any]:
        return told(budget) | {"budget": "shadow/answers/usd", "counter": "", "reserved": 0} | more

    assert shadow_use.standing(route, NOON) is None
    shadow = {"share": 1_000, "upstream": "openai", "model": "gpt-5-mini", "budget": {"limit": 5.0}}
    route = set_handling(HOUSE, route, {"shadow": shadow})
    silent = shadow_use.standing(route, NOON)
    assert silent is not None and (silent.told, silent.used, silent.left) == (False, 0, 5 * 10**9)
    first = take(GATEWAY, "g1", [own(used=10**9, refused=2), told(budget)])
    assert (first.taken, first.refused) == (2, ())
    assert take(GATEWAY, "g1", [own(used=1, at=NOON.timestamp() - 5)]).older == 1
    take(GATEWAY, "g2", [own(reserved=5, used=2 * 10**9)])
    take(GATEWAY, "g2", [own(used=10**9, window_start=MIDNIGHT - 86_400)])
    take(GATEWAY, "g2", [own(budget=name, used=7) for name in ("shadow/gone/usd", "shadow/x")])
    found = shadow_use.standing(route, NOON)
    assert found is not None and (found.used, found.reserved, found.refused) == (3 * 10**9, 5, 2)
    assert (found.left, found.model, found.told) == (2 * 10**9 - 5, "gpt-5-mini", True)
    assert found.renews == datetime.fromtimestamp(MIDNIGHT + 86_400, UTC)
    late = take(GATEWAY, "g1", [own(window_start=1 << 61)])
    assert [place for place, _ in late.refused] == [0]
    tidy(NOON + timedelta(days=4_000))
    assert not ShadowUse.objects.exists()


def test_only_a_gateways_token_tells(budget: Budget) -> None:
    for roles in ((Held(Role.INGEST, "acme"),), (Held(Role.OPERATOR, None),)):
        with pytest.raises(NotAllowed):
            take(Actor("token", "x", roles), "g1", [told(budget)])


def test_many_counters_cost_a_fixed_number_of_questions_to_look_up(
    budget: Budget, django_assert_max_num_queries: Any
) -> None:
    some = [told(budget, counter=f"tenant=t{number}") for number in range(200)]
    take(GATEWAY, "g1", some)
    with django_assert_max_num_queries(12):
        take(GATEWAY, "g1", some)


def test_a_price_card_prices_like_the_table_and_says_until_when(budget: Budget) -> None:
    _, secret = create_token(HOUSE, "gateway", "ingest", None)
    api = Browser(headers={"authorization": f"Bearer {secret}"})
    asked = {"provider": "openai", "model": "gpt-4o", "client": "acme"}
    card = made(PriceCard, api.get("/api/v1/gateway/prices", asked).json())
    assert card.nano({"input": 1_000_000, "output": 1_000_000}) == 12_500_000_000
    assert card.nano({"input": 25}) == 62_500
    assert isinstance(card.steps[0], Step) and card.steps[0].above == -1
    assert card.until == (NOON + timedelta(days=1)).timestamp()
    missing = api.get("/api/v1/gateway/prices", asked | {"model": "no-such"})
    assert (missing.status_code, missing.json()["type"].rpartition("/")[2]) == (404, "price_missing")
    told_of = api.post("/api/v1/gateway/budgets", {"gateway": "g1", "counters": [told(budget)]}, "application/json")
    assert told_of.json() == {"taken": 1, "older": 0, "refused": []}


def test_a_card_ends_where_the_price_changes(budget: Budget) -> None:
    ends = NOON + timedelta(hours=3)
    off = Discount("contract", "openai", "", Decimal(10), Times(ends=ends))
    in_force.tell(lambda client: Book(discounts=(off,)))
    try:
        found = card("openai", "gpt-4o", "acme", NOON)
    finally:
        in_force.tell(lambda client: BUNDLED)
    assert found.until == ends.timestamp()
    assert found.nano({"input": 1_000_000}) == 2_250_000_000
