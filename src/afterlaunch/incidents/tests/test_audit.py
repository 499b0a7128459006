from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import settings
from afterlaunch.ground.clock import FixedClock
from afterlaunch.incidents.audit import ITSELF, audit_paging
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.tests.conftest import World
from afterlaunch.notify.audit import health
from afterlaunch.notify.models import AuditRun, Page
from afterlaunch.notify.sending import claim
from afterlaunch.notify.tests.fakes import FakeProvider, provider
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla.models import Clock


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    with provider(200) as fake:
        monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
        monkeypatch.setenv("AFTERLAUNCH_DEADMAN_URL", fake.url)
        settings.reload()
        yield fake
    monkeypatch.undo()
    settings.reload()


def no_escalation() -> None:
    Escalation.objects.all().delete()


def stopped() -> None:
    Escalation.objects.update(state="stopped", next_at=None)


def no_next_step() -> None:
    Escalation.objects.update(next_at=None)


def late_step() -> None:
    Escalation.objects.update(next_at=F("next_at") - timedelta(hours=1))


def late_page() -> None:
    Page.objects.update(due_at=F("due_at") - timedelta(minutes=3))


def old_lease() -> None:
    Page.objects.update(state="leased", lease_until=F("due_at") - timedelta(minutes=2))


def left_behind() -> None:
    page = Page.objects.get()
    page.pk, page.key, page.carrier = None, "other", Page.objects.get()
    page.save()
    Page.objects.exclude(key="other").update(state="accepted")


def no_row() -> None:
    Page.objects.all().delete()


BROKEN = {
    "no_escalation": no_escalation,
    "stopped_while_unacknowledged": stopped,
    "no_next_step": no_next_step,
    "step_late": late_step,
    "pending_past_due": late_page,
    "lease_too_old": old_lease,
    "its_message_went_without_it": left_behind,
    "decided_without_a_row": no_row,
}


@pytest.mark.parametrize("what", BROKEN)
def test_whatever_is_broken_is_found_mended_counted_and_told(
    world: World, outside: FakeProvider, fixed: FixedClock, what: str
) -> None:
    """And the watch outside hears nothing meanwhile."""
    incident = world.incident()
    audit_paging(fixed.now())
    assert len(outside.got) == 1 and AuditRun.objects.get().well
    BROKEN[what]()
    audit_paging(fixed.advance(1))
    run = AuditRun.objects.order_by("-pk").first()
    assert run is not None and not run.well and [one["what"] for one in run.findings] == [what]
    assert run.repairs == 1 and len(outside.got) == 1, "no word outside"
    itself = Incident.objects.get(fingerprint=ITSELF)
    assert itself.system.client.slug == "house" and what.replace("_", " ") in itself.summary
    assert Entry.objects.filter(deed="paging.repaired").count() == 1
    audit_paging(fixed.advance(1))
    assert AuditRun.objects.order_by("-pk")[0].well and len(outside.got) == 2
    claim(fixed.advance(120), 10)
    assert Page.objects.filter(topic=incident.topic, state="leased").exists(), "it goes out"


def test_a_lost_clock_is_started_again(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    Clock.objects.all().delete()
    audit_paging(fixed.now())
    assert AuditRun.objects.get().findings[0]["what"] == "no_clock"
    assert Clock.objects.filter(topic=incident.topic).count() == 1


def test_a_clock_that_lost_its_timer_gets_it_back(world: World, fixed: FixedClock) -> None:
    incident = world.incident()
    Clock.objects.filter(topic=incident.topic).update(next_at=None)
    audit_paging(fixed.now())
    assert AuditRun.objects.get().findings[0]["what"] == "clock_without_timer"
    assert Clock.objects.get(topic=incident.topic).next_at == fixed.now()


def test_later_findings_join_the_incident_that_is_open(world: World, fixed: FixedClock) -> None:
    world.incident()
    for break_it in (no_escalation, stopped):
        break_it()
        audit_paging(fixed.advance(60))
    assert Incident.objects.filter(fingerprint=ITSELF).count() == 1
    assert System.objects.filter(key="afterlaunch").count() == 1


def test_a_page_that_waits_for_its_time_or_its_turn_is_no_finding(world: World, fixed: FixedClock) -> None:
    world.incident()
    Page.objects.update(due_at=F("due_at") + timedelta(hours=5), held="quiet hours")
    for _ in range(5):
        Escalation.objects.update(next_at=fixed.now() + timedelta(minutes=5))
        audit_paging(fixed.advance(60))
    assert not AuditRun.objects.filter(well=False).exists()


def test_the_age_of_the_last_clean_audit_is_known(world: World, outside: FakeProvider, fixed: FixedClock) -> None:
    assert health(fixed.now()).state == "not_assessed"
    audit_paging(fixed.now())
    assert health(fixed.now()).state == "ok"
    assert health(fixed.advance(301)).state == "breach" and health(fixed.now()).clean_age == 301


def test_a_watch_that_does_not_answer_is_told_and_stops_nothing(
    world: World, outside: FakeProvider, fixed: FixedClock
) -> None:
    outside.answers = [500]
    audit_paging(fixed.now())
    assert AuditRun.objects.get().ping == "answered 500" and health(fixed.now()).state == "warning"


def test_what_is_in_good_order_costs_no_question_each(world: World, fixed: FixedClock) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            audit_paging(fixed.now())
        return len(asked)

    world.incident("f1")
    few = questions()
    for number in range(2, 12):
        world.incident(f"f{number}")
    assert questions() <= few
