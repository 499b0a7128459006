"""Pages that nobody answers are a failure of the installation, and become an incident about it."""

from __future__ import annotations

from datetime import timedelta

from afterlaunch.ground.clock import FixedClock
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.incidents.platform import tell_exhausted
from afterlaunch.incidents.tests.conftest import World
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.oncall.duties import escalate
from afterlaunch.oncall.models import Escalation


def play(fixed: FixedClock, minutes: int) -> None:
    for _ in range(minutes):
        fixed.advance(timedelta(minutes=1))
        escalate(fixed.now())
        tell_exhausted(fixed.now())


def test_a_policy_that_ends_unanswered_opens_one_p1_about_the_platform(world: World, fixed: FixedClock) -> None:
    world.incident()
    play(fixed, 40)
    about = Incident.objects.get(system__key="afterlaunch")
    assert (about.severity, about.title) == ("P1", "Pages of Acme went unanswered")
    assert "nobody acknowledged: incident/" in about.summary
    assert Page.objects.filter(topic=about.topic).exists()
    world.incident("f2")
    play(fixed, 120)
    assert Incident.objects.filter(system__key="afterlaunch").count() == 1, "not one for each, and none about itself"
    assert TimelineEntry.objects.filter(incident=about, kind="alert").count() == 1
    assert not Escalation.objects.filter(state="exhausted", told_at=None).exists()


def test_nobody_to_page_at_all_is_said(world: World, fixed: FixedClock) -> None:
    ContactMethod.objects.all().delete()
    world.incident()
    play(fixed, 1)
    assert "not even the catch-all" in Incident.objects.get(system__key="afterlaunch").summary
