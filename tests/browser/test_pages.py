"""Every page in a real browser, wide and narrow, light and dark: no error, nothing refused, nothing too wide.

The server has its own process and data folder, so this file drives `shots.py` as a person would.
`AFTERLAUNCH_SHOTS` names a folder in which the pictures stay.
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
def test_every_page_stands_in_a_real_browser(data: Path) -> None:
    folder = os.environ.get("AFTERLAUNCH_SHOTS", "")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/browser/shots.py"), folder],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "AFTERLAUNCH_BROWSER_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
