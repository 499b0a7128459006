"""A page at night, answered from a phone: the mail, its link, the button: three taps, counted, on 390 x 844 pixels.
What previews the link acknowledges nothing.

The house is filled in a process of its own (`phone.py`), as its data folder must be set before Django starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.eyes import chromium

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.browser
@pytest.mark.process
@pytest.mark.skipif(chromium() is None, reason="chromium is not installed")
def test_an_incident_is_taken_from_a_phone_in_three_taps(tmp_path: Path, data: Path) -> None:
    folder = os.environ.get("AFTERLAUNCH_SHOTS") or str(tmp_path)
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/browser/phone.py"), folder],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "AFTERLAUNCH_BROWSER_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
