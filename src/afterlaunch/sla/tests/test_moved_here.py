from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import afterlaunch


@pytest.mark.process
def test_clocks_and_calendars_of_the_first_edition_go_on_here(tmp_path: Path) -> None:
    script = Path(__file__).with_name("move_everything.py")
    env = {
        **os.environ,
        "AFTERLAUNCH_DATA": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "afterlaunch.app.django_settings",
        "PYTHONPATH": str(Path(afterlaunch.__file__).parents[1]),
    }
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "topic": "incident/1",
        "late": True,
        "target": "weekly batch, Monday 10:00",
        "calendars": [["business-hours", 1, "UTC"]],
    }
