"""Requests that wait for a person: who decides, how often it counts, what follows when nobody does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import actor_of_user, create_token
from afterlaunch.accounts.models import Grant, User
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.guard import holding
from afterlaunch.guard.actions import end_policy, hold_by_id, put_policy
from afterlaunch.guard.models import Hold
from afterlaunch.routes.models import GuardPolicy, Route
from afterlaunch.telemetry.keeping.actions import decide as keep

HOUSE = automation("house")
GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))
RESPONDER = Actor("person", "Rita", (Held(Role.RESPONDER, "acme"),))
VIEWER = Actor("person", "Vera", (Held(Role.VIEWER, "acme"),))
TOKEN = Actor("token", "agent", (Held(Role.ADMIN, "acme"),))
STRANGER = Actor("person", "Stan", (Held(Role.ADMIN, "other"),))


@pytest.fixture
def policy(route: Route) -> GuardPolicy:
    approval = {"queue": "desk", "fallback": "deny", "timeout": 600, "stands": 60}
    check = {"kind": "terms", "terms": ["refund"]}
    spec = {"where": "request", "check": check, "action": "hold", "fail": "closed", "approval": approval}
    return put_policy(HOUSE, route, "refunds", spec)


def question(policy: GuardPolicy, mark: str = "a", **more: Any) -> holding.Question:
    asked = holding.Question(str(policy.pk), mark * 64, "a blocked term", "refund to jane@example.org", 26)
    return replace(asked, **more)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    at = clock.now() + timedelta(seconds=seconds)
    monkeypatch.setattr(clock, "now", lambda: at)


def test_the_same_request_waits_once_and_passes_once(policy: GuardPolicy) -> None:
    hold = holding.ask(GATEWAY, question(policy))
    assert holding.ask(GATEWAY, question(policy)) == hold and hold.state == "waiting"
    assert holding.ask(GATEWAY, question(policy, "b")) != hold
    assert not holding.take(GATEWAY, [hold.pk])
    holding.decide(RESPONDER, hold, True, "the customer is right")
    assert holding.ask(GATEWAY, question(policy)).state == "approved"
    assert holding.take(GATEWAY, [hold.pk])
    assert not holding.take(GATEWAY, [hold.pk])
    assert holding.ask(GATEWAY, question(policy)).pk != hold.pk
    told = Entry.objects.filter(subject=f"held_request/{hold.pk}").order_by("index")
    assert [one.deed for one in told] == ["held_request.approved", "held_request.let_through"]
    details = orjson.loads(bytes(told[0].body))["details"]
    assert (details["reason"], details["digest"]) == ("the customer is right", "a" * 64)


def test_approvals_are_used_all_or_none(policy: GuardPolicy) -> None:
    first, second = (holding.ask(GATEWAY, question(policy, mark)) for mark in "ab")
    holding.decide(RESPONDER, first, True, "x")
    assert not holding.take(GATEWAY, [first.pk, second.pk])
    assert not holding.take(GATEWAY, [first.pk, 10**9])
    assert holding.take(GATEWAY, [first.pk])


def test_a_person_who_may_and_did_not_ask_decides_once_with_a_reason(policy: GuardPolicy) -> None:
    hold = holding.ask(GATEWAY, question(policy, user="rita"))
    for actor in (VIEWER, STRANGER, TOKEN, RESPONDER):
        with pytest.raises(NotAllowed):
            holding.decide(actor, hold, True, "x")
    asker = User.objects.create_user("ask@example.org", "Asker")
    Grant.objects.create(user=asker, role="admin", client=None)
    mine = holding.ask(GATEWAY, question(policy, "b", user="ASK@example.org"))
    with pytest.raises(NotAllowed, match="Whoever asked"):
        holding.decide(actor_of_user(asker), mine, True, "x")
    with pytest.raises(Invalid):
        holding.decide(RESPONDER, mine, True, " ")
    holding.decide(RESPONDER, mine, False, "no")
    with pytest.raises(Conflict):
        holding.decide(RESPONDER, mine, True, "yes after all")
    with pytest.raises(NotFound):
        hold_by_id(STRANGER, hold.pk)


@pytest.mark.parametrize("fallback", ["deny", "allow"])
def test_without_a_decision_in_time_the_fallback_follows(
    policy: GuardPolicy, fallback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {**policy.spec, "approval": {**policy.spec["approval"], "fallback": fallback}}
    put_policy(HOUSE, policy.route, "refunds", spec)
    hold = holding.ask(GATEWAY, question(policy))
    later(monkeypatch, 601)
    with pytest.raises(Conflict, match="expired"):
        holding.decide(RESPONDER, hold, True, "too late")
    found = holding.ask(GATEWAY, question(policy))
    assert (found.pk, found.state, found.fallback) == (hold.pk, "expired", fallback)
    assert holding.take(GATEWAY, [hold.pk]) is (fallback == "allow")
    assert Entry.objects.filter(deed="held_request.expired").count() == 1


def test_a_decision_stands_for_its_time(policy: GuardPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = holding.ask(GATEWAY, question(policy))
    holding.decide(RESPONDER, hold, True, "x")
    later(monkeypatch, 61)
    assert not holding.take(GATEWAY, [hold.pk])
    assert holding.ask(GATEWAY, question(policy)).state == "waiting"


@pytest.mark.parametrize(
    ("capture", "kept"),
    [("masked", "refund to [masked: e-mail]"), ("on", "refund to jane@example.org"), ("off", "")],
)
def test_what_is_kept_follows_the_content_policy(policy: GuardPolicy, capture: str, kept: str) -> None:
    keep(HOUSE, policy.route.system.client, "", capture=capture)
    hold = holding.ask(GATEWAY, question(policy))
    assert (Hold.objects.get(pk=hold.pk).content, hold.capture) == (kept, capture)


def test_a_policy_that_has_ended_holds_nothing(policy: GuardPolicy) -> None:
    end_policy(HOUSE, policy)
    with pytest.raises(NotFound):
        holding.ask(GATEWAY, question(policy))
    with pytest.raises(NotAllowed):
        holding.ask(TOKEN, question(policy))


def test_gateways_ask_over_the_api_and_viewers_see_no_content(policy: GuardPolicy) -> None:
    _, secret = create_token(HOUSE, "gw", "ingest", None)
    gateway = Browser(headers={"authorization": f"Bearer {secret}"})
    body = {"policy": str(policy.pk), "digest": "c" * 64, "content": "refund 900", "size": 10, "why": "a blocked term"}
    told = gateway.post("/api/v1/gateway/guard/holds", body, "application/json").json()
    assert (told["state"], told["fallback"]) == ("waiting", "deny")
    asked = gateway.get(f"/api/v1/gateway/guard/holds?ids={told['id']},x").json()
    assert [one["id"] for one in asked["holds"]] == [told["id"]]
    client = policy.route.system.client
    for role, sees in (("viewer", False), ("responder", True)):
        _, token = create_token(HOUSE, role, role, client)
        reader = Browser(headers={"authorization": f"Bearer {token}"})
        shown = reader.get(f"/api/v1/guard/holds/{told['id']}").json()
        assert ("content" in shown) is sees
        refused = reader.post(f"/api/v1/guard/holds/{told['id']}/decide", {"approve": True, "reason": "x"},
                              "application/json")  # fmt: skip
        assert refused.status_code == 403
    (queue,) = reader.get("/api/v1/guard/queues").json()["queues"]
    assert (queue["waiting"], queue["name"]) == (1, "desk") and queue["oldest_seconds"] is not None
