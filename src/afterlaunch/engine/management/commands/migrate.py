"""Django's `migrate`, which an empty database has done in a tenth of the time.

An empty database gets its tables as the models have them now, in one transaction with the record that every migration
is applied; any other one is migrated step by step. Both lead to the same schema (`tests/test_schema.py` compares them).
A migration that would put rows into an empty database is not played: there is none, and that test would see it.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


class Command(Migrate):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        whole = not (options.get("app_label") or options.get("plan") or options.get("check_unapplied"))
        if whole and not connection.introspection.table_names():
            make_tables(connection)
        super().handle(*args, **options)


def make_tables(connection: BaseDatabaseWrapper) -> None:
    """In an empty database. All or nothing."""
    loader = MigrationLoader(connection)
    with connection.schema_editor(atomic=True) as editor:
        for model in apps.get_models():
            if model._meta.can_migrate(connection):
                editor.create_model(model)
        recorder = MigrationRecorder(connection)
        if not recorder.has_table():
            editor.create_model(recorder.Migration)
        recorder.migration_qs.bulk_create(
            [recorder.Migration(app=app, name=name) for app, name in sorted(loader.disk_migrations)]
        )
