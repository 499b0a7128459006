"""Probes from the runner to the page that somebody gets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.alerts.models import Alert
from afterlaunch.alerts.raising import raise_due
from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import Page
from afterlaunch.probes import actions, judging, settling
from afterlaunch.probes.actions import Values, probes_seen_by, put_probe
from afterlaunch.probes.models import Probe, ProbeDay, ProbeHour, ProbeLocation, ProbeResult
from afterlaunch.probes.outcomes import Outcome, Result, failed, not_run
from afterlaunch.probes.runner import Runner
from afterlaunch.probes.settling import settle, tidy
from afterlaunch.probes.tests.conftest import AT, World
from afterlaunch.probes.tests.servers import Said, Web, web
from afterlaunch.probes.times import records
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loopback_allowed")]


def nothing(_: Any) -> None:
    return None


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as one:
        yield one


def declared(world: World, site_url: str, name: str = "front", **more: Any) -> Probe:
    given: dict[str, Any] = {"retries": 0, "interval": 60, **more}
    return put_probe(world.person(Role.ADMIN, None), world.system, name, Values("http", {"url": site_url}, **given))


def play(runner: Runner, fixed: FixedClock, minutes: int, step: float = 30) -> None:
    for _ in range(int(minutes * 60 / step)):
        runner.run(fixed.advance(step))
        judging.look(fixed.now())
        raise_due(fixed.now())


def state(row: Probe) -> str:
    row.refresh_from_db()
    return row.state


def test_a_site_that_fails_pages_once_and_its_recovery_ends_it(world: World, site: Web, fixed: FixedClock) -> None:
    row, runner = declared(world, site.url), Runner("home", nothing)
    play(runner, fixed, 2)
    assert state(row) == "up" and not Incident.objects.exists()
    site.answer = lambda _: Said(503, b"closed")
    play(runner, fixed, 5)
    assert state(row) == "down" and Page.objects.count() == 1
    incident = Incident.objects.get()
    assert "front" in incident.title and "503" in incident.summary
    site.answer = lambda _: Said()
    play(runner, fixed, 2)
    incident.refresh_from_db()
    assert state(row) == "up" and incident.recovered_at is not None
    place = row.places.get()
    assert set(place.recent) == {"u", "d"} and place.recent.endswith("u")


def test_a_failure_that_was_well_when_tried_again_pages_nobody(world: World, site: Web, fixed: FixedClock) -> None:
    row, runner = declared(world, site.url, retries=2, retry_seconds=10), Runner("home", nothing)
    play(runner, fixed, 1)
    answers = iter([Said(500), Said(500)])
    site.answer = lambda _: next(answers, Said())
    play(runner, fixed, 3, step=5)
    assert state(row) == "up" and not Incident.objects.exists()
    day = ProbeDay.objects.get()
    assert day.failed == 0 and day.retried == 2 and "r" in row.places.get().recent


def test_people_are_told_after_so_many_failed_rounds_and_again_while_it_is_down(
    world: World, site: Web, fixed: FixedClock
) -> None:
    row, runner = declared(world, site.url, notify_after=3), Runner("home", nothing)
    site.answer = lambda _: Said(500)
    play(runner, fixed, 2)
    assert state(row) == "down" and row.held_by == "too_few_failures" and not Incident.objects.exists()
    play(runner, fixed, 3)
    assert Page.objects.count() == 1


def test_what_depends_on_something_down_pages_nobody_until_that_is_up(
    world: World, site: Web, fixed: FixedClock
) -> None:
    with web(lambda _: Said(500)) as behind:
        front, runner = declared(world, site.url), Runner("home", nothing)
        child = declared(world, behind.url, "behind", parents=["front"])
        site.answer = lambda _: Said(500)
        play(runner, fixed, 5)
        assert (state(front), state(child), child.held_by) == ("down", "down", "parent_down")
        assert Alert.objects.filter(resolved_at=None).count() == 1
        site.answer = lambda _: Said()
        play(runner, fixed, 3)
    assert (state(front), state(child)) == ("up", "down")
    assert [alert.name for alert in Alert.objects.filter(resolved_at=None)] == ["Probe behind is down"]


def test_a_quorum_of_locations_decides(world: World, site: Web, fixed: FixedClock) -> None:
    row = declared(world, site.url, locations=["home", "east", "west"], quorum=2)
    runners = {name: Runner(name, nothing) for name in ("home", "east", "west")}
    for runner in runners.values():
        play(runner, fixed, 1)
    assert state(row) == "up"
    site.answer = lambda _: Said(500)
    play(runners["east"], fixed, 1)
    assert state(row) == "failing" and not Alert.objects.exists()
    play(runners["west"], fixed, 1)
    assert state(row) == "down" and "2 of 3" in row.said


def test_two_engines_never_try_the_same_round(world: World, site: Web, fixed: FixedClock) -> None:
    for number in range(20):
        declared(world, site.url, f"p{number}")
    one, other = Runner("home", nothing), Runner("home", nothing)
    now = fixed.advance(1)
    one._send_out(now)
    other._send_out(now)
    assert one.run(now, 20) + other.run(now, 20) == 20 and len(site.asked) == 20


def test_a_lease_that_was_lost_changes_nothing(world: World, site: Web, fixed: FixedClock) -> None:
    row = declared(world, site.url)
    place = ProbeLocation.objects.select_related("probe").get()
    place.fence += 1
    ProbeLocation.objects.update(fence=place.fence, held_until=AT + timedelta(minutes=1))
    late = place
    ProbeLocation.objects.update(fence=place.fence + 1)  # taken over meanwhile
    assert settle(late, failed("status", "500"), AT, AT) is None
    assert not ProbeResult.objects.exists() and state(row) == "new"


def test_what_was_altered_meanwhile_is_not_judged_by_an_old_try(world: World, site: Web, fixed: FixedClock) -> None:
    declared(world, site.url)
    runner = Runner("home", nothing)
    runner._send_out(fixed.advance(1))
    declared(world, site.url, severity="P1")
    assert runner.run(fixed.now(), 0.5) <= 1
    assert ProbeResult.objects.count() <= 1 and Probe.objects.get().revision == 2


def test_a_process_that_dies_leaves_its_round_to_others(world: World, site: Web, fixed: FixedClock) -> None:
    row = declared(world, site.url)
    Runner("home", nothing)._send_out(fixed.advance(1))  # and it is gone
    other = Runner("home", nothing)
    assert other.run(fixed.advance(61)) == 0
    play(other, fixed, 3)
    assert state(row) == "up"


def test_a_runner_that_cannot_try_is_no_failure_and_says_so_after_a_while(
    world: World, site: Web, fixed: FixedClock, store: stores.Store
) -> None:
    values = Values("http", {"url": site.url, "bearer": "env:GONE_FROM_HERE"}, retries=0)
    row = put_probe(world.person(Role.ADMIN, None), world.system, "front", values)
    runner = Runner("home", nothing)
    play(runner, fixed, 4)
    assert state(row) == "new" and not Alert.objects.exists()
    play(runner, fixed, 3)
    assert state(row) == "no_data" and "GONE_FROM_HERE" in row.said
    alert = Alert.objects.get()
    assert alert.severity == "P3" and "not run" in alert.name
    day = ProbeDay.objects.get()
    assert (day.ok, day.failed) == (0, 0) and day.not_run >= 5
    (record,) = records_of(world, fixed)
    assert record.over(1).share is None and record.covered == 0


def records_of(world: World, fixed: FixedClock) -> list[Any]:
    return records([world.system], fixed.now(), 3)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[stores.Store]:
    made = stores.open_store(tmp_path / "telemetry.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


def test_uptime_comes_of_rounds_and_every_round_is_a_point_of_a_metric(
    world: World, site: Web, fixed: FixedClock, store: stores.Store
) -> None:
    declared(world, site.url)
    runner = Runner("home", settling.land)
    play(runner, fixed, 3)
    site.answer = lambda _: Said(500)
    play(runner, fixed, 1)
    points = store.query(
        "select name, value, labels from points where name = 'afterlaunch_probe_success' order by at_ns"
    )
    assert [row["value"] for row in points] == [1, 1, 1, 0]
    assert dict(points[0]["labels"])["source"] == "probe"
    (record,) = records_of(world, fixed)
    found = record.over(1)
    assert found.share == 0.75 and found.formula == "3 of 4 rounds of probes were well"


def test_only_the_house_vouches_for_private_addresses_and_credentials(world: World, site: Web) -> None:
    operator = world.person(Role.OPERATOR, "acme")
    row = put_probe(operator, world.system, "mine", Values("http", {"url": "https://example.org/"}))
    assert not row.trusted
    with pytest.raises(NotAllowed):
        put_probe(operator, world.system, "mine", Values("http", {"url": "https://example.org/", "bearer": "env:X"}))
    vouched = declared(world, site.url, "theirs")
    assert vouched.trusted
    with pytest.raises(NotAllowed):
        put_probe(operator, world.system, "theirs", Values("http", {"url": "http://127.0.0.1:1/other"}))
    again = put_probe(operator, world.system, "theirs", Values("http", {"url": site.url}, severity="P1"))
    assert again.trusted and again.severity == "P1"


def test_clients_never_see_each_other(world: World, site: Web) -> None:
    row = declared(world, site.url)
    stranger = world.person(Role.ADMIN, "other")
    assert not probes_seen_by(stranger).exists()
    for deed in (actions.remove_probe, actions.pause_probe, actions.resume_probe, actions.run_now):
        with pytest.raises(NotAllowed):
            deed(stranger, row)
    with pytest.raises(Invalid):  # a parent must be of the same client
        declared(world, site.url, "x", parents=["nowhere"])


def test_results_are_bounded_and_counts_are_kept(
    world: World, fixed: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "KEPT_RESULTS", 10)
    row = declared(world, "http://127.0.0.1:1/")
    place = ProbeLocation.objects.select_related("probe").get()
    for number in range(50):
        at = AT + timedelta(minutes=number)
        ProbeLocation.objects.update(held_until=at)
        settle(place, Outcome(Result.OK, milliseconds=5.0) if number % 5 else not_run("credential", "x"), at, at)
    tidy(AT + timedelta(hours=1))
    assert ProbeResult.objects.count() == 10
    assert (ProbeHour.objects.get().ok, ProbeHour.objects.get().not_run) == (40, 10)
    tidy(AT + timedelta(days=30))
    assert not ProbeHour.objects.exists() and ProbeDay.objects.get().ok == 40 and state(row) == "up"


def test_a_golden_prompt_stops_at_its_cap_and_that_is_no_trouble(world: World, fixed: FixedClock) -> None:
    usage = {"prompt_tokens": 100_000, "completion_tokens": 1_000}
    told = {"model": "gpt-4o", "choices": [{"message": {"content": "Paris"}}], "usage": usage}
    body = orjson.dumps(told)
    with web(lambda _: Said(body=body)) as site:
        config = {"url": site.url, "model": "gpt-4o", "prompt": "The capital of France?",
                  "assertions": [{"kind": "contains", "text": "Paris"}]}  # fmt: skip
        values = Values("golden", config, interval=60, retries=0, cap_usd=Decimal("0.5"))
        row = put_probe(world.person(Role.ADMIN, None), world.system, "capital", values)
        runner = Runner("home", nothing)
        play(runner, fixed, 5)
        assert len(site.asked) == 2  # 0.26 USD each
        play(runner, fixed, 8)
        assert state(row) == "no_data" and row.reason == "cap" and not Alert.objects.exists()
        fixed.set(AT.replace(hour=0) + timedelta(days=1, minutes=2))
        play(runner, fixed, 2)
        assert len(site.asked) == 4 and state(row) == "up"
