from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from afterlaunch.engine.models import DutyState
from afterlaunch.engine.sqlite.base import converted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def only_on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("of the backend for SQLite")


def savepoints(queries: CaptureQueriesContext) -> set[str]:
    return {one["sql"] for one in queries.captured_queries if one["sql"].startswith("SAVEPOINT")}


def test_savepoints_are_named_alike_in_each_transaction_and_apart_within_one() -> None:
    told: list[str] = []

    def some() -> set[str]:
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            with transaction.atomic():
                DutyState.objects.create(name=f"kept {len(told)}")
                transaction.on_commit(lambda: told.append("kept"))
            with pytest.raises(ValueError, match="no"), transaction.atomic():
                DutyState.objects.create(name="dropped")
                transaction.on_commit(lambda: told.append("dropped"))
                raise ValueError("no")
        return savepoints(queries)

    first = some()
    assert len(first) == 2 and some() == first
    assert told == ["kept", "kept"]
    assert not DutyState.objects.filter(name="dropped").exists()


def test_marks_of_values_are_the_drivers_and_signs_of_percent_stay() -> None:
    assert converted("select %s where a like '%%x' and b = %s") == "select ? where a like '%x' and b = ?"
    with connection.cursor() as cursor:
        cursor.execute("select %(a)s || %(b)s", {"a": "x", "b": "%"})
        assert cursor.fetchone() == ("x%",)
        cursor.execute("select '%s'")
        assert cursor.fetchone() == ("%s",)
