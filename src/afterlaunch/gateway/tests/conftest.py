from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afterlaunch.gateway.tests.house import House, house


@pytest.fixture
def gateway_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    with house(tmp_path) as made:
        yield made
