"""What goes wrong around a run: loops, strange answers, engines that die, secrets that come back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.ground import clock, settings
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.redaction import masked
from afterlaunch.retraining import actions, deciding, duties
from afterlaunch.retraining.models import Policy, Run
from afterlaunch.retraining.pipelines.words import Started
from afterlaunch.retraining.rules import worst
from afterlaunch.retraining.tests.conftest import AT, House
from afterlaunch.retraining.tests.fakes import serving
from afterlaunch.verdicts.models import Verdict

HOOK = {"kind": "webhook", "url": "https://ci.example.org/train", "secret": "env:HOOK"}
WORSE = [{"name": "worse", "when": [{"judge": "performance.accuracy"}]}]


def github(url: str) -> dict[str, Any]:
    return {
        "kind": "github", "url": url, "repository": "a/b", "workflow": "t.yml", "ref": "main", "credential": "env:GH"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("judge", "status", "reason", "held"),
    [
        ("data.contract", "breach", "column_missing", True),
        ("data.contract", "warning", "column_added", False),
        ("labels.sources", "breach", "burst", True),
        ("labels.sources", "warning", "echo", True),
        ("labels.sources", "warning", "delay", False),
        ("labels.sources", "not_assessed", "too_few_labels", False),
    ],
)
def test_a_model_does_not_learn_broken_data_or_its_own_outputs(
    house: House, judge: str, status: str, reason: str, held: bool
) -> None:
    house.put(HOOK, triggers=WORSE)
    house.verdict("performance.accuracy")
    house.verdict(judge, status)
    Verdict.objects.filter(judge=judge).update(reason=reason)
    deciding.decide_all(clock.now())
    run = Run.objects.get()
    assert (run.state, run.reason) == (("held", "unfit_data") if held else ("queued", "fires"))
    assert not held or f"{judge} said so." in run.reason_why
    Verdict.objects.filter(judge=judge).update(status="ok", reason="as_ever")
    deciding.decide_all(clock.now())
    assert Run.objects.get().state == "queued"


def test_a_breach_of_two_scopes_is_one_occasion_in_whatever_order_they_are_told() -> None:
    rows = [("drift.input", "breach", AT.replace(hour=hour), f"at {hour}", "x") for hour in (3, 1, 2)]
    assert worst(rows) == worst(rows[::-1]) and worst(rows)["drift.input"].since.hour == 1


def test_a_policy_that_cannot_be_read_holds_up_no_other(house: House) -> None:
    bad = house.put(HOOK, "bad", triggers=WORSE)
    house.put(HOOK, "good", triggers=WORSE)
    Policy.objects.filter(pk=bad.pk).update(spec={"pipeline": {"kind": "gone"}})
    house.verdict("performance.accuracy")
    with pytest.raises(Invalid):
        deciding.decide_all(clock.now())
    assert [run.policy.name for run in Run.objects.all()] == ["good"]


def test_a_pipeline_that_answers_nonsense_holds_up_no_other(house: House) -> None:
    with serving(lambda asked: (204, None) if asked.method == "POST" else (200, {"workflow_runs": [1]})) as fake:
        deciding.ask_for(house.actor(), house.put(github(fake.url), "bad"), "")
        house.work()
        house.pass_time(seconds=61)
        deciding.ask_for(house.actor(), house.put(github(fake.url), "good"), "")
        with pytest.raises(AttributeError):
            duties.work(clock.now())
        assert dict(Run.objects.values_list("policy__name", "state")) == {"bad": "running", "good": "running"}
        house.pass_time(hours=25)
        duties.work(clock.now())
    assert set(Run.objects.values_list("state", flat=True)) == {"failed"}


def test_an_answer_that_is_no_object_is_said(house: House) -> None:
    with serving(lambda asked: (200, [])) as fake:
        deciding.ask_for(house.actor(), house.put(github(fake.url)), "")
        run = house.work()
    assert run.state == "failed" and "no object" in run.message


def test_a_secret_that_an_answer_repeats_is_cut_out(house: House) -> None:
    with serving(lambda asked: (401, {"message": f"bad: {asked.headers['authorization']}"})) as fake:
        deciding.ask_for(house.actor(), house.put(github(fake.url)), "")
        run = house.work()
    assert run.state == "failed" and "bad: Bearer" in run.message and "gh-secret" not in run.message


def test_the_address_of_a_callback_is_no_line_of_a_log(house: House) -> None:
    deciding.ask_for(house.actor(), house.put(HOOK), "")
    address = actions.callback_of(Run.objects.get())
    assert address.rpartition("/")[2] not in masked(f"POST {address} 500")


@pytest.mark.parametrize("parameters", ['{"a": "x\\u0000y"}', '{"a\\u0000": 1}', "[" * 900 + "]" * 900])
def test_a_result_that_no_database_keeps_is_refused_and_may_be_told_anew(house: House, parameters: str) -> None:
    deciding.ask_for(house.actor(), house.put(HOOK), "")
    run = Run.objects.get()
    Run.objects.update(state="running", started_at=clock.now())
    path = "/hooks/" + actions.callback_of(run).partition("/hooks/")[2]
    told = f'{{"status": "succeeded", "result": {{"parameters": {parameters}}}}}'
    assert house.browser().post(path, told, "application/json").status_code == 400
    assert house.browser().post(path, {"status": "succeeded"}, "application/json").status_code == 200


def test_what_a_pipeline_calls_its_run_stays_known_where_its_callback_was_quicker(house: House) -> None:
    deciding.ask_for(house.actor(), house.put(github("https://git.example.org")), "")
    run = Run.objects.select_related("policy__system__client").get()
    Run.objects.update(state="starting")
    actions.told(run, "running", "", "", "", None)
    duties._started(run, Started("77", "https://git.example.org/77"))
    run = Run.objects.get()
    assert (run.state, run.external, run.address) == ("running", "77", "https://git.example.org/77")


@pytest.fixture
def commands(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("AFTERLAUNCH_RETRAINING_COMMANDS", "yes")
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    settings.reload()
    return tmp_path / "retraining"


def test_a_command_is_started_once_and_not_never(house: House, commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that died before it started the command leaves a folder; one that died afterwards leaves its output."""
    begun: list[Any] = []
    monkeypatch.setattr("subprocess.Popen", lambda argv, **told: begun.append(argv))
    deciding.ask_for(house.actor(), house.put({"kind": "command", "argv": ["train"]}), "")
    run = Run.objects.get()
    (commands / run.key).mkdir(parents=True)
    assert house.work().state == "running" and len(begun) == 1
    Run.objects.update(state="starting", due_at=clock.now())
    assert house.work().state == "running" and len(begun) == 1


def test_a_command_whose_last_line_is_no_result_ends_and_says_so(house: House, commands: Path) -> None:
    deciding.ask_for(house.actor(), house.put({"kind": "command", "argv": [sys.executable, "-V"]}), "")
    run = Run.objects.get()
    Run.objects.update(state="running", started_at=clock.now(), due_at=clock.now(), external=run.key)
    (commands / run.key).mkdir(parents=True)
    (commands / run.key / "output").write_text('{"level": "info"}\n')
    (commands / run.key / "ended").write_text("0")
    run = house.work()
    assert run.state == "failed" and "It succeeded" in run.message and "level" in run.message


@pytest.mark.parametrize("given", [{"why": "x\0"}, {"key": "x\0"}, {"key": "x" * 201}])
def test_a_reason_or_key_that_no_database_keeps_is_refused(house: House, given: dict[str, str]) -> None:
    policy = house.put(HOOK)
    address = f"/api/v1/systems/{house.system.pk}/retraining/{policy.name}/runs"
    assert house.browser().post(address, given, "application/json").status_code == 400
    assert not Run.objects.exists()


@pytest.mark.parametrize("conf", [{"a": "x\0"}, {"a\0": 1}, {"a": float("inf")}])
def test_what_a_pipeline_is_told_is_plain(house: House, conf: Any) -> None:
    with pytest.raises(Invalid, match="plain"):
        house.put({"kind": "airflow", "url": "https://air.example", "dag": "t", "credential": "env:AF", "conf": conf})


def test_a_policy_has_bounds(house: House) -> None:
    with pytest.raises(Invalid, match="at most 50"):
        house.put(HOOK, triggers=[{"name": str(n), "when": [{"labels": 1}]} for n in range(51)])
    with pytest.raises(Invalid, match="at most 20"):
        house.put(HOOK, triggers=[{"name": "x", "when": [{"labels": 1}] * 21}])
