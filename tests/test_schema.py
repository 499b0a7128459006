"""The two ways to the newest schema lead to the same one."""

from __future__ import annotations

import json
import subprocess
import sys
from os import environ
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process
TELL = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from django.core.management.commands.migrate import Command as Django
from django.db import connection
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


def told(how: str, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    values = {**environ, "AFTERLAUNCH_DATA": str(folder), "AFTERLAUNCH_DATABASE_URL": ""}
    values["DJANGO_SETTINGS_MODULE"] = "afterlaunch.app.django_settings"
    values["PYTHONPATH"] = str(Path(__file__).resolve().parents[1] / "src")
    done = subprocess.run(
        [sys.executable, "-c", TELL, how], env=values, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_empty_database_gets_what_all_migrations_lead_to(tmp_path: Path) -> None:
    steps, at_once = told("steps", tmp_path / "steps"), told("once", tmp_path / "once")
    assert steps["applied"] == at_once["applied"] and len(steps["applied"]) > 50
    assert set(steps) == set(at_once)
    for table, holds in steps.items():
        assert at_once[table] == holds, table
