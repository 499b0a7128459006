"""The escalation tier takes over once, in one transaction, and only what the internal team has not resolved."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from afterlaunch.evidence.models import Entry
from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import AfterlaunchError, Conflict, Invalid, NotAllowed
from afterlaunch.notify.models import Page
from afterlaunch.oncall import escalation
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla import clocks, handovers
from afterlaunch.sla.duties import take_over
from afterlaunch.sla.models import Clock, Handover
from afterlaunch.sla.postures import lacks, set_support, support_of
from afterlaunch.sla.tests.conftest import AT, ENGINE, TOPIC, World

MINUTE = timedelta(minutes=1)
RULE = {"after": "30m", "counting": "elapsed", "calendar": "business-hours", "unless": "resolved"}


def stand(world: World, **rule: str) -> None:
    operator = world.person("op", Role.OPERATOR)
    set_support(operator, world.system, {"posture": "escalation", "handover": {**RULE, **rule}, "contacts": "Desk 12"})


def opened(world: World, fixed: FixedClock) -> Handover:
    with transaction.atomic():
        row = handovers.begin(ENGINE, TOPIC, world.system, fixed.now(), fixed.now())
        clocks.start(ENGINE, TOPIC, world.system, "response", "P1", fixed.now(), fixed.now(), "internal")
        escalation.start(TOPIC, world.system, {"title": "t", "severity": "P1", "lines": ["l"]}, fixed.now())
    assert row is not None
    return row


def test_a_primary_team_owns_it_to_the_end(world: World, fixed: FixedClock) -> None:
    with transaction.atomic():
        assert handovers.begin(ENGINE, TOPIC, world.system, AT, AT) is None


def test_the_tier_takes_over_when_the_window_ends_whoever_acknowledged(world: World, fixed: FixedClock) -> None:
    stand(world)
    row = opened(world, fixed)
    with transaction.atomic():
        clocks.meet(ENGINE, TOPIC, fixed.now())
        escalation.stop(TOPIC, "acknowledged", "acknowledged", fixed.now())
    take_over(fixed.advance(29 * MINUTE))
    row.refresh_from_db()
    assert row.state == "waiting"
    now = fixed.advance(MINUTE)
    pages = Page.objects.filter(topic=TOPIC).count()
    take_over(now)
    take_over(now)
    row.refresh_from_db()
    tier = Clock.objects.get(topic=TOPIC, party="tier")
    assert (row.state, row.done_at) == ("done", now)
    assert (tier.started_at, tier.deadline) == (now, now + 30 * MINUTE)
    assert Page.objects.filter(topic=TOPIC).count() == pages + 1
    assert Escalation.objects.get(topic=TOPIC).state == "live"
    assert Entry.objects.filter(deed="handover.done", subject=TOPIC).count() == 1


def test_what_was_resolved_or_contained_as_the_rule_says_stays_with_the_internal_team(
    world: World, fixed: FixedClock
) -> None:
    stand(world, unless="contained")
    row = opened(world, fixed)
    with transaction.atomic():
        handovers.reached(ENGINE, TOPIC, "contained", fixed.now())
    take_over(fixed.advance(60 * MINUTE))
    row.refresh_from_db()
    assert row.state == "off" and not Clock.objects.filter(party="tier").exists()


def test_containing_it_does_not_stop_a_window_that_wants_it_resolved(world: World, fixed: FixedClock) -> None:
    stand(world)
    row = opened(world, fixed)
    with transaction.atomic():
        handovers.reached(ENGINE, TOPIC, "contained", fixed.now())
    row.refresh_from_db()
    assert row.state == "waiting"


def test_the_window_may_count_business_time(world: World, fixed: FixedClock) -> None:
    fixed.set(AT.replace(hour=17, minute=45))
    stand(world, counting="business", after="1h")
    row = opened(world, fixed)
    assert row.due_at == AT.replace(hour=8, minute=45) + timedelta(days=1)


def test_it_may_be_handed_over_early_by_hand_and_back_only_when_somebody_accepts(
    world: World, fixed: FixedClock
) -> None:
    stand(world)
    row = opened(world, fixed)
    tier, internal = world.person("tina", Role.RESPONDER), world.person("ivan", Role.RESPONDER)
    with pytest.raises(AfterlaunchError):
        handovers.hand_over_now(world.person("stranger", Role.RESPONDER, "other"), row, "x")
    with pytest.raises(Invalid):
        handovers.hand_over_now(internal, row, " ")
    row = handovers.hand_over_now(internal, row, "beyond us")
    with pytest.raises(Conflict):
        handovers.hand_over_now(internal, row, "again")
    with pytest.raises(Conflict):
        handovers.accept_back(internal, row)
    handovers.ask_back(tier, row, "it is their network")
    with pytest.raises(NotAllowed):
        handovers.accept_back(tier, row)
    row = handovers.accept_back(internal, row)
    assert row.state == "back"
    assert Clock.objects.get(party="tier").superseded_why == "handed_back"


def test_security_does_not_wait_and_a_reopened_one_goes_to_the_last_owner(world: World, fixed: FixedClock) -> None:
    stand(world)
    row = opened(world, fixed)
    handovers.at_once(ENGINE, TOPIC, fixed.now())
    row.refresh_from_db()
    assert row.state == "done"
    with transaction.atomic():
        handovers.reopened(ENGINE, TOPIC, fixed.advance(MINUTE))
    row.refresh_from_db()
    assert row.state == "done"
    Handover.objects.filter(pk=row.pk).update(state="off")
    with transaction.atomic():
        handovers.reopened(ENGINE, TOPIC, fixed.now())
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("waiting", fixed.now() + 30 * MINUTE)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"posture": "escalation"}, "needs its handover"),
        ({"posture": "escalation", "handover": {"after": "30m"}}, "needs its handover"),
        ({"posture": "escalation", "handover": {**RULE, "counting": ""}}, "no way of counting"),
        ({"posture": "escalation", "handover": {**RULE, "unless": "acknowledged"}}, "does not stop"),
        ({"posture": "escalation", "handover": {**RULE, "calendar": "moon"}}, "no calendar"),
        ({"posture": "both"}, "no posture"),
        ({"color": "red"}, "has no color"),
    ],
)
def test_an_incomplete_posture_is_refused(world: World, given: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        set_support(world.person("op", Role.OPERATOR), world.system, given)


def test_a_system_without_owner_or_address_says_so(world: World) -> None:
    assert lacks(world.system, support_of(world.system)) == ["It has no address to page."]
    world.system.owner = None
    row = set_support(world.person("op", Role.OPERATOR), world.system, {"address": "+49 30 1234"})
    assert lacks(world.system, row) == ["It has no named owner."]
