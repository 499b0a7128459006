from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.simulation.faults import FAULTS

pytestmark = pytest.mark.process
SOURCE = str(Path(__file__).resolve().parents[3])


def simulate(*flags: str, report: Path | None = None) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "afterlaunch", "simulate", "--json", *flags]
    command += ["--report", str(report)] if report else []
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


def broken(told: dict[str, Any]) -> set[str]:
    return {one["name"] for one in told["checks"] if not one["holds"]}


def test_nothing_is_lost_over_kills_and_the_same_seed_tells_the_same(tmp_path: Path) -> None:
    flags = ("--days", "1", "--alerts", "40", "--kills", "25", "--seed", "4")
    code, told = simulate(*flags, report=tmp_path / "first.md")
    assert (code, broken(told), told["pages_lost"]) == (0, set(), 0), told["checks"]
    assert told["pages"] > 10 and told["played"]["kills"] == 25
    assert all(one["looked_at"] > 0 for one in told["checks"])
    simulate(*flags, report=tmp_path / "second.md")
    assert (tmp_path / "first.md").read_text() == (tmp_path / "second.md").read_text()


@pytest.mark.parametrize(
    ("days", "faults"),
    [
        ("1", ("forget-leased-pages", "shift-clocks", "rewrite-timeline")),
        ("1", ("swallow-alerts", "send-again", "rewrite-evidence")),
        ("2", ("skip-escalations", "miss-breaches", "break-a-duty")),  # a deadline is missed on the second day
        ("1", ("page-somebody-else", "believe-previews")),
    ],
    ids=("pages", "alerts", "duties", "people"),
)
def test_what_is_broken_on_purpose_is_found_and_named(days: str, faults: tuple[str, ...]) -> None:
    code, told = simulate(
        *("--days", days, "--alerts", "30", "--kills", "12", "--seed", "7", "--faults", ",".join(faults))
    )
    assert code == 1 and not told["holds"]
    assert {FAULTS[one][0] for one in faults} <= broken(told)


def test_every_check_has_a_fault_that_breaks_it() -> None:
    from afterlaunch.simulation.checks import CHECKS

    assert len(CHECKS) == len({check for check, _ in FAULTS.values()})
