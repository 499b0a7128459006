from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from afterlaunch.accounts.models import User
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.incidents.actions import acknowledge, resolve
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.moves import write_story
from afterlaunch.incidents.reviews import actions, prompts
from afterlaunch.incidents.reviews.duties import follow_reviews
from afterlaunch.incidents.reviews.models import ActionItem, PromptDraft, Review
from afterlaunch.incidents.reviews.rules import BY_PEOPLE, Item, NoAction, lacks
from afterlaunch.incidents.roles import who
from afterlaunch.incidents.tests.conftest import AT, World
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.probes import assertions

WORDS = dict.fromkeys((*BY_PEOPLE, "evidence"), "Written by a person.")
GOLDEN = {
    "name": "Refund",
    "messages": [{"role": "user", "content": "I want my money back"}],
    "reference": "You have 14 days.",
    "assertions": [{"kind": "contains", "text": "14 days"}, {"kind": "similar", "least": 0.8}],
    "source_trace_ids": ["A" * 32],
    "more": "is not kept",
}


def reachable(actor: Actor) -> User:
    user = User.objects.get(pk=actor.user_id or 0)
    ContactMethod.objects.create(user=user, kind="email", address=user.email, created_at=AT, verified_at=AT)
    return user


def resolved(world: World, mate: Actor, severity: str = "P1", fingerprint: str = "f") -> Incident:
    incident = world.incident(fingerprint, severity)
    acknowledge(mate, incident)
    write_story(mate, incident, cause="A full disk", cause_key="full disk", impact="All users")
    resolve(mate, incident, "Freed the disk")
    return Incident.objects.get(pk=incident.pk)


def test_pir_1_it_begins_at_the_end_with_two_clocks_in_business_days(world: World, fixed: FixedClock) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    row = Review.objects.get(incident=resolved(world, mate))
    # Tuesday: the 2nd business day after is Thursday, the 5th the next Tuesday
    assert row.required and row.draft_due_at == datetime(2026, 3, 5, 18, 0, tzinfo=UTC)
    assert row.approve_due_at == datetime(2026, 3, 10, 18, 0, tzinfo=UTC)
    quiet = resolved(world, mate, "P3", "quiet")
    assert quiet.phase == "closed" and not Review.objects.filter(incident=quiet).exists()


def test_pir_2_the_draft_says_that_a_machine_wrote_it_and_names_nobody(world: World, fixed: FixedClock) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    incident = resolved(world, mate)
    follow_reviews(fixed.advance(60))
    row = Review.objects.get()
    assert set(row.sections) == {
        "summary", "impact", "timeline", "detection", "cause", "fix", "well", "luck", "sla", "evidence",
    }  # fmt: skip
    text = " ".join(one["text"] for one in row.sections.values())
    assert row.sections["summary"]["machine"] and not row.sections["well"]["machine"]
    assert "A full disk" in row.sections["cause"]["text"] and "Freed the disk" in row.sections["fix"]["text"]
    assert "not assessed" in row.sections["impact"]["text"] and "All users" in row.sections["impact"]["text"]
    assert "mate" not in text and "commander acknowledged" in row.sections["timeline"]["text"]
    assert "First response after" in row.sections["sla"]["text"]
    assert f"Incident {incident.pk}" in row.sections["summary"]["text"]
    actions.write(mate, incident, {"well": "The page came at once.", "summary": row.sections["summary"]["text"]})
    actions.write_draft(mate, incident)
    again = Review.objects.get().sections
    assert again["well"]["text"] == "The page came at once." and again["summary"]["machine"]


@pytest.mark.parametrize(
    ("severity", "items", "nothing", "said"),
    [
        ("P1", [], NoAction(), "A P1 needs an action item"),
        ("P1", [], NoAction("nothing to do", "a"), "second person"),
        ("P1", [Item("x", False, True)], NoAction(), "“x” has no owner."),
        ("P2", [Item("x", True, False)], NoAction(), "“x” has no due date."),
        ("P1", [Item("x", True, True, "dropped")], NoAction(), "A P1 needs an action item"),
    ],
)
def test_pir_3_what_blocks_the_approval(severity: str, items: list[Item], nothing: NoAction, said: str) -> None:
    full = {key: {"text": "x"} for key in ("summary", "impact", "timeline", "detection", "cause", "fix", "well", "luck",
                                           "sla", "evidence")}  # fmt: skip
    assert any(said in one for one in lacks(full, items, severity, nothing))
    assert not lacks(full, [Item("x", True, True)], severity, NoAction())
    assert "Cause and contributing factors is empty." in lacks({**full, "cause": {"text": " "}}, [], "P2", NoAction())
    told = lacks({**full, "cause": {"text": "x", "machine": True}}, [], "P2", NoAction())
    assert told == ["Cause and contributing factors is a machine's; a person has to write it."]


def test_from_draft_to_closed(world: World, fixed: FixedClock) -> None:
    mate, chief = world.person("mate", Role.RESPONDER, "acme"), world.person("chief", Role.OPERATOR, "acme")
    incident = resolved(world, mate)
    actions.write_draft(mate, incident)
    with pytest.raises(Conflict, match="A P1 needs an action item"):
        actions.submit(mate, incident)
    actions.write(mate, incident, WORDS)
    owner = User.objects.get(pk=mate.user_id or 0)
    item = actions.put_item(mate, incident, "Alert on disks", "detect", "high", owner, date(2026, 3, 20))
    with pytest.raises(Conflict):
        actions.approve(chief, incident)
    actions.submit(mate, incident)
    with pytest.raises(NotAllowed):
        actions.approve(mate, incident)
    done = actions.approve(chief, incident)
    assert done.sha256 == actions.digest(done) and Incident.objects.get().phase == "closed"
    with pytest.raises(Invalid, match="proves"):
        actions.end_item(mate, item, " ")
    actions.end_item(mate, item, "https://tracker.example/1")
    assert ActionItem.objects.get().state == "done"
    with pytest.raises(Conflict):
        actions.write(mate, incident, {"well": "later"})
    actions.comment(mate, incident, "We would do it again.")
    actions.publish(chief, incident, "A disk was full.")
    assert Review.objects.get().public_at == fixed.now()


def test_in_governed_production_nobody_approves_their_own(world: World) -> None:
    world.system.posture = "governed"
    world.system.save()
    chief, other = world.person("chief", Role.OPERATOR, "acme"), world.person("other", Role.OPERATOR, "acme")
    incident = resolved(world, chief, "P2")
    actions.write_draft(chief, incident)
    actions.write(chief, incident, WORDS)
    actions.submit(chief, incident)
    with pytest.raises(NotAllowed, match="their own review"):
        actions.approve(chief, incident)
    actions.approve(other, incident)


def test_no_action_needs_a_reason_and_a_second_person(world: World) -> None:
    mate, second = world.person("mate", Role.RESPONDER, "acme"), world.person("second", Role.RESPONDER, "acme")
    incident = resolved(world, mate)
    with pytest.raises(Invalid):
        actions.no_action(mate, incident, " ")
    actions.no_action(mate, incident, "The provider has mended it.")
    with pytest.raises(NotAllowed):
        actions.no_action(mate, incident, "")
    actions.no_action(second, incident, "")
    assert Review.objects.get().no_action_seconded_by == "second"


def test_late_reviews_are_told_once_and_overdue_items_once_a_week(world: World, fixed: FixedClock) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    user = reachable(mate)
    incident = resolved(world, mate)
    follow_reviews(fixed.now())
    fixed.set(datetime(2026, 3, 6, 9, 0, tzinfo=UTC))
    follow_reviews(fixed.now())
    follow_reviews(fixed.advance(60))
    assert Page.objects.filter(person=user, facts__title__startswith="The review's draft is late").count() == 1
    assert TimelineEntry.objects.filter(kind="review.late").count() == 1
    actions.put_item(mate, incident, "Alert on disks", owner=user, due_on=date(2026, 3, 6))
    overdue = Page.objects.filter(person=user, topic="client/acme/actions")
    follow_reviews(fixed.advance(3600))
    assert overdue.count() == 0  # it is in time on its day
    fixed.set(datetime(2026, 3, 7, 9, 0, tzinfo=UTC))
    follow_reviews(fixed.now())
    follow_reviews(fixed.advance(timedelta(days=6)))
    assert overdue.count() == 1
    follow_reviews(fixed.advance(timedelta(days=1)))
    assert overdue.count() == 2


def test_repeats_of_a_cause_are_linked_with_what_was_not_done(world: World, fixed: FixedClock) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    first = resolved(world, mate, "P2", "first")
    actions.put_item(mate, first, "Alert on disks")
    fixed.advance(timedelta(days=3))
    second = resolved(world, mate, "P2", "second")
    assert [one.title for one in actions.open_items_of_cause(second)] == ["Alert on disks"]
    actions.write_draft(mate, second)
    assert f"#{first.pk}" in Review.objects.get(incident=second).sections["cause"]["text"]
    assert who(second, "commander") is not None


def test_a_failing_trace_becomes_a_golden_prompt_of_one_shape(world: World) -> None:
    mate = world.person("mate", Role.RESPONDER, "acme")
    incident = resolved(world, mate)
    row = prompts.keep(mate, incident, GOLDEN)
    assert assertions.check(row.document["assertions"]) == row.document["assertions"]  # as probes take them
    assert set(row.document) == set(prompts.SHAPE) and row.document["source_trace_ids"] == ["a" * 32]
    prompts.keep(mate, incident, GOLDEN)
    assert PromptDraft.objects.count() == 1
    prompts.taken_over(mate, row, "/probes/3")
    with pytest.raises(Conflict):
        prompts.keep(mate, incident, GOLDEN)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": " "}, "needs a name"),
        ({"messages": []}, "needs a message"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "a role and a text"),
        ({"assertions": []}, "proves nothing"),
        ({"assertions": [{"kind": "vibes"}]}, "no kind of assertion"),
        ({"assertions": [{"kind": "latency", "max_ms": 0}]}, "needs max_ms"),
        ({"assertions": [{"kind": "cost", "max_usd": "0.01"}]}, "needs max_usd"),
        ({"reference": ""}, "needs reference"),
        ({"source_trace_ids": ["12"]}, "32 hex digits"),
        ({"messages": "x"}, "is a list"),
    ],
)
def test_a_golden_prompt_of_another_shape_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        prompts.check({**GOLDEN, **change})
