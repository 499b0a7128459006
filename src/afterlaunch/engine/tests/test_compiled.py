"""What is asked through kept statements is what Django answers, in rows and in SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.test.utils import CaptureQueriesContext

from afterlaunch.accounts.models import Client
from afterlaunch.engine import statements
from afterlaunch.engine.models import DutyState
from afterlaunch.estate.models import Dependency, System
from afterlaunch.ground import clock
from afterlaunch.incidents.reviews.models import ActionItem

pytestmark = pytest.mark.django_db
Ask = Callable[[Any, Any, Any], Any]  # of a model's rows, a client, a system
KEPT: dict[str, Ask] = {
    "of no values": lambda rows, c, s: rows.filter(key__in=[], client=c),
    "all": lambda rows, c, s: rows.all(),
    "by number": lambda rows, c, s: rows.filter(pk=s.pk),
    "by object": lambda rows, c, s: rows.filter(client=c, key="b"),
    "across tables": lambda rows, c, s: rows.filter(client__slug=c.slug).order_by("-key"),
    "with what belongs to it": lambda rows, c, s: rows.select_related("client", "owner").filter(pk__gte=s.pk),
    "one of several": lambda rows, c, s: rows.filter(key__in=["b", "a"]).exclude(tier="standard"),
    "nothing there": lambda rows, c, s: rows.filter(owner=None, adopted_at__isnull=True),
    "an instant": lambda rows, c, s: rows.filter(adopted_at__lte=s.adopted_at),
    "either": lambda rows, c, s: rows.filter(Q(key="a") | ~Q(client=c, key="b"), tier="enterprise"),
    "some of them": lambda rows, c, s: rows.order_by("key")[1:3],
    "columns": lambda rows, c, s: rows.filter(client=c).order_by("key").values_list("key", "adopted_at"),
    "columns across tables": lambda rows, c, s: rows.order_by("pk").values_list("pk", "client__slug"),
    "a column": lambda rows, c, s: rows.values_list("pk", flat=True).filter(key="a"),
    "held": lambda rows, c, s: rows.select_for_update(of=("self",)).filter(pk=s.pk),
}
DJANGOS: dict[str, Ask] = {
    "a pattern": lambda rows, c, s: rows.filter(key__startswith="a"),
    "not of no values": lambda rows, c, s: rows.exclude(pk__in=[]),
    "the same value twice": lambda rows, c, s: rows.filter(key__in=["a", "a"]),
    "another question": lambda rows, c, s: rows.filter(client__in=Client.objects.filter(slug="one")),
    "another column": lambda rows, c, s: rows.filter(key=F("name")),
    "a count": lambda rows, c, s: rows.filter(client=c).annotate(n=Count("client")).order_by("pk"),
    "a number as text": lambda rows, c, s: rows.filter(pk=str(s.pk)),
    "a number that no column holds": lambda rows, c, s: rows.filter(pk=2**40),
    "rows as mappings": lambda rows, c, s: rows.order_by("pk").values("key"),
}


@pytest.fixture
def place() -> tuple[Client, System]:
    one, two = (Client.objects.create(slug=slug, name=slug, created_at=clock.now()) for slug in ("one", "two"))
    made = [
        System.objects.create(client=client, key=key, name=key, tier=tier, adopted_at=clock.now())
        for client, key, tier in ((one, "a", "standard"), (one, "b", "enterprise"), (two, "c", "enterprise"))
    ]
    return one, made[0]


def _plain(model: Any) -> QuerySet[Any]:
    return QuerySet(model)


def _said(asked: Callable[[], Any]) -> tuple[list[Any], list[str]]:
    with CaptureQueriesContext(connection) as seen, transaction.atomic():
        found = list(asked())
    return found, [one["sql"] for one in seen.captured_queries if one["sql"].startswith("SELECT")]


@pytest.mark.parametrize("ask", [*KEPT.values(), *DJANGOS.values()], ids=[*KEPT, *DJANGOS])
def test_rows_and_statement_are_djangos(place: tuple[Client, System], ask: Ask) -> None:
    """Asked twice, with other values the second time."""
    for client, system in (place, (Client.objects.get(slug="two"), System.objects.get(key="c"))):
        found, sql = _said(partial(ask, System.objects, client, system))
        wanted, plain = _said(partial(ask, _plain(System), client, system))
        assert found == wanted
        assert sql == plain


@pytest.mark.parametrize("name", KEPT)
def test_a_statement_is_compiled_once(place: tuple[Client, System], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _said(lambda: KEPT[name](System.objects, *place))
    monkeypatch.setattr(statements, "performed", None)
    monkeypatch.setattr("afterlaunch.engine.compiled.performed", None)
    _said(lambda: KEPT[name](System.objects, *place))


def test_objects_are_whole(place: tuple[Client, System]) -> None:
    """With what belongs to them, and no further question for it; times are instants."""
    with CaptureQueriesContext(connection) as seen:
        found = System.objects.select_related("client", "owner").get(key="a")
        assert (found.client.slug, found.owner) == ("one", None)
    assert len(seen) == 1
    assert found.adopted_at is not None and found.adopted_at.tzinfo is not None
    found.name = "Another"
    found.save()
    assert _plain(System).get(pk=found.pk).name == "Another"


def test_rows_of_an_object_know_it(place: tuple[Client, System]) -> None:
    client, _ = place
    first = client.systems.order_by("key").first()
    with CaptureQueriesContext(connection) as seen:
        assert first is not None and first.client is client
    assert len(seen) == 0


def test_one_is_got_or_the_reason_is_told(place: tuple[Client, System]) -> None:
    assert System.objects.get(key="a") == place[1]
    with pytest.raises(System.DoesNotExist):
        System.objects.get(key="nowhere")
    with pytest.raises(System.MultipleObjectsReturned):
        System.objects.get(client=place[0])
    assert System.objects.filter(key="a").exists() and not System.objects.filter(key="nowhere").exists()
    assert System.objects.order_by("-key").first() != System.objects.first()
    assert System.objects.filter(key="nowhere").first() is None


def test_a_wrong_object_is_refused_as_ever(place: tuple[Client, System]) -> None:
    """Though its number would do."""
    assert System.objects.filter(client=place[0]).exists()
    with pytest.raises(ValueError, match="Must be"):
        list(System.objects.filter(client=place[1]))  # type: ignore[misc]


def test_what_is_set_is_what_django_sets(place: tuple[Client, System]) -> None:
    DutyState.objects.bulk_create([DutyState(name="a"), DutyState(name="b", runs=2)])
    for _ in range(2):
        assert DutyState.objects.filter(name="b").update(runs=F("runs") + 3, seconds=F("seconds") + 0.5) == 1
    row = DutyState.objects.get(name="b")
    assert (row.runs, row.seconds, DutyState.objects.get(name="a").runs) == (8, 1.0, 0)
    now = clock.now()
    for value in (now, None, now + timedelta(hours=1)):
        assert DutyState.objects.filter(name__in=["a", "b"]).update(next_due=value, error="") == 2
        assert {one.next_due for one in DutyState.objects.all()} == {value}
    assert DutyState.objects.filter(name="nowhere").update(runs=F("failures")) == 0
    assert System.objects.filter(client=place[0]).update(client=Client.objects.get(slug="two")) == 2
    assert System.objects.filter(client__slug="two").update(tier="standard") == 3


def test_lists_of_any_length_are_few_statements(place: tuple[Client, System]) -> None:
    texts = set()
    for count in (9, 12, 16, 300):
        keys = [*(f"k{number}" for number in range(count - 2)), "a", "c"]
        found, sql = _said(partial(System.objects.order_by("key").filter, key__in=keys))
        assert [one.key for one in found] == ["a", "c"]
        assert [one.key for one in System.objects.exclude(key__in=keys)] == ["b"]
        texts.add(sql[-1].count(","))
    assert len(texts) == 2


def test_rows_that_are_written_together(place: tuple[Client, System]) -> None:
    rows = list(System.objects.order_by("pk"))
    for row in rows:
        row.name, row.owner = row.key.upper(), None
    assert System.objects.bulk_update(rows, ("name", "owner")) == 3
    assert [one.name for one in _plain(System).order_by("pk")] == ["A", "B", "C"]
    DutyState.objects.bulk_create([DutyState(name="a")])
    DutyState.objects.bulk_create([DutyState(name="a", runs=3)], ignore_conflicts=True)
    assert DutyState.objects.get().runs == 0


def test_lists_are_read_once_and_sets_do_not_share(place: tuple[Client, System]) -> None:
    keys = ["a"]
    rows = System.objects.filter(key__in=keys)
    keys.append("b")
    assert [one.key for one in rows] == ["a"]
    again = rows.filter(tier="enterprise")
    assert (len(rows), len(again)) == (1, 0)
    assert rows[0].key == "a" and rows.count() == 1 and (rows | System.objects.filter(key="c")).count() == 2


def test_what_it_was_asked_before_counts_where_django_goes_on(place: tuple[Client, System]) -> None:
    rows = System.objects.filter(client=place[0]).order_by("-key")
    assert [one.key for one in rows.filter(key__contains="")] == ["b", "a"]
    assert rows.aggregate(n=Count("pk")) == {"n": 2}
    assert rows.none().count() == 0 and [one["key"] for one in rows.values("key")] == ["b", "a"]
    assert {one.key for one in System.objects.filter(client__in=Client.objects.filter(slug="one"))} == {"a", "b"}
    Dependency.objects.create(system=place[1], needs=System.objects.get(key="b"), inhibits=True)
    assert rows.filter(key="b").delete()[0] == 2 and rows.get() == place[1]


def test_a_held_row_needs_a_transaction(place: tuple[Client, System]) -> None:
    with transaction.atomic():
        assert System.objects.select_for_update().get(key="a") == place[1]


def test_days_are_values_as_instants_are(place: tuple[Client, System], monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (date(2026, 3, 29), date(2026, 10, 25)):
        given = {"state": "open", "due_on__lt": day, "review__incident__system": place[1]}
        assert _said(partial(ActionItem.objects.filter, **given)) == _said(partial(_plain(ActionItem).filter, **given))
        monkeypatch.setattr(statements, "performed", None)
        monkeypatch.setattr("afterlaunch.engine.compiled.performed", None)
