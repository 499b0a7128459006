"""Contracts are written by those who may, every version is kept, and what is wrong is named with its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from afterlaunch.datasets import views
from afterlaunch.datasets.models import Dataset, Version
from afterlaunch.datasets.tests.conftest import CONTRACT, House, table
from afterlaunch.evidence.models import Entry


def address(house: House) -> str:
    return f"/systems/{house.system.pk}/data"


def test_the_page_says_what_to_do_and_keeps_every_version(house: House) -> None:
    browser = house.browser()
    empty = browser.get(address(house))
    assert "No data contract yet" in empty.content.decode() and "data infer" in empty.content.decode()
    assert browser.post(address(house), {"contract": CONTRACT}).status_code == 302
    browser.post(address(house), {"contract": CONTRACT})  # says the same: no new version
    browser.post(address(house), {"contract": CONTRACT.replace("[CA, OR]", "[CA]")})
    versions = list(Version.objects.all())
    assert [(one.number, one.breaking) for one in versions] == [(2, True), (1, False)]
    assert Entry.objects.filter(deed="data_contract.put").count() == 2
    house.send(table(bad=30))
    page = browser.get(address(house), {"dataset": "orders"}).content.decode()
    assert "85.0" in page and "breaks readers" in page.lower() and "team-shop" in page
    assert "[CA, OR]" in browser.get(address(house), {"dataset": "orders", "version": "1"}).content.decode()
    assert browser.get(address(house), {"dataset": "orders", "version": "9"}).status_code == 404


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("type: integer", "type: int", "Line 6: spec.columns[0] (id)"),
        ("values: [CA, OR]", "valves: [CA, OR]", "Line 7: spec.columns[1]"),
        ("most: 3h", "most: soon", "Line 9: spec.freshness.most"),
        ("owner: team-shop, ", "", "Line 3: metadata.owner is missing"),
        ("every: 1h", "every: -1h", "Line 10: spec.delivery.every"),
        ("kind: DataContract", "kind: [", "(line "),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_nothing_is_lost(house: House, old: str, new: str, line: str) -> None:
    answer = house.browser().post(address(house), {"contract": CONTRACT.replace(old, new)})
    page = answer.content.decode()
    assert answer.status_code == 400 and line in page and new in page.replace("&#x27;", "'")
    assert not Dataset.objects.exists()


def test_a_pipeline_asks_whether_a_change_breaks_readers(house: House) -> None:
    house.put()
    asked = {"contract": CONTRACT.replace("type: integer", "type: number"), "dry_run": True}
    path = f"/api/v1/systems/{house.system.pk}/datasets"
    told = house.browser().post(path, asked, "application/json").json()
    assert told["breaking"] and told["differences"][0]["kind"] == "type_changed"
    assert Version.objects.count() == 1
    assert house.browser("viewer").post(path, asked, "application/json").status_code == 403
    assert house.browser("operator of other").post(path, asked, "application/json").status_code == 404


def test_an_ended_dataset_is_not_judged_and_begins_again_with_its_contract(house: House) -> None:
    house.put()
    path = f"/api/v1/systems/{house.system.pk}/datasets/orders/end"
    assert house.browser("viewer").post(path).status_code == 403
    assert house.browser().post(path).status_code == 200
    assert house.send(table()).status == 409
    house.put()
    assert house.send(table()).status == 200


def test_many_datasets_are_listed_by_as_many_questions_as_one(
    house: House, django_assert_num_queries: Callable[..., Any]
) -> None:
    for name in ("orders", "refunds", "visits", "prices"):
        house.put(CONTRACT.replace("name: orders", f"name: {name}"))
        assert house.send(table(), name=name).status == 200
    with django_assert_num_queries(5):
        found = views.lines(house.system, house.clock.now())
    assert len(found) == 4 and all(one.newest for one in found)
