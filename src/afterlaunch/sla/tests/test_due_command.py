from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import afterlaunch
from afterlaunch.cli.main import app

OFFICE = {
    "zone": "Europe/Berlin",
    "windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "18:00"}],
    "country": "DE",
}
HOURS = {"kind": "duration", "in_hours": "8h", "off_hours": "8h", "counting": "elapsed"}
ASKED: dict[str, Any] = {
    "calendar": OFFICE,
    "tier": "standard",
    "severity": "P1",
    "opened": "2026-06-09T07:55:00+02:00",
}


def ask(question: Any) -> tuple[int, Any, str]:
    text = question if isinstance(question, str) else json.dumps(question)
    result = CliRunner().invoke(app, ["sla", "due"], input=text)
    return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr


def test_the_answer_has_due_times_candidates_and_steps() -> None:
    code, answer, _ = ask(ASKED)
    response = answer["due"]["response"]
    assert code == 0 and response["due"] == "2026-06-09T08:30:00+02:00"
    assert response["candidates"]["off_hours"] == "2026-06-09T09:55:00+02:00"
    assert response["steps"][-1]["at"] == response["due"] and not response["pausable"]
    assert answer["calendar"]["holidays_package"] and answer["policy"] == "shipped-1"


def test_a_time_without_a_zone_is_on_the_calendars_wall_clock() -> None:
    assert ask({**ASKED, "opened": "2026-06-09T07:55"})[1]["due"] == ask(ASKED)[1]["due"]


def test_pauses_move_updates_and_resolutions_but_no_first_response() -> None:
    days = {"kind": "business_days", "days": 1, "counting": "business"}
    policy = {
        "response": {**dict.fromkeys(("P2", "P3"), days), "P1": {**HOURS, "in_hours": "30m", "off_hours": "2h"}},
        "resolution": {"P1": {**HOURS, "counting": "business"}},
    }
    asked = {name: value for name, value in ASKED.items() if name != "tier"} | {"policy": policy}
    pauses = [{"from": "2026-06-09T10:00", "to": "2026-06-09T12:00", "reason": "vendor"}]
    plain, moved = ask(asked)[1]["due"], ask({**asked, "pauses": pauses})[1]["due"]
    assert moved["response"]["due"] == plain["response"]["due"]
    assert "can't be paused" in " ".join(step["text"] for step in moved["response"]["steps"])
    assert (plain["resolution"]["due"], moved["resolution"]["due"]) == (
        "2026-06-09T16:00:00+02:00",
        "2026-06-09T18:00:00+02:00",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"severity": "P4"}, "'P4' is no severity"),
        ({"tier": "gold"}, "'gold' is no tier"),
        ({"opened": "yesterday"}, "no time"),
        ({"opened": 17}, "no time"),
        ({"calendar": {**OFFICE, "zone": "Mars"}}, "no IANA time zone"),
        ({"calendar": {"zone": "UTC", "windows": []}}, "no open second"),
        ({"calendar": {**OFFICE, "country": "XX"}}, "No holidays are known"),
        ({"pauses": [{"from": "2026-06-09T12:00", "to": "2026-06-09T10:00"}]}, "ends before it began"),
        ({"pauses": [{"from": "2026-06-09T12:00", "to": "2026-06-09T13:00", "reason": "lunch"}]}, "no reason"),
        ({"policy": {}}, "a tier, or a policy"),
        ({"color": "red"}, "has no color"),
    ],
)
def test_a_wrong_question_ends_with_2_and_says_what_is_wrong(change: dict[str, Any], said: str) -> None:
    code, answer, message = ask({**ASKED, **change})
    assert (code, answer) == (2, None) and said in " ".join(message.split())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"P1"'])
def test_what_is_no_question_ends_with_2(text: str) -> None:
    assert ask(text)[0] == 2


def test_a_missing_file_ends_with_2() -> None:
    result = CliRunner().invoke(app, ["sla", "due", "/nowhere/question.json"])
    assert result.exit_code == 2 and "can't be read" in result.stderr


def test_it_works_without_any_server_or_framework(tmp_path: Path) -> None:
    file = tmp_path / "question.json"
    file.write_text(json.dumps(ASKED))
    program = (
        "import sys; from afterlaunch.cli.main import app\n"
        f"try: app(['sla', 'due', {str(file)!r}])\n"
        "except SystemExit: pass\n"
        "print('django' in sys.modules, file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(afterlaunch.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=env, check=True
    )
    assert json.loads(done.stdout)["due"]["response"]["due"] == "2026-06-09T08:30:00+02:00"
    assert done.stderr.strip().endswith("False")
