"""Heartbeats through their doors: pings, the duty, the page that somebody gets."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from unittest import mock

import pytest
from django.test import Client as Browser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.alerts.models import Alert
from afterlaunch.alerts.raising import raise_due
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Invalid, NotAllowed, NotFound
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import Page
from afterlaunch.probes import heartbeats
from afterlaunch.probes.duties import look_at_heartbeats
from afterlaunch.probes.heartbeats import Values, heartbeats_seen_by, put_heartbeat
from afterlaunch.probes.models import Heartbeat, Ping, PlatformAbsence
from afterlaunch.probes.tests.conftest import AT, World

pytestmark = pytest.mark.django_db
HOURLY = Values(period=3_600, grace=300)


@pytest.fixture
def row(world: World) -> Heartbeat:
    return put_heartbeat(world.person(Role.OPERATOR, "acme"), world.system, "nightly", HOURLY)


def state(row: Heartbeat) -> str:
    row.refresh_from_db()
    return row.state


def play(fixed: FixedClock, minutes: float) -> None:
    """So long with an engine that looks every minute."""
    for _ in range(int(minutes)):
        look_at_heartbeats(fixed.advance(60))
        raise_due(fixed.now())


def get(row: Heartbeat, rest: str = "") -> int:
    code = Browser().get(f"/ping/{row.secret}{rest}").status_code
    raise_due(clock.now())
    return code


def test_a_ping_needs_no_sign_in_and_brings_it_up(row: Heartbeat) -> None:
    assert state(row) == "new"
    for answer in (Browser().post(f"/ping/{row.secret}"), Browser().head(f"/ping/{row.secret}")):
        assert answer.status_code == 200
    assert get(row) == 200 and state(row) == "up"
    assert Ping.objects.filter(heartbeat=row).count() == 3


def test_an_unknown_address_tells_nothing(world: World) -> None:
    answer = Browser().get("/ping/unknown")
    assert answer.status_code == 404 and b"no heartbeat" in answer.content


def test_silence_pages_whoever_is_on_call_once_and_a_ping_ends_it(row: Heartbeat, fixed: FixedClock) -> None:
    get(row)
    play(fixed, 65)
    assert state(row) == "late" and not Incident.objects.exists()
    play(fixed, 2)
    incident = Incident.objects.get()
    assert state(row) == "down" and Page.objects.count() == 1
    assert "nightly" in incident.title and "did not tell of itself" in incident.summary
    play(fixed, 30)
    assert Page.objects.count() == 1 and Incident.objects.count() == 1
    get(row)
    incident.refresh_from_db()
    assert state(row) == "up" and incident.recovered_at is not None


def test_down_and_its_page_are_one_transaction(row: Heartbeat, fixed: FixedClock) -> None:
    get(row)
    play(fixed, 65)
    fixed.advance(60)
    killed = mock.patch("afterlaunch.probes.telling.take", side_effect=RuntimeError("killed"))
    with killed, pytest.raises(RuntimeError):
        look_at_heartbeats(AT + timedelta(minutes=66))
    assert state(row) == "late" and not Page.objects.exists()
    look_at_heartbeats(AT + timedelta(minutes=67))
    assert state(row) == "down" and Alert.objects.filter(resolved_at=None).count() == 1
    raise_due(AT + timedelta(minutes=67))
    assert Page.objects.count() == 1


@pytest.mark.parametrize(("rest", "expected"), [("/0", "up"), ("/1", "down"), ("/137", "down"), ("/fail", "down")])
def test_an_exit_code_is_a_success_or_a_failure(row: Heartbeat, rest: str, expected: str) -> None:
    assert get(row, rest) == 200 and state(row) == expected
    assert Incident.objects.count() == (expected == "down")


def test_what_a_job_posts_is_kept_up_to_ten_kilobytes_without_its_secrets(row: Heartbeat) -> None:
    body = b"key sk-abcdefghijklmnop\x00\xff" + b"x" * 20_000
    Browser().post(f"/ping/{row.secret}/log", body, "application/octet-stream")
    kept = Ping.objects.get()
    assert kept.size == len(body) and len(kept.body) <= 10_000
    assert "abcdefghijklmnop" not in kept.body and "\x00" not in kept.body
    assert state(row) == "new"


def test_a_run_is_timed_by_its_id(row: Heartbeat, fixed: FixedClock) -> None:
    get(row, "/start?rid=a")
    fixed.advance(90)
    get(row, "/0?rid=a")
    row.refresh_from_db()
    assert row.last_seconds == 90 and row.runs == {}


def test_a_start_without_an_end_pages(world: World, fixed: FixedClock) -> None:
    row = put_heartbeat(
        world.person(Role.OPERATOR, "acme"), world.system, "rebuild", Values(cron="0 3 * * *", grace=600, longest=1_200)
    )
    get(row)
    fixed.set(AT + timedelta(minutes=60))
    look_at_heartbeats(fixed.now())
    get(row, "/start")
    play(fixed, 19)
    assert state(row) in ("up", "late")
    play(fixed, 2)
    assert state(row) == "down" and "did not end" in Incident.objects.get().summary


def test_after_an_absence_of_the_platform_nobody_is_down_before_one_grace_more(
    row: Heartbeat, fixed: FixedClock
) -> None:
    get(row)
    look_at_heartbeats(fixed.now())
    look_at_heartbeats(fixed.advance(4 * 3_600))  # the server was off
    gone = PlatformAbsence.objects.get()
    assert gone.end - gone.start == timedelta(hours=4)
    assert state(row) == "late"
    play(fixed, 5)
    assert state(row) == "late"
    play(fixed, 1)
    assert state(row) == "down"


def test_people_are_told_again_while_it_stays_down(world: World, fixed: FixedClock) -> None:
    from afterlaunch.ground.actors import Actor, Held
    from afterlaunch.incidents.actions import acknowledge

    actor = world.person(Role.OPERATOR, "acme")
    row = put_heartbeat(actor, world.system, "loud", Values(period=3_600, again_minutes=30))
    get(row, "/fail")
    person = Actor("person", "Ada", (Held(Role.ADMIN, None),), user_id=world.admin.pk)
    acknowledge(person, Incident.objects.get())
    play(fixed, 29)
    assert Page.objects.count() == 1
    play(fixed, 2)
    assert Page.objects.count() == 2


def test_a_paused_one_wakes_nobody_and_its_trouble_is_over(world: World, row: Heartbeat, fixed: FixedClock) -> None:
    get(row, "/fail")
    heartbeats.pause_heartbeat(world.person(Role.OPERATOR, "acme"), row)
    raise_due(fixed.now())
    assert Incident.objects.get().recovered_at is not None
    get(row, "/fail")
    play(fixed, 200)
    assert state(row) == "paused"
    heartbeats.resume_heartbeat(world.person(Role.OPERATOR, "acme"), row)
    play(fixed, 66)
    assert state(row) == "down"


def test_an_old_address_opens_nothing(world: World, row: Heartbeat) -> None:
    old = row.secret
    heartbeats.new_address(world.person(Role.OPERATOR, "acme"), row)
    assert Browser().get(f"/ping/{old}").status_code == 404


def test_pings_are_bounded(row: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "KEPT_PINGS", 5)
    for _ in range(9):
        get(row)
    assert Ping.objects.count() == 5


def test_only_operators_of_the_client_alter_it(world: World, row: Heartbeat) -> None:
    for actor in (world.person(Role.RESPONDER, "acme"), world.person(Role.ADMIN, "other")):
        with pytest.raises(NotAllowed):
            put_heartbeat(actor, world.system, "nightly", HOURLY)
        with pytest.raises(NotAllowed):
            heartbeats.remove_heartbeat(actor, row)
    assert not heartbeats_seen_by(world.person(Role.ADMIN, "other")).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        Values(),
        Values(period=60, cron="* * * * *"),
        Values(period=60, grace=1),
        Values(period=60, severity="P9"),
        Values(period=60, longest=10**9),
        Values(period=60, purpose="nonsense"),
        Values(period=60, environment=" "),
    ],
)
def test_what_makes_no_sense_is_refused(world: World, wrong: Values) -> None:
    with pytest.raises(Invalid):
        put_heartbeat(world.person(Role.OPERATOR, "acme"), world.system, "x", wrong)


def test_another_schedule_is_judged_at_once(world: World, row: Heartbeat, fixed: FixedClock) -> None:
    get(row)
    play(fixed, 30)
    put_heartbeat(world.person(Role.OPERATOR, "acme"), world.system, "nightly", Values(period=600, grace=60))
    play(fixed, 1)
    assert state(row) == "down"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rest=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="?#"), max_size=30),
    run=st.text(max_size=80),
    body=st.binary(max_size=300),
    method=st.sampled_from(["get", "head", "post", "put", "options"]),
)
def test_any_ping_is_taken_or_told_why_not(row: Heartbeat, rest: str, run: str, body: bytes, method: str) -> None:
    from urllib.parse import quote

    address = f"/ping/{row.secret}/{quote(rest, safe='')}?rid={quote(run, safe='')}"
    more = {"data": body, "content_type": "application/octet-stream"} if method == "post" else {}
    answer = getattr(Browser(raise_request_exception=True), method)(address, **more)
    assert answer.status_code in (200, 400, 404, 405)
    with contextlib.suppress(Invalid, NotFound):
        heartbeats.ping(row.secret, heartbeats.Told("success", run, None, body, len(body)))


def test_a_pass_over_many_asks_nothing_while_none_is_due(
    world: World, django_assert_max_num_queries: object, fixed: FixedClock
) -> None:
    made = [
        Heartbeat(system=world.system, name=f"h{n}", secret=f"s{n}", period=3_600, created_at=AT, since=AT,
                  look_at=AT + timedelta(hours=1))
        for n in range(300)
    ]  # fmt: skip
    Heartbeat.objects.bulk_create(made)
    look_at_heartbeats(fixed.now())
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        look_at_heartbeats(fixed.advance(15))
