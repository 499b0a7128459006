"""Policies as people make them and gateways get them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from afterlaunch.accounts.models import Client, User
from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.guard_checks import PII
from afterlaunch.contracts.snapshot import unseal
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.ground.sensitive.patterns import KINDS
from afterlaunch.guard.actions import (
    end_bypass,
    end_policy,
    grant_bypass,
    policies_seen_by,
    policy_by_id,
    put_policy,
    put_queue,
)
from afterlaunch.routes.models import GuardPolicy, Route
from afterlaunch.routes.snapshot import current, shared_key

OPERATOR = Actor("person", "Olga", (Held(Role.OPERATOR, "acme"),))
ADMIN = Actor("person", "Ada", (Held(Role.ADMIN, "acme"),))
VIEWER = Actor("person", "Vera", (Held(Role.VIEWER, "acme"),))
STRANGER = Actor("person", "Stan", (Held(Role.ADMIN, "other"),))
MAILS: dict[str, Any] = {"where": "request", "check": {"kind": "pii"}, "action": "redact", "fail": "closed"}
SERVICE: dict[str, Any] = {
    "where": "request",
    "check": {"kind": "http", "url": "https://judge.example.org"},
    "action": "deny",
    "fail": "open",
}


def in_force() -> list[Policy]:
    newest = current()
    assert newest is not None
    (route,) = unseal(newest[1], shared_key()).routes
    return list(route.guard)


def test_gateways_get_policies_in_their_order_with_the_deed(route: Route) -> None:
    made = put_policy(OPERATOR, route, "mails", MAILS)
    put_policy(OPERATOR, route, "short", {**MAILS, "action": "deny", "check": {"kind": "length", "most": 9}})
    assert [one.name for one in in_force()] == ["mails", "short"]
    put_policy(OPERATOR, route, "mails", {**MAILS, "mode": "observe"}, position=7)
    assert [(one.name, one.mode) for one in in_force()] == [("short", "enforce"), ("mails", "observe")]
    before = current()
    put_policy(OPERATOR, route, "mails", {**MAILS, "mode": "observe"})
    assert current() == before
    end_policy(OPERATOR, made, "not needed")
    assert [one.name for one in in_force()] == ["short"]
    deeds = [one.deed for one in Entry.objects.filter(subject=f"guard_policy/{made.pk}").order_by("index")]
    assert deeds == ["guard_policy.made", "guard_policy.altered", "guard_policy.ended"]
    with pytest.raises(Conflict):
        end_policy(OPERATOR, made)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fail": "maybe"}, {"where": "nowhere"}, {"action": "burn"}, {"mode": "gentle"}, {"check": {"kind": "guess"}},
        {"check": {"kind": "pattern", "patterns": ["(a"]}}, {"check": {"kind": "pattern", "patterns": ["a*"]}},
        {"check": {"kind": "pattern", "patterns": ["(?=x)y"]}}, {"check": {"kind": "terms", "terms": [" "]}},
        {"check": {"kind": "pii", "kinds": ["shoe size"]}}, {"check": {"kind": "models", "names": []}},
        {"check": {"kind": "length"}}, {"check": {"kind": "length", "most": 9}},  # does not say what to redact
        {"where": "response", "check": {"kind": "schema", "schema": {"type": 3}}, "action": "deny", "stream": "buffer"},
        {"again": True}, {"where": "response", "action": "deny", "stream": "watch", "again": True},
        {"where": "response"}, {"where": "response", "stream": "watch"}, {"stream": "buffer"},
        {"where": "response", "action": "deny", "stream": "watch", "check": {"kind": "length", "least": 3}},
        {"action": "hold"}, {"action": "hold", "approval": {"queue": "nobody", "fallback": "deny"}},
        {"action": "hold", "approval": {"queue": "desk", "fallback": "deny", "timeout": 1}},
        {"where": "response", "stream": "buffer", "action": "hold", "approval": {"queue": "desk", "fallback": "deny"}},
        {"approval": {"queue": "desk", "fallback": "deny"}}, {"id": "7"}, {"bypasses": []}, {"unknown": 1},
        {"message": "x" * 301}, {"check": {"kind": "http", "url": "ftp://x"}},
        {"check": {"kind": "http", "url": "https://x.example", "deadline": 99}},
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused(route: Route, wrong: dict[str, Any]) -> None:
    with pytest.raises((Invalid, NotAllowed)):
        put_policy(ADMIN, route, "wrong", {**MAILS, **wrong})
    assert not GuardPolicy.objects.exists()


def test_who_may(route: Route) -> None:
    for actor in (VIEWER, STRANGER):
        with pytest.raises(NotAllowed):
            put_policy(actor, route, "mails", MAILS)
    row = put_policy(OPERATOR, route, "mails", MAILS)
    assert list(policies_seen_by(VIEWER)) == [row]
    with pytest.raises(NotFound):
        policy_by_id(STRANGER, row.pk)
    with pytest.raises(NotAllowed):
        put_policy(OPERATOR, route, "service", SERVICE)
    put_policy(ADMIN, route, "service", SERVICE)
    with pytest.raises(NotAllowed):
        secret = {**SERVICE["check"], "credential": "env:OPENAI_API_KEY"}
        put_policy(ADMIN, route, "service", {**SERVICE, "check": secret})


def test_a_bypass_is_approved_with_a_reason_and_ends(route: Route) -> None:
    row, until = put_policy(OPERATOR, route, "mails", MAILS), clock.now() + timedelta(hours=1)
    with pytest.raises(NotAllowed):
        grant_bypass(OPERATOR, row, "tenant", "t1", "migration", until)
    for wrong in (("team", "t1", "x", until), ("tenant", "t1", " ", until), ("tenant", "t1", "x", clock.now())):
        with pytest.raises(Invalid):
            grant_bypass(ADMIN, row, *wrong)
    bypass = grant_bypass(ADMIN, row, "tenant", "t1", "migration", until)
    (told,) = in_force()[0].bypasses
    assert (told.who, told.value, told.until) == ("tenant", "t1", until.timestamp())
    end_bypass(OPERATOR, bypass)
    assert in_force()[0].bypasses == ()
    deeds = [one.deed for one in Entry.objects.filter(subject=f"guard_policy/{row.pk}").order_by("index")]
    assert deeds[1:] == ["guard_bypass.granted", "guard_bypass.ended"]


def test_a_queue_is_owned_by_somebody_who_may_decide(route: Route) -> None:
    client = Client.objects.get(slug="acme")
    nobody = User.objects.create_user("nobody@example.org")
    with pytest.raises(Invalid, match="may not decide"):
        put_queue(OPERATOR, client, "desk", nobody)
    with pytest.raises(NotAllowed):
        put_queue(VIEWER, client, "desk", None)


def test_evidence_holds_no_fractions(route: Route) -> None:
    check = {**SERVICE["check"], "deadline": 0.5}
    row = put_policy(ADMIN, route, "service", {**SERVICE, "check": check})
    entry = Entry.objects.get(subject=f"guard_policy/{row.pk}")
    assert orjson.loads(bytes(entry.body))["details"]["after"]["check"]["deadline"] == "0.5"


def test_gateways_know_the_kinds_of_personal_data_that_are_masked() -> None:
    assert PII == KINDS
