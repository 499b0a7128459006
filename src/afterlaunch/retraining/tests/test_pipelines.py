"""Each way to a pipeline, against a server on loopback that speaks its wire format: started once, followed to its end,
its model registered and proposed."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

import pytest

from afterlaunch.changes.models import Change
from afterlaunch.estate.models import Registration
from afterlaunch.ground import clock, settings
from afterlaunch.notify.webhook.signing import verify
from afterlaunch.retraining import deciding, duties
from afterlaunch.retraining.models import Policy, Run
from afterlaunch.retraining.tests.conftest import WHSEC, House
from afterlaunch.retraining.tests.fakes import Airflow, Asked, GitHub, GitLab, MLflow, Reply, serving

RESULT = {
    "version": "v7",
    "address": "https://models.example/v7",
    "data": {"orders": "sha256:1"},
    "code": {"commit": "c0ffee"},
    "parameters": {"lr": 0.1},
    "evaluation": {"auc": 0.91},
}


def ask(house: House, policy: Policy) -> Run:
    deciding.ask_for(house.actor(), policy, "try it")
    return house.work()


def looked_at(house: House) -> Run:
    house.pass_time(seconds=61)
    return house.work()


def test_a_webhook_is_signed_and_its_callback_tells_the_end(house: House) -> None:
    with serving(lambda asked: (202, None)) as fake:
        policy = house.put({"kind": "webhook", "url": f"{fake.url}/train", "secret": "env:HOOK"})
        run = ask(house, policy)
        (asked,) = fake.asked
    assert run.state == "running" and asked.headers["idempotency-key"] == run.key
    verify(WHSEC, asked.headers, asked.raw, int(clock.real()))
    assert asked.body["data"]["cut_off"] == run.cut_off.isoformat()
    path = "/hooks/" + asked.body["data"]["callback"].partition("/hooks/")[2]
    browser = house.browser()
    for told in ({"status": "running", "url": "https://ci.example/1"}, {"status": "succeeded", "result": RESULT}) * 1:
        assert browser.post(path, told, "application/json").status_code == 200
    assert browser.post(path, {"status": "succeeded", "result": RESULT}, "application/json").status_code == 200
    assert browser.post(path, {"status": "failed"}, "application/json").status_code == 409
    made = Registration.objects.get()
    assert (made.label, made.lineage["code"], made.component.name) == ("v7", {"commit": "c0ffee"}, "scorer")
    change = Change.objects.exclude(state="observed").get()
    assert (change.state, change.after, change.before["version"]) == (
        "proposed",
        {"model": "scorer", "version": "v7"},
        "v1",
    )


@pytest.mark.parametrize(
    "told",
    [{"status": "done"}, {"status": "succeeded", "result": {"x": 1}}, {"status": "succeeded", "result": {"version": 3}},
     {"status": "running", "url": "javascript:x"}, {"status": "succeeded", "result": {"address": "javascript:x"}}, []],
)  # fmt: skip
def test_what_a_callback_may_not_say_is_refused(house: House, told: Any) -> None:
    with serving(lambda asked: (200, None)) as fake:
        run = ask(house, house.put({"kind": "webhook", "url": fake.url, "secret": "env:HOOK"}))
        token = fake.asked[0].body["data"]["callback"].rpartition("/")[2]
    assert house.browser().post(f"/hooks/retraining/{token}", told, "application/json").status_code == 400
    assert (
        house.browser().post(f"/hooks/retraining/{token}x", {"status": "running"}, "application/json").status_code
        == 404
    )
    run.refresh_from_db()
    assert run.state == "running"


def test_github_is_dispatched_once_found_by_its_title_and_followed(house: House) -> None:
    hub = GitHub()
    with serving(hub) as fake:
        pipeline = {"kind": "github", "url": fake.url, "repository": "acme/models", "workflow": "train.yml"}
        policy = house.put(pipeline | {"ref": "main", "credential": "env:GH", "inputs": {"fast": True}})
        run = ask(house, policy)
        assert run.state == "running" and fake.of("POST")[0].body["inputs"]["fast"] == "true"
        hub.runs.insert(0, hub.runs[0] | {"id": 99, "display_title": "somebody else's"})
        run = looked_at(house)
        assert (run.external, run.address) == ("7", "https://github.example/acme/models/runs/7")
        hub.runs[1] |= {"status": "completed", "conclusion": "success"}
        run = looked_at(house)
        assert len(fake.of("POST")) == 1
    assert run.state == "succeeded" and run.registration is not None and run.change is not None
    assert run.registration.lineage["code"]["pipeline"]["repository"] == "acme/models"


def test_github_that_gives_no_answer_is_not_asked_twice(house: House) -> None:
    with serving(lambda asked: (0, None)) as fake:
        pipeline = {"kind": "github", "url": fake.url, "repository": "a/b", "workflow": "t.yml", "ref": "main"}
        run = ask(house, house.put(pipeline | {"credential": "env:GH"}))
        house.pass_time(hours=3)
        duties.work(clock.now())
        assert run.state == "failed" and len(fake.asked) == 1
    house.pass_time(hours=30)
    run = ask(house, Policy.objects.get())  # nobody listens now: it was surely not started, so it is tried again
    assert run.state == "queued" and "ConnectionRefused" in run.message


def test_an_engine_that_died_while_starting_does_not_start_twice(house: House) -> None:
    with serving(lambda asked: (204, None)) as fake:
        pipeline = {"kind": "github", "url": fake.url, "repository": "a/b", "workflow": "t.yml", "ref": "main"}
        policy = house.put(pipeline | {"credential": "env:GH"})
        deciding.ask_for(house.actor(), policy, "")
        Run.objects.update(state="starting")  # claimed, and never heard of again
        run = house.work()
        assert run.state == "failed" and "not started a second time" in run.message and not fake.asked


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_airflow_of_both_apis(house: House, version: str) -> None:
    flow, lost = Airflow(version), [True]

    def answer(asked: Asked) -> Reply:
        found = flow(asked)
        return (0, None) if lost and lost.pop() else found  # the first answer is lost, after it was taken

    with serving(answer) as fake:
        pipeline = {"kind": "airflow", "url": fake.url, "dag": "train", "api": version, "credential": "env:AF"}
        policy = house.put(pipeline | ({"user": "ada"} if version == "v1" else {}))
        assert ask(house, policy).state == "queued"
        house.pass_time(seconds=11)
        run = house.work()
        assert run.state == "running" and len(flow.runs) == 1
        (name,) = flow.runs
        flow.runs[name] = "failed"
        assert looked_at(house).state == "failed"
    assert not Registration.objects.exists()


def test_gitlab_and_the_registry_of_mlflow(house: House) -> None:
    lab, flow = GitLab(), MLflow(int(house.clock.now().timestamp() * 1000) + 5_000)
    with serving(lab) as gitlab, serving(flow) as mlflow:
        pipeline = {
            "kind": "gitlab",
            "url": gitlab.url,
            "project": "acme/models",
            "ref": "main",
            "credential": "env:GL",
        }
        policy = house.put(pipeline, registry={"kind": "mlflow", "url": mlflow.url, "model": "scorer"})
        run = ask(house, policy)
        assert (run.external, run.address) == ("31", "https://gitlab.example/p/31")
        lab.status = "success"
        run = looked_at(house)
        assert run.state == "running" and "not in the registry yet" in run.message
        flow.register()
        run = looked_at(house)
    assert run.state == "succeeded" and run.registration is not None
    assert run.registration.label == "4"
    lineage = run.registration.lineage
    assert lineage["data"] == [{"name": "orders", "digest": "d1", "source": "s3://x"}]
    assert (lineage["code"], lineage["parameters"], lineage["evaluation"]) == (
        {"commit": "c0ffee"},
        {"lr": "0.1"},
        {"auc": 0.9},
    )


def test_success_that_a_callback_tells_waits_for_the_version_of_the_registry(house: House) -> None:
    flow = MLflow(int(house.clock.now().timestamp() * 1000) + 5_000)
    with serving(lambda asked: (202, None)) as fake, serving(flow) as mlflow:
        pipeline = {"kind": "webhook", "url": fake.url, "secret": "env:HOOK"}
        run = ask(house, house.put(pipeline, registry={"kind": "mlflow", "url": mlflow.url, "model": "scorer"}))
        path = "/hooks/" + fake.asked[0].body["data"]["callback"].partition("/hooks/")[2]
        told = {"status": "succeeded", "result": {"evaluation": {"auc": 0.1}, "parameters": {}}}
        for _ in range(2):
            answer = house.browser().post(path, told, "application/json")
            assert (answer.status_code, answer.json()["state"]) == (200, "running")
        assert house.browser().post(path, {"status": "failed"}, "application/json").status_code == 409
        run = looked_at(house)
        assert run.state == "running" and "not in the registry yet" in run.message
        flow.register()
        run = looked_at(house)
    assert run.state == "succeeded" and run.registration is not None and run.registration.label == "4"
    assert run.registration.lineage["evaluation"] == {"auc": 0.9}


def test_a_pipeline_that_refuses_says_so_and_a_secret_never_shows(house: House) -> None:
    with serving(lambda asked: (422, {"message": "No ref found"})) as fake:
        pipeline = {"kind": "github", "url": fake.url, "repository": "a/b", "workflow": "t.yml", "ref": "main"}
        run = ask(house, house.put(pipeline | {"credential": "env:GH"}))
    assert run.state == "failed" and "No ref found" in run.message
    page = house.browser().get(f"/systems/{house.system.pk}/retraining").content.decode()
    assert "No ref found" in page and "gh-secret" not in page


def test_a_command_runs_only_where_the_owner_allows_it(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    told = 'import os; print("training"); print(\'{"version": "local-1"}\')'
    policy = house.put({"kind": "command", "argv": [sys.executable, "-c", told]})
    run = ask(house, policy)
    assert run.state == "failed" and "AFTERLAUNCH_RETRAINING_COMMANDS" in run.message
    monkeypatch.setenv("AFTERLAUNCH_RETRAINING_COMMANDS", "yes")
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    settings.reload()
    house.pass_time(hours=25)
    run = ask(house, policy)
    ended = tmp_path / "retraining" / run.key / "ended"
    until = time.monotonic() + 10
    while not ended.exists() and time.monotonic() < until:
        time.sleep(0.01)
    run = looked_at(house)
    assert run.state == "succeeded" and run.registration is not None and run.registration.label == "local-1"


def test_a_run_that_never_ends_has_failed(house: House) -> None:
    with serving(lambda asked: (200, None)) as fake:
        policy = house.put({"kind": "webhook", "url": fake.url, "secret": "env:HOOK"}, timeoutHours=2)
        ask(house, policy)
        house.pass_time(hours=2, minutes=1)
        run = house.work()
    assert run.state == "failed" and "No end within 2 hours" in run.message


def test_a_private_address_takes_an_administrator(house: House) -> None:
    with serving(lambda asked: (200, None)) as fake:
        policy = house.put({"kind": "webhook", "url": fake.url, "secret": "env:HOOK"})
        Policy.objects.update(trusted=False)
        run = ask(house, policy)
        assert run.state == "failed" and "private address" in run.message and not fake.asked
    assert run.ended_at == clock.now() + timedelta(0)
