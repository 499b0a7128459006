from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recipes.house import House
from tests.recipes.pages import ENVIRONMENTS


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if not ENVIRONMENTS.exists():
        pytest.skip(f"{ENVIRONMENTS} is missing: `make recipes` installs the libraries of the recipes")
    made = House(tmp_path_factory.mktemp("house"))
    try:
        yield made
    finally:
        made.stop()
