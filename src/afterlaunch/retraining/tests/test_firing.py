"""What fires, what does not, and why: each occasion at most once."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from afterlaunch.changes.actions import approve as approve_change
from afterlaunch.changes.duties import note_versions
from afterlaunch.changes.models import Change
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError, NotAllowed
from afterlaunch.labels.models import Batch, Place
from afterlaunch.retraining import actions, deciding
from afterlaunch.retraining.models import Policy, Run
from afterlaunch.retraining.tests.conftest import House

PIPELINE = {"kind": "webhook", "url": "https://ci.example.org/train", "secret": "env:HOOK"}
WORSE = [{"name": "worse", "when": [{"judge": "drift.input"}]}]


def decided(house: House) -> list[tuple[str, str]]:
    deciding.decide_all(clock.now())
    return list(Run.objects.order_by("pk").values_list("state", "reason"))


def ran(run: Run, state: str = "succeeded") -> None:
    Run.objects.filter(pk=run.pk).update(state=state, started_at=clock.now(), ended_at=clock.now(), due_at=None)


def labels(house: House, rows: int) -> None:
    place, _ = Place.objects.get_or_create(system=house.system, environment="prod")
    key = hashlib.sha256(str(clock.now()).encode()).hexdigest()
    Batch.objects.create(
        place=place, key=key, digest=key, rows=rows, columns=b"", received_at=clock.now(), received_from="x"
    )


def test_a_breach_fires_once_however_long_it_lasts(house: House) -> None:
    house.put(PIPELINE, triggers=WORSE, cooldownHours=1)
    assert decided(house) == []
    house.verdict("drift.input")
    assert decided(house) == [("queued", "fires")]
    ran(Run.objects.get())
    house.pass_time(hours=5)
    assert len(decided(house)) == 1
    house.verdict("drift.input", "ok")
    house.pass_time(hours=1)
    house.verdict("drift.input")  # a new breach
    assert len(decided(house)) == 2


def test_cool_down_holds_until_it_is_over_or_the_occasion_is(house: House) -> None:
    house.put(PIPELINE, triggers=WORSE, cooldownHours=24)
    house.verdict("drift.input")
    decided(house)
    ran(Run.objects.get())
    house.pass_time(hours=2)
    house.verdict("drift.input")
    assert decided(house)[1] == ("held", "cool_down")
    assert "the next may be at 2026-03-04 12:00" in Run.objects.latest("pk").reason_why
    house.pass_time(hours=23)
    assert decided(house)[1] == ("queued", "fires")
    ran(Run.objects.latest("pk"))
    house.pass_time(hours=1)
    house.verdict("drift.input")
    assert decided(house)[2] == ("held", "cool_down")
    house.verdict("drift.input", "ok")
    assert decided(house)[2] == ("lapsed", "cool_down")


def test_all_conditions_must_hold_and_labels_count_from_the_last_run(house: House) -> None:
    house.put(PIPELINE, triggers=[{"name": "worse", "when": [{"judge": "performance.accuracy"}, {"labels": 2000}]}])
    house.verdict("performance.accuracy")
    assert decided(house) == []
    house.pass_time(minutes=1)
    labels(house, 1_999)
    assert decided(house) == []
    house.pass_time(minutes=1)
    labels(house, 1)
    assert decided(house) == [("queued", "fires")]
    ran(Run.objects.get())
    house.pass_time(days=2)
    assert len(decided(house)) == 1
    labels(house, 2_000)
    assert decided(house)[1] == ("queued", "fires")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"budget": {"runsPerMonth": 1}}, "budget_runs"),
        ({"budget": {"runsPerMonth": 9, "costPerRun": "12.50", "costPerMonth": "20"}}, "budget_money"),
        ({"paused": True}, "paused"),
    ],
)
def test_a_budget_binds_persons_too_and_begins_anew_with_the_month(house: House, spec: Any, reason: str) -> None:
    policy = house.put(PIPELINE, cooldownHours=0, **({} if "paused" in spec else spec))
    ran(deciding.ask_for(house.actor(), policy, ""))
    policy = house.put(PIPELINE, cooldownHours=0, **spec)
    house.pass_time(minutes=1)
    run = deciding.ask_for(house.actor(), policy, "")
    assert (run.state, run.reason) == ("lapsed", reason)
    if "budget" in spec:
        house.clock.set(clock.now().replace(month=4))
        assert deciding.ask_for(house.actor(), policy, "").state == "queued"


def test_unfit_data_and_a_run_under_way_hold(house: House) -> None:
    policy = house.put(PIPELINE, triggers=WORSE)
    house.verdict("drift.input")
    house.verdict("data.quality")
    assert decided(house) == [("held", "unfit_data")]
    house.verdict("data.quality", "ok")
    assert decided(house) == [("queued", "fires")]
    assert deciding.ask_for(house.actor(), policy, "").reason == "in_flight"


def test_a_schedule_fires_once_an_instant_and_makes_up_for_nothing(house: House) -> None:
    house.put(
        PIPELINE, schedule={"cron": "0 3 * * *", "zone": "Europe/Berlin"}, cooldownHours=0, budget={"runsPerMonth": 99}
    )
    assert decided(house) == []
    house.pass_time(days=3)  # nobody looked for three days
    assert decided(house) == [("queued", "fires")]
    assert Run.objects.get().occasion == "schedule:2026-03-06T02:00:00+00:00"
    assert len(decided(house)) == 1


def test_in_governed_production_another_person_approves(house: House) -> None:
    house.system.posture = "governed"
    house.system.save()
    policy = house.put(PIPELINE, triggers=WORSE)
    run = deciding.ask_for(house.actor(number=1), policy, "")
    assert (run.state, run.reason) == ("waiting", "needs_approval")
    with pytest.raises(NotAllowed):
        actions.approve(house.actor(number=1), run)
    with pytest.raises(NotAllowed):
        actions.approve(house.actor("viewer", number=2), run)
    assert actions.approve(house.actor(number=2), run).state == "queued"
    ran(run)
    house.pass_time(days=2)
    house.verdict("drift.input")
    assert decided(house)[1] == ("waiting", "needs_approval")
    assert actions.decline(house.actor(number=1), Run.objects.latest("pk")).state == "declined"
    assert len(decided(house)) == 2


def test_the_same_key_is_the_same_run(house: House) -> None:
    policy = house.put(PIPELINE)
    first = deciding.ask_for(house.actor(), policy, "", "k1")
    assert deciding.ask_for(house.actor(), policy, "", "k1").pk == first.pk


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"pipeline": {"kind": "ftp"}}, "spec.pipeline.kind"),
        ({"pipeline": PIPELINE | {"secret": "hunter2"}}, "never the secret"),
        ({"pipeline": PIPELINE | {"url": "ftp://x"}}, "web address"),
        ({"pipeline": PIPELINE, "schedule": {"cron": "every day"}}, "cron"),
        ({"pipeline": PIPELINE, "triggers": [{"name": "x", "when": []}]}, "when is empty"),
        ({"pipeline": PIPELINE, "triggers": [{"name": "x", "when": [{"labels": 1, "judge": "y"}]}]}, "one of judge"),
        ({"pipeline": PIPELINE, "budget": {"costPerMonth": "5"}}, "costPerRun"),
        ({"pipeline": PIPELINE, "cooldown": 3}, "no cooldown"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named(house: House, spec: Any, why: str) -> None:
    with pytest.raises(AfterlaunchError) as caught:
        actions.put_policy(house.actor("admin", None), house.system, "scorer", spec)
    assert why in f"{caught.value.message} {caught.value.hint}"


def test_secrets_and_commands_take_an_administrator_of_the_house(house: House) -> None:
    for pipeline in (PIPELINE, {"kind": "command", "argv": ["true"]}):
        with pytest.raises(NotAllowed):
            actions.put_policy(house.actor("admin"), house.system, "scorer", {"pipeline": pipeline})
    policy = house.put(PIPELINE)
    altered = actions.put_policy(house.actor(), house.system, "scorer", policy.spec | {"cooldownHours": 3})
    assert altered.values.cooldown == 3 and altered.trusted


def test_a_version_that_goes_live_completes_its_change_and_what_was_live_is_told(house: House) -> None:
    policy = house.put(PIPELINE)
    run = deciding.ask_for(house.actor(), policy, "")
    note_versions(clock.now())
    actions.told(run, "succeeded", "", "", "", {"version": "v2", "data": {"orders": "sha256:1"}})
    change = Change.objects.get(state="proposed")
    approve_change(house.actor(number=2), change)
    house.pass_time(hours=2)
    note_sightings([Sighting("acme", "shop", "prod", frozenset({("model", "scorer", "v2")}))], clock.now())
    note_versions(clock.now())
    change.refresh_from_db()
    assert change.state == "complete" and Change.objects.count() == 2
    browser, path = house.browser(), f"/api/v1/systems/{house.system.pk}/live"
    now = browser.get(path, {"at": clock.now().isoformat()}).json()["parts"]
    assert [(one["version"], one["registration"]["lineage"]) for one in now[0]["versions"]] == [
        ("v2", {"data": {"orders": "sha256:1"}, "code": {"pipeline": {"kind": "webhook"}}})
    ]
    then = browser.get(path, {"at": (clock.now() - timedelta(hours=2)).isoformat()}).json()["parts"]
    assert [one["version"] for one in then[0]["versions"]] == ["v1"]
    assert browser.get(path, {"at": "2026-01-01T00:00:00Z"}).json()["parts"] == []


def test_the_page_says_what_to_do_and_why_something_did_not_fire(house: House) -> None:
    browser, path = house.browser(), f"/systems/{house.system.pk}/retraining"
    assert "No retraining policy yet" in browser.get(path).content.decode()
    wrong = browser.post(path, {"name": "scorer", "spec": "pipeline: {kind: ftp}"})
    assert wrong.status_code == 400 and "spec.pipeline.kind" in wrong.content.decode()
    house.put(PIPELINE, triggers=WORSE, paused=True)
    house.verdict("drift.input")
    decided(house)
    page = browser.get(path).content.decode()
    assert "The policy is paused." in page and "drift.input said so." in page
    assert browser.post(f"{path}/scorer/runs", {"why": "now"}).status_code == 302
    assert house.browser("viewer").post(f"{path}/scorer/runs").status_code == 403
    assert house.browser("operator of other").get(path).status_code == 404
    assert Policy.objects.count() == 1
