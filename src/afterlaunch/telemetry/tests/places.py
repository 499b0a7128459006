"""Every test that asks for `place` runs on both engines: a DuckDB file, and ClickHouse's own engine in this process."""

from __future__ import annotations

import atexit
import importlib.util
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ENGINES = ("duckdb", "clickhouse")
Places = Callable[[], Path | str]


@cache
def chdb_folder() -> str:
    """One folder of ClickHouse's engine, of which a process can hold one; every test has databases of its own."""
    from afterlaunch.telemetry.engines.clickhouse_clients import Address, Clients

    folder = TemporaryDirectory(prefix="chdb-")
    kept_open = Clients(Address("kept_open", folder=folder.name))
    atexit.register(folder.cleanup)
    atexit.register(kept_open.close)
    return folder.name


@contextmanager
def new_places(engine: str, folder: Path) -> Iterator[Places]:
    if engine == "duckdb":
        yield lambda: folder / f"{random.random()}.duckdb"
        return
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("chdb is not installed: pip install 'afterlaunch[dev]'")
    from afterlaunch.telemetry.engines.clickhouse_clients import Address, Clients

    made: list[str] = []

    def new() -> str:
        made.append(f"t{random.getrandbits(60)}")
        return f"chdb://{chdb_folder()}?database={made[-1]}"

    yield new
    clients = Clients(Address("kept_open", folder=chdb_folder()))
    with clients.client() as client:
        for name in made:
            client.command(f"drop database if exists {name}")
    clients.close()


@pytest.fixture(params=ENGINES)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """Where a new, empty store may be; another one at every call."""
    with new_places(request.param, tmp_path) as places:
        yield places


@pytest.fixture
def place(places: Places) -> Path | str:
    """Where a new, empty store may be; the same throughout the test."""
    return places()


@pytest.fixture(scope="module", params=ENGINES)
def module_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | str]:
    """One store for all tests of a file, which only ask it."""
    with new_places(request.param, tmp_path_factory.mktemp("store")) as places:
        yield places()
