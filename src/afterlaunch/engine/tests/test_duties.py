import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.engine.duties import Duty, Engine, claim, cycle, free_locks_of_the_dead
from afterlaunch.engine.models import Cycle, DutyState
from afterlaunch.engine.waiting import Rows
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Unavailable

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def test_a_failing_duty_stops_nobody_else_and_is_seen() -> None:
    ran: list[str] = []

    def broken(now: datetime) -> None:
        raise ValueError("no disk")

    duties = [Duty("broken", 10, broken), Duty("sound", 10, lambda now: ran.append("sound"))]
    with clock.frozen(AT):
        assert cycle(duties, "engine-1") == 2
    assert ran == ["sound"]
    assert DutyState.objects.get(name="broken").failures == 1
    assert "no disk" in DutyState.objects.get(name="broken").error
    assert Cycle.objects.get(engine="engine-1").number == 1


def test_what_is_down_is_told_in_a_line_and_a_fault_of_ours_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    def full(now: datetime) -> None:
        try:
            raise OSError("no room\nleft")
        except OSError as problem:
            raise Unavailable("The store cannot be written now.") from problem

    def wrong(now: datetime) -> None:
        raise ValueError("never")

    cycle([Duty("full", 60, full), Duty("wrong", 60, wrong)], "here:1")
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [(record.getMessage(), bool(record.exc_info)) for record in told] == [
        ("duty full failed: The store cannot be written now. (OSError: no room left)", False),
        ("duty wrong failed", True),
    ]


def test_duties_held_by_a_killed_process_of_this_host_are_free_at_the_next_start() -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    duties = [Duty(name, 60, lambda now: None) for name in ("dead", "alive", "elsewhere")]
    holders = (f"here:{dead.pid}", f"here:{os.getpid()}", f"there:{dead.pid}")
    with clock.frozen(AT):
        for duty, holder in zip(duties, holders, strict=True):
            assert claim(duty, holder, clock.now())
        assert free_locks_of_the_dead("here:1") == 1
        assert [claim(duty, "here:1", clock.now()) for duty in duties] == [True, False, False]


def test_a_duty_that_names_its_rows_is_passed_over_until_one_of_them_is_due() -> None:
    ran: list[datetime] = []
    rows = Rows(DutyState.objects.filter(name="a row"), "next_due")
    duty = Duty("waits", 5, ran.append, rows=(rows,))
    with clock.frozen(AT) as fixed:
        assert cycle([duty], "engine-1") == 0
        DutyState.objects.create(name="a row", next_due=fixed.now() + timedelta(minutes=1))
        fixed.advance(30)
        assert cycle([duty], "engine-1") == 0
        assert DutyState.objects.get(name="waits").succeeded_at == fixed.now()  # it is seen to be looked after
        fixed.advance(30)
        assert cycle([duty], "engine-1") == 1
    assert ran == [AT + timedelta(minutes=1)]


def test_a_duty_whose_time_ran_out_goes_on_in_the_next_cycle() -> None:
    left = [True, False]
    duty = Duty("much", 60, lambda now: left.pop(0))
    unfinished: list[str] = []
    with clock.frozen(AT):
        assert [cycle([duty], "engine-1", unfinished) for _ in range(3)] == [1, 1, 0]
    assert unfinished == ["much"]


def test_a_duty_runs_once_a_period() -> None:
    ran: list[datetime] = []
    duty = Duty("tidy", 60, ran.append)
    with clock.frozen(AT) as fixed:
        cycle([duty], "engine-1")
        cycle([duty], "engine-1")
        fixed.advance(60)
        cycle([duty], "engine-1")
    assert len(ran) == 2


def test_a_duty_that_follows_another_does_not_wait_for_its_own_period() -> None:
    ran: list[str] = []
    watch = Duty("watch", 30, lambda now: ran.append("watch"))
    contain = Duty("contain", 60, lambda now: ran.append("contain"), follows="watch")
    with clock.frozen(AT) as fixed:
        cycle([watch, contain], "engine-1")
        fixed.advance(30)
        cycle([watch, contain], "engine-1")
        fixed.advance(1)
        cycle([watch, contain], "engine-1")
    assert ran == ["watch", "contain"] * 2


def test_two_engines_never_hold_the_same_duty_and_a_dead_holder_is_replaced() -> None:
    duty = Duty("tidy", 60, lambda now: None)
    with clock.frozen(AT) as fixed:
        assert claim(duty, "engine-1", clock.now())
        assert not claim(duty, "engine-2", clock.now())
        fixed.advance(121)
        assert claim(duty, "engine-2", clock.now())


def test_a_duty_apart_holds_up_no_cycle_and_is_seen_when_it_fails() -> None:
    def waits(now: datetime) -> None:
        raise OSError("nobody answers")

    apart = Duty("far", 1, waits, apart=True)
    assert cycle([apart, Duty("near", 1, lambda now: None)], "engine-1") == 1
    assert not DutyState.objects.filter(name="far").exists()
    engine = Engine([apart], "engine-1", 1)
    with clock.frozen(AT):
        engine._alone(apart)
    assert "nobody answers" in DutyState.objects.get(name="far").error
    assert len(engine._threads) == 2
