from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from django.db import transaction
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.budgets.actions import Values, budget_by_id, budgets_seen_by, end_budget, put_budget
from afterlaunch.budgets.models import Count
from afterlaunch.budgets.standing import many, nearest
from afterlaunch.budgets.units import counted, price, price_written, written
from afterlaunch.contracts.budgets import window_of
from afterlaunch.contracts.snapshot import unseal
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.routes.models import Budget
from afterlaunch.routes.snapshot import current, current_epoch, shared_key, together

HOUSE = automation("house")
OPERATOR = Actor("person", "Olga", (Held(Role.OPERATOR, "acme"),))
VIEWER = Actor("person", "Vera", (Held(Role.VIEWER, "acme"),))
STRANGER = Actor("person", "Stan", (Held(Role.ADMIN, "other"),))
DAILY = Values("usd", 250 * 10**9, "day", {"tenant": "*"}, "Europe/Berlin")


def in_force() -> list[tuple[str, int]]:
    newest = current()
    assert newest is not None
    return [(one.name, one.limit) for one in unseal(newest[1], shared_key()).budgets]


def test_gateways_get_a_budget_with_the_deed_that_makes_alters_or_ends_it(desk: System) -> None:
    made = put_budget(OPERATOR, desk.client, "tenants", DAILY)
    assert in_force() == [("tenants", 250 * 10**9)]
    assert made.contract().scope == {"client": "acme", "tenant": "*"}
    assert put_budget(OPERATOR, desk.client, "tenants", replace(DAILY, limit=10**9)).pk == made.pk
    assert in_force() == [("tenants", 10**9)]
    end_budget(OPERATOR, made)
    assert in_force() == []
    told = Entry.objects.filter(subject=f"budget/{made.pk}").order_by("index")
    assert [one.deed for one in told] == ["budget.made", "budget.altered", "budget.ended"]
    details = orjson.loads(bytes(told[1].body))["details"]
    assert (details["before"]["limit"], details["after"]["limit"]) == ("250", "1")


def test_deeds_that_are_done_together_are_published_once_or_not_at_all(desk: System) -> None:
    put_budget(OPERATOR, desk.client, "first", DAILY)
    epoch = current_epoch()
    with transaction.atomic(), together():
        for number in range(3):
            put_budget(OPERATOR, desk.client, f"b{number}", replace(DAILY, limit=number + 1))
            assert len(in_force()) == 1
    assert (current_epoch(), len(in_force())) == (epoch + 1, 4)
    with pytest.raises(NotAllowed), transaction.atomic(), together():
        put_budget(OPERATOR, desk.client, "b3", DAILY)
        put_budget(VIEWER, desk.client, "b4", DAILY)
    assert (current_epoch(), len(in_force())) == (epoch + 1, 4)
    put_budget(OPERATOR, desk.client, "b3", DAILY)
    assert current_epoch() == epoch + 2


def test_what_the_list_asks_of_all_is_what_each_says(desk: System) -> None:
    now, windows = clock.now(), ("day", "month", "day", "week")
    for number, window in enumerate(windows):
        row = put_budget(OPERATOR, desk.client, f"b{number}", replace(DAILY, window=window, limit=100 * 10**9))
        start = int(window_of(window, row.zone, now).start.timestamp())
        for counter in range(number):
            for gateway in ("g1", "g2"):
                used = (counter * 7 + number) % 5 * 10**10
                counted = {"used": used, "reserved": 10**9, "refused": counter, "told_at": now}
                Count.objects.create(budget=row, gateway=gateway, counter=f"t{counter}", window_start=start, **counted)
                Count.objects.create(
                    budget=row, gateway=gateway, counter=f"t{counter}", window_start=start - 1, **counted
                )
    rows = budgets_seen_by(OPERATOR).filter(ended_at=None)
    each = many(list(rows), now)
    wanted = {
        pk: (found[0].counter, found[0].held, len(found), sum(one.refused for one in found))
        for pk, found in each.items()
        if found
    }
    assert len(wanted) == 3 and nearest(rows, now) == wanted


def test_the_same_again_changes_nothing(desk: System) -> None:
    put_budget(OPERATOR, desk.client, "tenants", DAILY)
    before = current()
    put_budget(OPERATOR, desk.client, "tenants", DAILY)
    assert current() == before


def test_a_budget_fed_by_telemetry_is_no_gateways_and_cannot_refuse(desk: System) -> None:
    put_budget(OPERATOR, desk.client, "looks on", replace(DAILY, fed="telemetry", mode="soft"))
    assert in_force() == []
    with pytest.raises(Invalid, match="cannot refuse"):
        put_budget(OPERATOR, desk.client, "hard", replace(DAILY, fed="telemetry"))
    with pytest.raises(Invalid, match="by user"):
        put_budget(OPERATOR, desk.client, "u", replace(DAILY, fed="telemetry", mode="soft", scope={"user": "*"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0}, {"unit": "eur"}, {"window": "year"}, {"mode": "gentle"}, {"zone": "Mars/Base"},
        {"scope": {"model": "x"}}, {"scope": {"tenant": ""}}, {"scope": {"client": "other"}}, {"thresholds": (0,)},
        {"no_price": "default-price"}, {"fed": "guess"}, {"system": "nobody"},
    ],
)  # fmt: skip
def test_what_is_no_budget_is_refused(desk: System, wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        put_budget(OPERATOR, desk.client, "wrong", replace(DAILY, **wrong))  # type: ignore[arg-type]
    assert not Budget.objects.exists()


def test_what_is_counted_stays_the_same_thing(desk: System) -> None:
    put_budget(OPERATOR, desk.client, "tenants", DAILY)
    with pytest.raises(Conflict, match="window"):
        put_budget(OPERATOR, desk.client, "tenants", replace(DAILY, window="month"))


def test_operators_of_the_client_alone_and_the_house_for_all(desk: System) -> None:
    for actor in (VIEWER, STRANGER):
        with pytest.raises(NotAllowed):
            put_budget(actor, desk.client, "tenants", DAILY)
    with pytest.raises(NotAllowed):
        put_budget(OPERATOR, None, "all", DAILY)
    mine = put_budget(OPERATOR, desk.client, "tenants", DAILY)
    of_all = put_budget(HOUSE, None, "all", replace(DAILY, scope={"client": "*"}, system="acme/desk"))
    assert [one.pk for one in budgets_seen_by(VIEWER)] == [mine.pk]
    for actor, row in ((STRANGER, mine), (OPERATOR, of_all)):
        with pytest.raises(NotFound):
            budget_by_id(actor, row.pk)
    with pytest.raises(NotAllowed):
        end_budget(VIEWER, mine)


def test_amounts_are_exact() -> None:
    assert counted("usd", "0.000000001") == 1
    assert written("usd", counted("usd", "1,250.50")) == "1250.5"
    assert counted("tokens", 5) == 5
    assert price_written(price("0.15")) == "0.15"
    for unit, wrong in (("tokens", "1.5"), ("usd", "1e-10"), ("usd", "much"), ("usd", "NaN")):
        with pytest.raises(Invalid):
            counted(unit, wrong)


def test_the_api_makes_lists_shows_and_ends(desk: System) -> None:
    _, secret = create_token(HOUSE, "ops", "operator", desk.client)
    api = Browser(headers={"authorization": f"Bearer {secret}"})
    body = {
        "client": "acme",
        "name": "tenants",
        "unit": "usd",
        "limit": 99.5,
        "window": "month",
        "scope": {"tenant": "*"},
    }
    made = api.post("/api/v1/budgets", body, "application/json").json()
    assert (made["limit"], made["system"], made["mode"]) == ("99.5", "desk", "hard")
    assert [one["id"] for one in api.get("/api/v1/budgets").json()["budgets"]] == [made["id"]]
    assert api.get(f"/api/v1/budgets/{made['id']}").json() == made
    ended = api.post(f"/api/v1/budgets/{made['id']}/end", {"reason": "over"}, "application/json").json()
    assert ended["ended_at"]
    assert api.get("/api/v1/budgets").json()["budgets"] == []
