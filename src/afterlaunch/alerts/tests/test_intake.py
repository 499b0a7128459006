from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from afterlaunch.alerts.intake import take
from afterlaunch.alerts.models import Alert, Group, Occurrence
from afterlaunch.alerts.tests.conftest import AT, BEN, SENDER, STRANGER, Place, at
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.incidents.actions import resolve
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import Page


def kinds(alert: Alert) -> list[str]:
    return list(alert.occurrences.values_list("kind", flat=True))


def test_an_alert_of_another_tool_opens_an_incident_and_pages_after_the_groups_wait(place: Place) -> None:
    taken = place.tell(summary="db-1 does not answer.", starts_at=at(-1))
    assert taken.reason == "opens" and not Incident.objects.exists()
    place.go(29)
    assert not Incident.objects.exists()
    place.go(1)
    incident = Incident.objects.get()
    assert incident.title == "Down: Support, prod" and incident.severity == "P2"
    assert (incident.occurred_at, incident.detected_at) == (at(-1), AT), "its clock begins when it was stored"
    assert Page.objects.count() == 1 and Alert.objects.get().incident == incident


def test_a_p1_waits_for_nothing(place: Place) -> None:
    place.tell(severity="P1")
    place.go()
    assert Page.objects.count() == 1


def test_repeats_and_replicas_are_counted_not_doubled(place: Place) -> None:
    for _ in range(3):
        place.tell(starts_at=at(-1))
    both = [place.incoming(starts_at=at(-1)), place.incoming(starts_at=at(-1))]
    assert [one.reason for one in take(SENDER, both, place.now)] == ["repeat", "repeat"]
    place.go(60)
    alert = Alert.objects.get()
    assert alert.told == 5 and Incident.objects.count() == 1 and kinds(alert) == ["firing"]


def test_labels_with_empty_values_make_no_other_alert(place: Place) -> None:
    place.tell(labels={"job": "a", "team": ""})
    assert place.tell(labels={"job": "a"}).reason == "repeat"
    assert place.tell(labels={"job": "b"}).reason == "opens"


def test_it_ends_recovers_its_incident_and_a_late_repeat_opens_nothing(place: Place) -> None:
    place.tell(starts_at=at(-1))
    place.go(30)
    assert place.tell(status="resolved", ends_at=at(0.5)).reason == "resolved"
    place.go(300)
    incident = Incident.objects.get()
    assert incident.recovered_at == at(0.5) and incident.status == "open"
    assert place.tell(starts_at=at(-1)).reason == "late_repeat"
    assert place.tell(status="resolved").reason == "nothing_fires"
    assert Alert.objects.filter(resolved_at=None).count() == 0
    assert place.tell(starts_at=at(6)).reason == "opens"
    place.go(30)
    assert Incident.objects.get().recovered_at is None, "it relapsed"


def test_a_resolve_older_than_the_firing_is_ignored(place: Place) -> None:
    place.tell(starts_at=at(-1))
    assert place.tell(status="resolved", ends_at=at(-2)).reason == "older_than_firing"
    assert Alert.objects.get().resolved_at is None


def test_a_teller_whose_start_never_alters_can_fire_anew(place: Place) -> None:
    place.tell(key="d1", starts_at=AT, restarts=True)
    place.tell(key="d1", status="resolved")
    assert place.tell(key="d1", starts_at=AT, restarts=True).reason == "opens"


def test_what_ends_before_anybody_was_told_is_kept_and_pages_nobody(place: Place) -> None:
    """AL-4, AL-5: resolved is never announced for what was never announced as firing."""
    place.tell()
    place.tell(status="resolved")
    place.go(60)
    assert not Incident.objects.exists() and kinds(Alert.objects.get()) == ["firing", "resolved"]


def test_alerts_of_one_group_are_one_incident_and_a_graver_one_raises_it(place: Place) -> None:
    take(SENDER, [place.incoming(labels={"instance": str(n)}) for n in range(25)], place.now)
    place.go(30)
    incident = Incident.objects.get()
    assert incident.title.startswith("Down and 24 more") and incident.timeline.filter(kind="alert").count() == 11
    place.tell(labels={"instance": "x"}, severity="P1")
    place.go()
    assert (
        Incident.objects.get().severity == "P1" and Incident.objects.get().timeline.filter(kind="alert").count() == 12
    )
    place.tell("Other")
    place.go(30)
    assert Incident.objects.count() == 2, "another alertname is another group"


def test_more_of_a_group_waits_for_its_interval(place: Place) -> None:
    place.tell(labels={"instance": "1"})
    place.go(30)
    place.tell(labels={"instance": "2"})
    place.go(60)
    assert Alert.objects.filter(incident=None).count() == 1
    place.go(240)
    assert Alert.objects.filter(incident=None).count() == 0


def test_information_is_stored_and_opens_nothing_and_the_unknown_is_p2_with_a_task(place: Place) -> None:
    place.tell("Info", severity="")
    place.tell("Odd", severity=None)
    place.go(30)
    incident = Incident.objects.get()
    assert incident.severity == "P2" and Alert.objects.count() == 2
    assert "no severity that we know" in incident.timeline.filter(kind="triage").latest("sequence").text


def test_what_is_not_told_again_expires_and_is_no_recovery(place: Place) -> None:
    place.tell(expires_at=at(5))
    place.go(60)
    place.tell(expires_at=at(6))
    place.go(240)
    assert Alert.objects.get().resolved_at is None, "a repeat moves its end"
    place.go(120)
    place.go(300)
    incident = Incident.objects.get()
    assert Alert.objects.get().ended_because == "expired" and incident.recovered_at is None
    assert "Nobody said that it recovered" in incident.timeline.get(kind="alert.expired").text
    assert place.tell().reason == "opens"


def test_flapping_holds_it_open_tells_once_and_lets_go_after_quiet(place: Place) -> None:
    """AL-9: more than 5 transitions in 15 min."""
    for turn in range(3):
        place.tell(starts_at=at(turn))
        place.go(31)
        place.tell(status="resolved")
        place.go(29)
    assert Alert.objects.filter(flapping_since__isnull=False).count() == 1
    held = Alert.objects.get(flapping_since__isnull=False)
    assert held.resolved_at is None and place.tell(status="resolved").reason == "held"
    assert kinds(held).count("flapping") == 1
    assert Page.objects.count() == 1
    place.go(14 * 60)
    assert Alert.objects.get(pk=held.pk).resolved_at is None
    place.go(2 * 60)
    place.go(300)
    assert Alert.objects.get(pk=held.pk).ended_because == "resolved" and "calm" in kinds(held)
    assert Incident.objects.get().recovered_at is not None


def test_a_heartbeat_or_a_probe_tells_without_an_integration(place: Place) -> None:
    told = place.incoming("Backup", integration=None, source="heartbeats", severity="P1")
    (taken,) = take(automation("heartbeats"), [told], place.now)
    place.go()
    assert Incident.objects.get().alerts.get().pk == taken.alert
    over = place.incoming("Backup", "resolved", integration=None, source="heartbeats")
    take(automation("heartbeats"), [over], place.now)
    place.go()
    assert Incident.objects.get().recovered_at == AT


def test_only_whoever_may_send_for_the_client_tells_and_nonsense_stores_nothing(place: Place) -> None:
    for actor in (BEN, STRANGER):
        with pytest.raises(NotAllowed):
            take(actor, [place.incoming()], place.now)
    for bad in (place.incoming(severity="P9"), place.incoming(" ")):
        with pytest.raises(Invalid):
            take(SENDER, [place.incoming(), bad], place.now)
    assert not Alert.objects.exists() and not Group.objects.exists()


def test_what_still_fires_after_its_incident_was_resolved_comes_back(place: Place) -> None:
    place.tell()
    place.go(30)
    resolve(automation("test"), Incident.objects.get(), "done")
    place.go(4 * 3600 + 60)
    assert Incident.objects.count() == 2 and Incident.objects.latest("pk").recurrence_of_id is not None


def test_thousands_of_alerts_cost_few_questions(place: Place) -> None:
    def many(status: str) -> int:
        told = [place.incoming(status=status, labels={"instance": str(n)}) for n in range(2000)]
        with CaptureQueriesContext(connection) as seen:
            take(SENDER, told, place.now)
        return len(seen)

    assert many("firing") < 150
    assert many("firing") < 150
    assert many("resolved") < 150
    assert Alert.objects.filter(ended_because="resolved").count() == 2000
    assert Occurrence.objects.count() == 4000
    place.clock.advance(timedelta(minutes=1))
    with CaptureQueriesContext(connection) as seen:
        place.go()
    assert len(seen) < 40
