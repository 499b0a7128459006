"""Slices of inputs, the whole way: counted as rows come, added up, told where a feature drifts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from afterlaunch.accounts.models import Grant, User
from afterlaunch.estate.models import System
from afterlaunch.predictions import duties, slicing, standing
from afterlaunch.predictions.actions import cut_of, layouts_of
from afterlaunch.predictions.bodies import read
from afterlaunch.predictions.models import Hour, Part, Reference
from afterlaunch.predictions.tests.conftest import AT, House, lines
from afterlaunch.predictions.tests.test_judging import look


def rows(hour: int, count: int = 1_200, shift: float = 0.0, seed: int | None = None) -> list[Any]:
    """Rows of the region south move."""
    random = np.random.default_rng(hour + 10 if seed is None else seed)
    region = random.choice(["north", "south", "west"], count, p=[0.5, 0.3, 0.2])
    age = random.normal(40, 10, count) + 10 * shift * (region == "south")
    start = AT + timedelta(hours=hour)
    return [
        {
            "prediction_id": f"{hour}-{seed}-{at}",
            "time": (start + timedelta(seconds=3_600 * at / count)).isoformat(),
            "model_version": "v1",
            "age": float(age[at]),
            "weight": float(random.normal()),
            "region": str(region[at]),
            "name": f"n{int(random.integers(500))}",
        }
        for at in range(count)
    ]


def send(house: House, hour: int, **kind: Any) -> None:
    house.clock.set(max(house.clock.now(), AT + timedelta(hours=hour + 1)))
    assert house.post("predictions", lines(rows(hour, **kind)), who="ingest").status == 200


@pytest.fixture
def known(house: House) -> House:
    told = [{key: row[key] for key in ("age", "weight", "region", "name")} for row in rows(0, 6_000, seed=77)]
    assert house.post("references", lines(told)).status == 200
    return house


def test_the_slice_that_drifted_is_named_on_page_and_api(known: House, client: Any) -> None:
    for hour in range(2):
        send(known, hour)
        calm = look(known, hour)
        assert calm.status == "ok", calm.explanation
    for hour in range(2, 7):
        send(known, hour, shift=0.8)
        found = look(known, hour)
        if found.status == "breach":
            break
    assert found.status == "breach" and "region = south explains" in found.explanation
    reference = Reference.objects.get()
    assert reference.slice_columns == ["region"]
    told = standing.slices_of(reference, "v1", AT + timedelta(hours=hour), "age")
    assert (told.found[0].name, told.found[0].verdict) == ("region = south", "moved_inside")
    assert told.against == "the reference" and told.hours >= 1
    assert told.found[0].explains > 0.8 and {one.verdict for one in told.found[1:] if one.n_now} == {"no_change_found"}
    assert "does not drift" in standing.slices_of(reference, "v1", AT + timedelta(hours=hour), "weight").why
    person = User.objects.create_user("s@example.org", "S", password="long enough 1")
    Grant.objects.create(user=person, role="viewer")
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    system = System.objects.get()
    page = client.get(f"/systems/{system.pk}/drift?feature=age").content.decode()
    assert "Which rows drifted" in page and "region = south" in page
    assert "Which rows drifted" not in client.get(f"/systems/{system.pk}/drift?feature=weight").content.decode()
    document = client.get(f"/api/v1/systems/{system.pk}/drift").json()["environments"][0]
    first = document["slices"][0]
    assert (first["feature"], first["slices"][0]["value"]) == ("age", "south")


def test_counts_of_parts_add_up_to_those_of_all_rows(known: House) -> None:
    send(known, 0)
    send(known, 0, seed=5, count=700)
    look(known, 0)
    reference = Reference.objects.get()
    by = cut_of(reference.pk, reference.digest)
    assert by is not None
    hour = Hour.objects.get()
    whole = read(lines(rows(0) + rows(0, 700, seed=5)), "application/jsonl")
    counts = slicing.counting(by, layouts_of(reference.pk, reference.digest), whole)(np.arange(whole.count))
    assert (slicing.unpack(bytes(hour.slices or b""), by) == counts).all()
    assert counts.sum() == 1_900 * len(by.features)
    duties.forget(AT + timedelta(days=5))
    assert not Part.objects.exists()
    send(known, 0, seed=6, count=100)
    duties.judge(AT + timedelta(days=5))
    hour.refresh_from_db()
    assert slicing.unpack(bytes(hour.slices or b""), by).sum() == 2_000 * len(by.features)
    duties.forget(AT + timedelta(days=97))
    assert Hour.objects.get().slices is None


def test_what_was_received_before_slices_is_not_assessed(known: House) -> None:
    send(known, 0, shift=3.0)
    Part.objects.update(slices=None)
    look(known, 0)
    told = standing.slices_of(Reference.objects.get(), "v1", AT, "age")
    assert not told.found and "before slices were counted" in told.why


def test_a_reference_without_slice_columns_says_so(house: House) -> None:
    house.post("references", lines([{"age": row["age"]} for row in rows(0, 500)]))
    reference = Reference.objects.get()
    assert reference.slice_columns == [] and reference.slices is None
    assert "no other column of 2 to 20 values" in standing.slices_of(reference, "v1", AT, "age").why


def test_a_period_keeps_its_slices(known: House) -> None:
    for hour in range(2):
        send(known, hour)
        look(known, hour)
    period = {"from": AT.isoformat(), "to": (AT + timedelta(hours=2)).isoformat()}
    assert known.post("references", orjson.dumps(period), "application/json").status == 200
    made = Reference.objects.get(version=2)
    by = cut_of(made.pk, made.digest)
    assert by is not None and slicing.unpack(bytes(made.slices or b""), by).sum() == 2_400 * len(by.features)
