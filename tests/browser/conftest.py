from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection


@pytest.fixture
def data(tmp_path: Path, db: None) -> Path:
    """A data folder whose database has every migration already: the one that pytest has made for this worker, copied.
    A server that starts from nothing spends most of a minute on them."""
    folder = tmp_path / "data"
    folder.mkdir()
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        (folder / "control.sqlite3").write_bytes(connection.connection.serialize())
    return folder
