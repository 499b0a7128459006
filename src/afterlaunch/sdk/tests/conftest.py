"""An application in a process of its own, and a receiver that keeps what it was sent."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afterlaunch.sdk.tests.received import Received, receiving

SOURCE = Path(__file__).resolve().parents[3]


@pytest.fixture
def receiver() -> Iterator[Received]:
    with receiving() as made:
        yield made


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs an application's code; settings as named arguments. Nothing of ours is inherited from the environment."""

    def run(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("AFTERLAUNCH_", "OTEL_"))}
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
        where = {"PYTHONPATH": str(SOURCE), **settings}
        return subprocess.run(command, env={**plain, **where}, capture_output=True, text=True, timeout=60)

    return run
