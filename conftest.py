"""Before Django reads its settings: tests never touch a real data folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

if "AFTERLAUNCH_TEST_DATA" not in os.environ:
    os.environ["AFTERLAUNCH_TEST_DATA"] = tempfile.mkdtemp(prefix="afterlaunch-test-")
os.environ["AFTERLAUNCH_DATA"] = os.environ["AFTERLAUNCH_TEST_DATA"]
(Path(os.environ["AFTERLAUNCH_DATA"]) / "static").mkdir(exist_ok=True)
