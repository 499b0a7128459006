"""What gateways tell of policies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from afterlaunch.contracts.guard_counts import SLOT
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import NotAllowed
from afterlaunch.guard.actions import put_policy
from afterlaunch.guard.counting import by_hour, sums, take
from afterlaunch.routes.models import GuardPolicy, Route

GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))


@pytest.fixture
def policy(route: Route) -> GuardPolicy:
    spec = {"where": "request", "check": {"kind": "pii"}, "action": "deny", "fail": "closed"}
    return put_policy(automation("house"), route, "mails", spec)


def told(policy: GuardPolicy, back: int = 0, **amounts: Any) -> dict[str, Any]:
    slot = (int(clock.now().timestamp()) // SLOT - back) * SLOT
    return {"policy": str(policy.pk), "slot": slot, "evaluated": 10, "micros": 50, **amounts}


def total(policy: GuardPolicy) -> tuple[int, int]:
    now = clock.now()
    found = sums([policy.pk], now - timedelta(hours=3), now + timedelta(seconds=1))[policy.pk]
    return found.evaluated, found.matched


def test_gateways_are_added_up_and_telling_again_changes_nothing(policy: GuardPolicy) -> None:
    take(GATEWAY, "gw-1", [told(policy, matched=2)])
    take(GATEWAY, "gw-1", [told(policy, matched=2)])
    take(GATEWAY, "gw-2", [told(policy, matched=1), told(policy, back=14, matched=3)])
    assert total(policy) == (30, 6)
    take(GATEWAY, "gw-1", [told(policy, evaluated=12, matched=4)])
    take(GATEWAY, "gw-1", [told(policy, evaluated=11, matched=3)])  # late
    assert total(policy) == (32, 8)
    now = clock.now()
    hours = by_hour([policy.pk], now - timedelta(hours=3), now + timedelta(seconds=1))
    assert sum(one["matched"] for one in hours.values()) == 8 and len(hours) >= 3


def test_good_counts_are_kept_and_bad_ones_named(policy: GuardPolicy) -> None:
    bad: list[Any] = [
        7, {**told(policy), "policy": "x"},
        {**told(policy), "policy": "999"}, told(policy, slot=7), told(policy, matched=-1),
        told(policy, matched=True), told(policy, back=-10_000),
    ]  # fmt: skip
    taken = take(GATEWAY, "gw", [told(policy), *bad])
    assert (taken.taken, [place for place, _ in taken.refused]) == (1, list(range(1, 8)))
    with pytest.raises(NotAllowed):
        take(Actor("token", "x", (Held(Role.OPERATOR, "acme"),)), "gw", [])
