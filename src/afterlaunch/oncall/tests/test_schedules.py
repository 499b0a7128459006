"""Schedules are edited, and the past stays what it was; who comes and goes is told."""

from __future__ import annotations

import pytest

from afterlaunch.evidence.models import Entry
from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.oncall.actions import (
    add_temporary,
    cancel_temporary,
    edit_schedule,
    make_schedule,
    put_team,
    remove_schedule,
)
from afterlaunch.oncall.duties import hand_over, look_for_gaps
from afterlaunch.oncall.history import recorded, shifts_between
from afterlaunch.oncall.models import RecordedShift, Schedule
from afterlaunch.oncall.overrides import add_override, answer_swap, ask_swap, cancel_override
from afterlaunch.oncall.schedule import planned, who_is_on_call
from afterlaunch.oncall.tests.conftest import AT, DAY, ENGINE, HOUR, Crew, turning


def run(fixed: FixedClock, row: Schedule, days: float, step: float = 0.25) -> None:
    """Time passes, the duty runs."""
    until = fixed.now() + days * DAY
    while fixed.now() < until:
        fixed.advance(step * DAY)
        hand_over(fixed.now())
    row.refresh_from_db()


def told(row: Schedule) -> list[tuple[str, float, float | None]]:
    """(name, first hour, last hour) of each recorded shift, counted from AT."""
    rows = RecordedShift.objects.filter(schedule=row)
    return [(r.name, (r.starts_at - AT) / HOUR, (r.ends_at - AT) / HOUR if r.ends_at else None) for r in rows]


def test_what_happened_is_written_at_the_handoff_and_an_edit_changes_no_day_before_it(
    crew: Crew, fixed: FixedClock
) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    run(fixed, row, 2.5)
    before = told(row)
    assert before == [("Ada", 0, 24), ("Ben", 24, 48), ("Ada", 48, None)]
    edit_schedule(ENGINE, row, [turning(crew["cleo"].pk, kind="daily")])
    hand_over(fixed.now())
    row.refresh_from_db()
    assert told(row) == [*before[:2], ("Ada", 48, 60), ("Cleo", 60, None)]
    assert who_is_on_call(row, fixed.now()).person == crew["cleo"]
    shown = shifts_between(row, AT, AT + 4 * DAY)
    names = {user.pk: str(user) for user in crew.people.values()}
    assert [names[int(one.person)] for one in shown] == ["Ada", "Ben", "Ada", "Cleo", "Cleo"]


def test_a_shift_that_is_on_now_is_shown_as_one(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="weekly"))
    run(fixed, row, 3)
    add_override(ENGINE, row, "replace", fixed.now() + 5 * DAY, fixed.now() + 6 * DAY, crew["cleo"], crew["ben"])
    row.refresh_from_db()
    first = shifts_between(row, AT, AT + 20 * DAY)[0]
    assert (first.start, first.end) == (AT, AT + 7 * DAY)


def test_both_people_of_a_handoff_are_told_and_nobody_whose_place_nobody_took(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ada"].pk, crew["ben"].pk, kind="daily"))
    hand_over(fixed.now())
    assert crew.notices("ada") == ["You are on call: primary of Acme"]
    run(fixed, row, 1.5)
    assert len(crew.notices("ada")) == 1, "the second day in a row is nobody's news"
    run(fixed, row, 1)
    assert crew.notices("ada")[-1] == "You are no longer on call: primary of Acme"
    assert crew.notices("ben") == ["You are on call: primary of Acme"]


def test_after_an_outage_the_record_is_whole_and_each_person_gets_one_message(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    hand_over(fixed.now())
    fixed.advance(3.5 * DAY)
    hand_over(fixed.now())
    assert [name for name, _, _ in told(row)] == ["Ada", "Ben", "Ada", "Ben"]
    assert (len(crew.notices("ada")), len(crew.notices("ben"))) == (2, 1)


def test_an_override_that_is_made_late_counts_from_its_making_and_ends_when_cancelled(
    crew: Crew, fixed: FixedClock
) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    run(fixed, row, 1)
    made = add_override(ENGINE, row, "cover", AT, AT + 3 * DAY, crew["ben"])
    hand_over(fixed.now())
    fixed.advance(HOUR)
    cancel_override(ENGINE, row, made.pk)
    hand_over(fixed.now())
    assert told(row) == [("Ada", 0, 24), ("Ben", 24, 25), ("Ada", 25, None)]
    assert crew.notices("ben") == ["You are on call: primary of Acme", "You are no longer on call: primary of Acme"]


def test_a_version_for_later_begins_when_it_says(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    edit_schedule(ENGINE, row, [turning(crew["ben"].pk)], valid_from=AT + DAY)
    assert who_is_on_call(row, AT + 23 * HOUR).person == crew["ada"]
    run(fixed, row, 1.5)
    assert told(row) == [("Ada", 0, 24), ("Ben", 24, None)]
    with pytest.raises(Invalid, match="past"):
        edit_schedule(ENGINE, row, [turning(crew["cleo"].pk)], valid_from=AT)


def test_a_team_is_on_call_together_and_its_new_members_count_from_now_on(crew: Crew, fixed: FixedClock) -> None:
    team = put_team(ENGINE, crew.client, "night", [crew["ada"], crew["ben"]])
    row = crew.schedule(turning([{"team": team.pk}]))
    assert {one.name for one in who_is_on_call(row, AT).people} == {"Ada", "Ben"}
    run(fixed, row, 1)
    put_team(ENGINE, crew.client, "night", [crew["ben"], crew["cleo"]], team)
    hand_over(fixed.now())
    assert told(row) == [("Ada", 0, 24), ("Ben", 0, None), ("Cleo", 24, None)]


def test_a_temporary_schedule_stands_in_the_place_of_all_layers(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    shift = {"from": "2026-03-03T00:00:00Z", "to": "2026-03-04T00:00:00Z", "people": [crew["ben"].pk]}
    made = add_temporary(ENGINE, row, AT + DAY, AT + 2 * DAY, [{"name": "holiday", "shifts": [shift]}])
    people = [str(one.person) for one in planned(row, AT, AT + 3 * DAY)]
    assert people == ["Ada", "Ben", "Ada"]
    cancel_temporary(ENGINE, row, made.pk)
    assert [str(one.person) for one in planned(row, AT, AT + 3 * DAY)] == ["Ada"]


def test_a_swap_is_asked_seen_by_both_and_becomes_two_overrides(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk, crew["ben"].pk, kind="daily"))
    span, back = (AT + 2 * DAY, AT + 3 * DAY), (AT + 3 * DAY, AT + 4 * DAY)
    swap = ask_swap(crew.actor("ada"), row, crew["ada"], crew["ben"], *span, back)
    assert crew.notices("ben") == ["Ada asks you to swap duty: primary"]
    assert who_is_on_call(row, span[0]).person == crew["ada"], "not before it is accepted"
    with pytest.raises(NotAllowed):
        answer_swap(crew.actor("cleo"), row, swap.pk, accept=True)
    answer_swap(crew.actor("ben"), row, swap.pk, accept=True)
    assert who_is_on_call(row, span[0]).person == crew["ben"] and who_is_on_call(row, back[0]).person == crew["ada"]
    assert row.overrides.filter(swap=swap).count() == 2
    with pytest.raises(Conflict):
        answer_swap(crew.actor("ben"), row, swap.pk, accept=False)
    with pytest.raises(NotAllowed):
        ask_swap(crew.actor("cleo"), row, crew["ada"], crew["ben"], *span)


def test_owner_may_team_mate_may_a_little_and_a_stranger_nothing(crew: Crew, fixed: FixedClock) -> None:
    layers = [turning(crew["ada"].pk)]
    row = make_schedule(crew.actor("boss", Role.OPERATOR), crew.client, "second", "UTC", layers)
    with pytest.raises(NotAllowed):
        edit_schedule(crew.actor("ada"), row, layers)
    add_override(crew.actor("ada"), row, "add", AT, AT + DAY, crew["ben"])
    stranger = crew.actor("ada", Role.VIEWER)
    with pytest.raises(NotAllowed):
        add_override(stranger, row, "add", AT, AT + DAY, crew["ben"])
    assert set(Entry.objects.values_list("deed", flat=True)) >= {"schedule.set", "override.added"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "yearly"}, r"layers\[0\].rotation.type"),
        ({"length": 0}, r"layers\[0\].rotation.length"),
        ({"start": "soon"}, r"layers\[0\].rotation.start"),
        ({"members": []}, r"layers\[0\].rotation.members"),
        ({"members": [99999]}, r"layers\[0\].rotation.members\[0\]: Somebody can't act"),
    ],
)
def test_a_wrong_layer_is_refused_with_its_place(crew: Crew, change: dict[str, object], said: str) -> None:
    layer = turning(crew["ada"].pk)
    layer["rotation"] |= change
    with pytest.raises(Invalid, match=said):
        crew.schedule(layer)


def test_hours_need_to_say_when_the_rotation_turns(crew: Crew) -> None:
    layer = turning(crew["ada"].pk, windows=[{"days": ["mon"], "start": "09:00", "end": "17:00"}])
    del layer["rotation"]["advanceOn"]
    with pytest.raises(Invalid, match="advanceOn must be said"):
        crew.schedule(layer)


def test_gaps_are_warned_of_once_and_people_who_cannot_be_reached_are_gaps(crew: Crew, fixed: FixedClock) -> None:
    crew.add("mute", reachable=False)
    windows = [{"days": [1, 2, 3, 4, 5], "start": "00:00", "end": "24:00"}]
    row = crew.schedule(turning(crew["ada"].pk, crew["mute"].pk, windows=windows))
    assert [gap["why"] for gap in row.gaps][:3] == ["nobody", "unreachable", "nobody"]
    assert [t for t in crew.notices("boss") if "Nobody would be paged" in t] == crew.notices("boss")
    assert len(crew.notices("boss")) == 1
    for _ in range(3):
        fixed.advance(HOUR)
        look_for_gaps(fixed.now())
    assert len(crew.notices("boss")) == 1
    crew["ada"].is_active = False
    crew["ada"].save()
    fixed.advance(DAY)
    look_for_gaps(fixed.now())
    row.refresh_from_db()
    assert len(crew.notices("boss")) == 2 and "unreachable" in {gap["why"] for gap in row.gaps}


def test_a_removed_schedule_keeps_its_record(crew: Crew, fixed: FixedClock) -> None:
    row = crew.schedule(turning(crew["ada"].pk))
    run(fixed, row, 1)
    remove_schedule(ENGINE, row)
    hand_over(fixed.advance(DAY))
    assert [(one.name, one.ends_at) for one in recorded(row, AT, AT + 9 * DAY)] == [("Ada", AT + DAY)]
    assert not who_is_on_call(crew.client, AT + DAY).people
