from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection


@pytest.fixture
def data(tmp_path: Path, db: None) -> Path:
    """A data folder whose database has its tables already: the one that pytest has made for this worker, copied. Ids
    begin at 1 in it, whatever other tests have made and taken back."""
    folder = tmp_path / "data"
    folder.mkdir()
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        file = folder / "control.sqlite3"
        file.write_bytes(connection.connection.serialize())
        with closing(sqlite3.connect(file)) as copy:
            copy.execute("delete from sqlite_sequence")
            copy.commit()
    return folder
