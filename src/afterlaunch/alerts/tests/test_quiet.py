from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from afterlaunch.alerts import storms
from afterlaunch.alerts.inhibit_rules import inhibit_rule_by_id, put_inhibit_rule, remove_inhibit_rule
from afterlaunch.alerts.intake import take
from afterlaunch.alerts.maintenance import (
    end_now,
    extend,
    put_window,
    remove_window,
    turn_windows,
    turns,
    window_by_id,
)
from afterlaunch.alerts.matchers import parse
from afterlaunch.alerts.models import Alert, Group, MaintenanceWindow
from afterlaunch.alerts.silences import announce_ends, end_silence, silence_matching
from afterlaunch.alerts.tests.conftest import AT, BEN, OPS, SENDER, STRANGER, Place, at
from afterlaunch.estate.dependencies import set_dependencies
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import Page


def quiet(name: str) -> str:
    return Alert.objects.get(name=name).suppressed_by


def rule(place: Place, source: str, target: str, *equal: str) -> None:
    put_inhibit_rule(OPS, place.system.client, "r", parse(source), parse(target), equal)


def notices(kind: str) -> int:
    return sum(page.facts.get("type") == kind for page in Page.objects.filter(purpose="notice"))


def test_a_source_inhibits_only_what_has_equal_labels_and_only_while_it_fires(place: Place) -> None:
    rule(place, "alertname=ClusterDown", "severity_word=~.+", "cluster", "zone")
    place.tell("ClusterDown", labels={"cluster": "a"}, severity="P1")
    place.tell("Slow", labels={"cluster": "a", "severity_word": "x"})
    place.tell("Other", labels={"cluster": "b", "severity_word": "x"})
    place.go(30)
    assert "rule r" in quiet("Slow") and "ClusterDown" in quiet("Slow") and quiet("Other") == ""
    assert sorted(Incident.objects.values_list("title", flat=True)) == [
        "ClusterDown: Support, prod", "Other: Support, prod",
    ]  # fmt: skip
    place.tell("ClusterDown", "resolved", labels={"cluster": "a"})
    place.go(30)
    slow = Alert.objects.get(name="Slow")
    assert slow.suppressed_by == "" and slow.incident is not None, "what still fires pages once nothing inhibits it"
    assert slow.incident.detected_at == at(1), "its clock begins when it may page"


def test_of_two_that_match_both_sides_neither_inhibits_the_other(place: Place) -> None:
    rule(place, 'alertname=~"A|B"', 'alertname=~"A|B|C"')
    for name in ("A", "B"):
        place.tell(name)
    place.go(30)
    assert quiet("A") == quiet("B") == ""
    place.tell("C")
    place.go(30)
    assert "rule r" in quiet("C")


def test_an_inhibited_p1_is_listed_once_on_the_incident_that_keeps_it_quiet(place: Place) -> None:
    rule(place, "alertname=Source", "alertname=Target")
    place.tell("Source", severity="P1")
    place.go()
    place.tell("Target", severity="P1", summary="It hurts.")
    for _ in range(4):
        place.go(31)
    incident = Incident.objects.get()
    assert "It hurts." in incident.timeline.get(kind="alert.inhibited").text


def test_rules_are_the_operators_and_of_one_client(place: Place) -> None:
    rule(place, "a=b", "c=d")
    row = inhibit_rule_by_id(BEN, _only_rule())
    for actor in (BEN, STRANGER):
        with pytest.raises(NotAllowed):
            remove_inhibit_rule(actor, row)
    with pytest.raises(NotFound):
        inhibit_rule_by_id(STRANGER, row.pk)
    with pytest.raises(Invalid):
        rule(place, 'a=~".*"', "c=d")
    remove_inhibit_rule(OPS, row)
    assert Entry.objects.filter(deed="inhibition.removed").exists()


def _only_rule() -> int:
    from afterlaunch.alerts.models import InhibitRule

    return InhibitRule.objects.get().pk


def test_a_system_that_is_needed_keeps_those_that_need_it_quiet(place: Place) -> None:
    gateway, index = place.other_system("gateway"), place.other_system("index")
    set_dependencies(OPS, place.system, {gateway: True})
    set_dependencies(OPS, gateway, {index: True})
    with pytest.raises(Conflict):
        set_dependencies(OPS, index, {place.system: False})
    for actor in (BEN, STRANGER):
        with pytest.raises(NotAllowed):
            set_dependencies(actor, index, {})
    place.tell("IndexDown", system=index)
    place.tell("Slow")
    place.tell("Grave", severity="P1")
    place.tell("Staging", environment="staging")
    place.go(30)
    assert "needs index: alert" in quiet("Slow")
    assert quiet("Grave") == "" and quiet("Staging") == "", "a graver one, and another environment, page"
    set_dependencies(OPS, gateway, {index: False})
    place.go(30)
    assert quiet("Slow") == "" and Incident.objects.filter(title__startswith="Slow").exists()


def test_a_silence_outlives_an_end_and_a_new_start_and_stops_when_it_is_over(place: Place) -> None:
    """AL-7."""
    row = silence_matching(BEN, "acme", parse("alertname=Down"), at(60), "known")
    for _ in range(2):
        place.tell()
        place.go(30)
        assert quiet("Down") == f"silence {row.pk} of Ben"
        place.tell(status="resolved")
        place.go(30)
        Alert.objects.all().delete()
    place.tell()
    place.go(30)
    place.go(60 * 60)
    assert Incident.objects.count() == 1, "nothing had to be told for it to page"


def test_a_silence_that_is_pending_is_not_in_force_and_ends_by_hand(place: Place) -> None:
    row = silence_matching(BEN, "acme", parse("alertname=Down"), at(60), "later", starts_at=at(10))
    place.tell(labels={"n": "1"})
    place.go(30)
    assert Incident.objects.count() == 1
    place.go(10 * 60)
    assert quiet("Down") != ""
    end_silence(BEN, row)
    place.go(1)
    assert quiet("Down") == ""


def test_a_security_p1_is_silenced_only_by_its_name(place: Place) -> None:
    silence_matching(BEN, "acme", parse('system=support, alertname=~"L.*"'), at(60), "load test")
    place.tell("Leak", severity="P1", labels={"category": "security"})
    place.tell("Lag", severity="P1")
    place.go()
    assert quiet("Leak") == "" and quiet("Lag") != ""
    silence_matching(BEN, "acme", parse("alertname=Leak"), at(60), "false")
    place.go()
    assert quiet("Leak") != ""


def test_a_silence_that_ends_over_what_fires_is_announced_once(place: Place) -> None:
    silence_matching(BEN, "acme", parse("alertname=Down"), at(60), "known")
    silence_matching(BEN, "acme", parse("alertname=Nothing"), at(60), "known")
    place.tell()
    place.go(30)
    for minute in (40, 46, 50):
        place.clock.set(at(minute))
        announce_ends(place.now)
        assert notices("silence.ending") == (minute >= 45)


def window(place: Place, name: str = "upgrade", **fields: object) -> MaintenanceWindow:
    given = {"starts_at": at(10), "ends_at": at(70), **fields}
    return put_window(BEN, place.system.client, name, parse("system=support"), **given)  # type: ignore[arg-type]


def go(place: Place, minute: float) -> None:
    place.clock.set(at(minute))
    turn_windows(place.now)
    place.go()


def test_a_window_keeps_records_announces_start_and_end_and_what_still_fires_pages_at_once(place: Place) -> None:
    """AL-10."""
    window(place)
    go(place, 1)
    assert notices("maintenance.began") == 0
    go(place, 10)
    assert notices("maintenance.began") == 1
    place.tell("Gone")
    place.tell("Stays")
    go(place, 11)
    assert quiet("Stays") == "maintenance window upgrade" and not Incident.objects.exists()
    place.tell("Gone", "resolved")
    go(place, 69)
    assert not Incident.objects.exists()
    go(place, 70)
    assert notices("maintenance.ended") == 1
    incident = Incident.objects.get()
    assert incident.title.startswith("Stays") and incident.detected_at == at(70)
    assert Page.objects.filter(purpose="page").count() == 1
    for minute in (71, 200):
        go(place, minute)
    assert notices("maintenance.ended") == 1 and notices("maintenance.began") == 1


def test_a_window_gets_longer_only_by_hand_and_ends_early_by_hand(place: Place) -> None:
    row = window(place)
    with pytest.raises(Conflict):
        extend(BEN, row, at(90))
    go(place, 10)
    with pytest.raises(NotAllowed):
        extend(STRANGER, row, at(90))
    extend(BEN, row, at(90))
    place.tell()
    for minute in (70, 89):
        go(place, minute)
        assert not Incident.objects.exists()
    go(place, 90)
    assert Incident.objects.count() == 1
    other = window(place, "second", starts_at=at(100), ends_at=at(160))
    go(place, 100)
    end_now(BEN, other)
    with pytest.raises(Conflict):
        end_now(BEN, other)
    go(place, 150)
    assert notices("maintenance.ended") == 2


def test_a_window_that_recurs_begins_again_on_the_wall_clock_of_its_place(place: Place) -> None:
    nightly = {
        "times": [{"start_time": "22:00", "end_time": "24:00"}], "weekdays": ["monday:friday"],
        "location": "Europe/Berlin",
    }  # fmt: skip
    row = window(place, recurrence=nightly, starts_at=None, ends_at=None)
    shown = [begin.isoformat() for begin, _ in turns(row, datetime(2026, 3, 26, 23, 30, tzinfo=AT.tzinfo), 3)]
    assert shown == ["2026-03-27T21:00:00+00:00", "2026-03-30T20:00:00+00:00", "2026-03-31T20:00:00+00:00"]
    go(place, 0)
    begins, ends = turns(row, AT, 1)[0]
    place.clock.set(begins)
    turn_windows(begins)
    place.tell()
    place.go(60)
    assert quiet("Down") == "maintenance window upgrade"
    place.clock.set(ends)
    turn_windows(ends)
    place.go()
    assert quiet("Down") == ""
    row.refresh_from_db()
    assert row.turns_at == begins + timedelta(days=1)


def test_windows_that_make_no_sense_are_refused_and_removed_ones_hold_no_more(place: Place) -> None:
    for bad in (
        {"ends_at": None}, {"ends_at": at(5)}, {"ends_at": at(60 * 24 * 40)}, {"name": ""},
        {"recurrence": {"location": "UTC"}}, {"recurrence": {"weekdays": ["someday"]}},
        {"recurrence": {"years": ["1999"]}, "starts_at": None, "ends_at": None},
        {"starts_at": at(-10), "ends_at": at(-5)},
    ):  # fmt: skip
        with pytest.raises(Invalid):
            window(place, **bad)
    with pytest.raises(NotAllowed):
        put_window(STRANGER, place.system.client, "x", parse("a=b"), at(1), at(2))
    row = window(place)
    assert window(place).pk == row.pk
    with pytest.raises(NotFound):
        window_by_id(STRANGER, row.pk)
    go(place, 10)
    place.tell()
    go(place, 11)
    remove_window(BEN, row)
    go(place, 12)
    assert quiet("Down") == "" and Incident.objects.count() == 1


def test_a_storm_is_one_incident_that_pages_and_its_groups_are_attached(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AL-12."""
    monkeypatch.setattr(storms, "AT_ONCE", 25)
    place.integration.storm_limit = 20
    place.integration.save()
    silence_matching(BEN, "acme", parse("alertname=N3"), at(60), "known")
    take(SENDER, [place.incoming(f"N{n}") for n in range(60)], place.now)
    place.go(30)
    incident = Incident.objects.get()
    assert incident.title == "Alert storm from prometheus: 60 new groups within a minute"
    assert Page.objects.filter(purpose="page").count() == 1
    assert Alert.objects.filter(incident=incident).count() == 59 and quiet("N3") != ""
    place.tell("N5", labels={"more": "1"}, severity="P1")
    place.go()
    incident.refresh_from_db()
    assert Incident.objects.count() == 1 and incident.severity == "P1"
    take(SENDER, [place.incoming(f"N{n}", "resolved") for n in range(60)], place.now)
    place.tell("N5", "resolved", labels={"more": "1"})
    place.go(301)
    incident.refresh_from_db()
    assert incident.recovered_at is not None
    place.go(60)
    place.tell("Calm")
    place.go(30)
    assert Incident.objects.count() == 2, "when the storm is over, groups have incidents of their own again"


def test_one_group_that_fails_does_not_hold_up_the_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from afterlaunch.alerts import raising

    place.tell("Poison")
    place.tell("Good")
    real = raising._tell

    def poisoned(group: Group, *rest: Any) -> None:
        if group.labels["alertname"] == "Poison":
            raise RuntimeError("a mistake")
        real(group, *rest)

    monkeypatch.setattr(raising, "_tell", poisoned)
    with pytest.raises(RuntimeError):
        place.go(30)
    assert Incident.objects.get().title.startswith("Good")
    monkeypatch.setattr(raising, "_tell", real)
    place.go(60)
    assert Incident.objects.count() == 2
