"""What rising rates become, and when nothing can be said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.accounts.models import Grant, User
from afterlaunch.contracts.guard_counts import SLOT, Counts
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.guard import duties, holding
from afterlaunch.guard.actions import end_policy, put_policy, put_queue
from afterlaunch.guard.models import Count, Hold
from afterlaunch.guard.rules import JUDGES, Exceptions, Overrides, Recent, Triggers, of_route
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.routes.models import GuardPolicy, Route
from afterlaunch.telemetry.keeping.erasing import Subject, digest_of
from afterlaunch.telemetry.keeping.models import Erasure
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Status

HOUSE = automation("house")
GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))
NONE = Counts()


def seen(hits: int, of: int, past: int = 20, past_of: int = 1_000) -> Recent:
    return Recent(Counts(evaluated=of, matched=hits), Counts(evaluated=past_of, matched=past), NONE, NONE)


@pytest.mark.parametrize(
    ("recent", "status", "reason"),
    [
        (seen(40, 200), Status.BREACH, "rate_rises"),
        (seen(2, 25), Status.WARNING, "rate_perhaps_rises"),
        (seen(6, 200), Status.OK, "rate_as_usual"),
        (seen(9, 19), Status.NOT_ASSESSED, "too_few_calls"),
        (seen(40, 200, 0, 99), Status.NOT_ASSESSED, "no_baseline"),
    ],
)
def test_a_rising_share_of_matches_is_a_finding_with_figures(recent: Recent, status: Status, reason: str) -> None:
    found = Triggers().of_policy("mails", recent)
    assert (found.status, found.reason) == (status, reason)
    assert "mails" in found.explanation and str(recent.hour.evaluated) in found.explanation


def test_exceptions_and_overrides_are_judged() -> None:
    failing = Recent(Counts(evaluated=100, exceptions=20), NONE, NONE, NONE)
    found = Exceptions().of_policy("ours", failing)
    assert found.status is Status.BREACH and "20 of 100" in found.explanation
    passed = Recent(NONE, NONE, Counts(matched=50), Counts(matched=200), passed=40, past_passed=10)
    assert Overrides().of_policy("refunds", passed).status is Status.BREACH
    assert of_route(Triggers(), {"a": seen(0, 0), "b": seen(40, 200), "c": seen(1, 200)}).status is Status.BREACH


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 19), st.integers(0, 10_000), st.integers(0, 10_000))
def test_nothing_is_ok_on_too_little(of: int, past: int, past_of: int) -> None:
    thin = Recent(Counts(evaluated=of, matched=of), Counts(evaluated=past_of, matched=min(past, past_of)), NONE, NONE)
    assert all(judge.of_policy("p", thin).status is Status.NOT_ASSESSED for judge in JUDGES)


@pytest.fixture
def policy(route: Route) -> GuardPolicy:
    approval = {"queue": "desk", "fallback": "deny", "timeout": 7_200}
    spec = {"where": "request", "check": {"kind": "terms", "terms": ["refund"]}, "action": "hold", "fail": "closed"}
    return put_policy(HOUSE, route, "refunds", {**spec, "approval": approval})


def counted(policy: GuardPolicy, ago: timedelta, **amounts: int) -> None:
    slot = int((clock.now() - ago).timestamp()) // SLOT * SLOT
    Count.objects.create(policy=policy, gateway="gw", slot=slot, **amounts)


def test_the_duty_writes_verdicts_of_routes_and_takes_them_back(policy: GuardPolicy) -> None:
    counted(policy, timedelta(minutes=10), evaluated=200, matched=40, exceptions=10)
    counted(policy, timedelta(days=2), evaluated=1_000, matched=10)
    duties.judge(clock.now())
    found = {one.judge: (one.status, one.route, one.system) for one in Verdict.objects.all()}
    assert found["guard.triggers"] == ("breach", "answers", "desk")
    assert found["guard.exceptions"][0] == "breach" and found["guard.overrides"][0] == "not_assessed"
    end_policy(HOUSE, policy)
    duties.judge(clock.now())
    assert {one.status for one in Verdict.objects.all()} == {"not_assessed"}


def question(policy: GuardPolicy, mark: str = "a") -> holding.Question:
    return holding.Question(str(policy.pk), mark * 64, "a blocked term", "refund", 6)


def test_the_owner_is_told_of_what_waits_and_told_again(policy: GuardPolicy) -> None:
    owner = User.objects.create_user("owner@example.org", "Olga")
    client = policy.route.system.client
    Grant.objects.create(user=owner, role="responder", client=client)
    ContactMethod.objects.create(user=owner, kind="email", address="owner@example.org", created_at=clock.now(),
                                 verified_at=clock.now())  # fmt: skip
    put_queue(HOUSE, client, "desk", owner, 600)
    for mark in "ab":
        holding.ask(GATEWAY, question(policy, mark))
    now = clock.now()
    for minutes, pages in ((5, 0), (11, 1), (12, 1), (22, 2)):
        duties.wait(now + timedelta(minutes=minutes))
        assert Page.objects.count() == pages
    page = Page.objects.order_by("pk")[0]
    assert page.person == owner and "2 held requests wait in desk" in page.facts["title"]


def test_what_nobody_decided_expires_and_content_is_deleted_in_time(policy: GuardPolicy) -> None:
    hold = holding.ask(GATEWAY, question(policy))
    duties.wait(clock.now() + timedelta(hours=3))
    hold.refresh_from_db()
    assert (hold.state, hold.content) == ("expired", "refund")
    duties.tidy(clock.now() + timedelta(days=29))
    assert Hold.objects.get().content == "refund"
    duties.tidy(clock.now() + timedelta(days=31))
    gone = Hold.objects.get()
    assert gone.content == "" and gone.content_gone_at is not None
    duties.tidy(clock.now() + timedelta(days=401))
    assert not Hold.objects.exists()


def test_what_is_held_of_a_user_is_erased_with_their_telemetry(policy: GuardPolicy) -> None:
    client = policy.route.system.client
    mine = holding.ask(GATEWAY, replace(question(policy), user="jane"))
    other = holding.ask(GATEWAY, replace(question(policy, "b"), user="john"))
    digest = digest_of("salt", Subject("acme", "user", "jane"))
    Erasure.objects.create(client=client, kind="user", salt="salt", digest=digest, by="x", asked_at=clock.now())
    duties.tidy(clock.now())
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.user, mine.content) == ("erased", "") and (other.user, other.content) == ("john", "refund")
