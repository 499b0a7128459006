"""Deliveries are taken once, checked by the contract in force, and judged; what was not delivered is judged too."""

from __future__ import annotations

import io
from datetime import timedelta
from random import Random
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from afterlaunch.alerts.actions import work
from afterlaunch.app.judges import TITLES
from afterlaunch.datasets import bodies, duties, outcomes
from afterlaunch.datasets.models import Check, Dataset
from afterlaunch.datasets.tests.conftest import AT, CONTRACT, House, said, table
from afterlaunch.incidents.models import Incident
from afterlaunch.verdicts.models import Verdict

PARQUET, LINES = "application/vnd.apache.parquet", "application/x-ndjson"


def verdicts(house: House) -> dict[str, tuple[str, str]]:
    duties.judge(house.clock.now())
    return {one.judge: (one.status, one.reason) for one in Verdict.objects.filter(judge__startswith="data.")}


def test_a_delivery_is_answered_with_what_was_found_and_taken_once(house: House) -> None:
    house.put()
    first = said(house.send(table(bad=3)))
    assert (first["records"], first["clean"], first["verdict"], first["duplicate"]) == (200, 197, "ok", False)
    assert first["rules"][0]["examples"][0]["value"] == "XX"
    again = said(house.send(table(bad=3)))
    assert again["duplicate"] and again["id"] == first["id"]
    house.clock.advance(timedelta(hours=2))
    assert not said(house.send(table(bad=3)))["duplicate"]  # the same table next time is a delivery too
    assert Check.objects.count() == 2


def test_a_key_names_one_body(house: House) -> None:
    house.put()
    first = house.send(table(), **{"idempotency-key": "run-1"})
    house.clock.advance(timedelta(days=1))
    assert said(house.send(table(), **{"idempotency-key": "run-1"}))["id"] == said(first)["id"]
    assert house.send(table(5), **{"idempotency-key": "run-1"}).status == 409


def test_the_same_rows_give_the_same_result_in_every_format(house: House) -> None:
    house.put()
    rows = [{"id": at, "state": "XX" if at > 190 else "CA", "placed_at": AT.isoformat()} for at in range(200)]
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    lines = b"\n".join(map(orjson.dumps, rows))
    answers = [
        said(house.send(body, kind))
        for body, kind in ((table(bad=9), "text/csv"), (sink.getvalue(), PARQUET), (lines, LINES))
    ]
    alike = ("records", "clean", "score", "parts", "findings", "verdict", "newest", "first_wrong")
    assert answers[0]["clean"] == 191 and answers[0]["first_wrong"] == AT.isoformat()
    assert [{name: one[name] for name in alike} for one in answers[1:]] == [{n: answers[0][n] for n in alike}] * 2


def test_a_result_of_a_pipeline_is_judged_by_its_counts_not_by_its_word(house: House) -> None:
    house.put()
    here = said(house.send(table(bad=60)))
    told = {
        name: here[name] for name in ("records", "clean", "parts", "cells_clean", "cells_found", "findings", "rules")
    }
    told |= {"contract": {"name": "orders", "version": "1", "owner": "x"}, "verdict": "ok", "newest": None}
    answer = said(house.send(orjson.dumps(told), "application/json"))
    assert (answer["verdict"], answer["source"]) == ("below", "pipeline")
    wrongs: tuple[dict[str, Any], ...] = (
        {"clean": 201},
        {"findings": [{"kind": "x"}]},
        {"records": -1},
        {"parts": 3},
        {"rules": [[]]},
    )
    for wrong in wrongs:
        assert house.send(orjson.dumps(told | wrong), "application/json").status == 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "text/csv", 400),
        (b"PAR1xxxx", "text/csv", 400),
        (b"PAR1xxxx", PARQUET, 400),
        (b"id,state\n", PARQUET, 400),
        (b"[1]", LINES, 400),
        (b'{"a": 1}\n[1]', LINES, 400),
        (b"\xff\xfe\x00", "text/csv", 400),
        (b"id\n1", "text/plain", 415),
        (b"{", "application/json", 400),
    ],
)
def test_what_cannot_be_read_is_refused_without_our_paths(house: House, body: bytes, kind: str, status: int) -> None:
    house.put()
    answer = house.send(body, kind)
    assert answer.status == status and b"/tmp" not in answer.body
    assert not Check.objects.exists()


def test_more_rows_than_may_be_are_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.put()
    monkeypatch.setattr(bodies, "ROWS", 100)
    assert house.send(table()).status == 413


def test_who_may_send(house: House) -> None:
    house.put()
    statuses = {who: house.send(table(), who=who).status for who in house.tokens}
    expected = {"ingest": 200, "admin": 200, "viewer": 403, "operator": 403}
    assert statuses == {who: expected.get(who, 404) for who in house.tokens}
    assert house.send(table(), name="nothing").status == 404


def test_below_95_percent_opens_one_incident_and_recovers(house: House) -> None:
    house.put()
    house.send(table(bad=40))
    assert verdicts(house)["data.quality"] == ("breach", "below_line")
    told = Verdict.objects.get(judge="data.quality").explanation
    assert "80.0% of 200 records" in told and "state: values (40)" in told and "team-shop" in told
    for _ in range(40):
        house.clock.advance(timedelta(seconds=15))
        duties.judge(house.clock.now())
        work(house.clock.now(), {name: title for name, (title, _) in TITLES.items()})
    (incident,) = Incident.objects.all()
    assert incident.kind == "data_pipeline"
    house.send(table(first=1000, at=house.clock.now()))
    assert verdicts(house)["data.quality"] == ("ok", "above_line")


def test_few_records_are_not_assessed_until_a_day_of_them_is_enough(house: House) -> None:
    house.put()
    house.send(table(40))
    assert verdicts(house)["data.quality"] == ("not_assessed", "too_few_records")
    house.clock.advance(timedelta(minutes=30))
    house.send(table(40, first=40))
    assert verdicts(house)["data.quality"] == ("ok", "above_line")


def test_a_renamed_column_is_a_finding_of_its_own(house: House) -> None:
    house.put()
    house.send(table(head="id,State,placed_at"))
    assert verdicts(house)["data.contract"] == ("breach", "column_renamed")


def test_what_does_not_come_is_overdue_and_what_is_old_is_stale(house: House) -> None:
    house.put()
    assert verdicts(house)["data.freshness"] == ("not_assessed", "no_delivery_yet")
    house.send(table())
    assert verdicts(house)["data.freshness"] == ("ok", "fresh")
    house.clock.advance(timedelta(minutes=91))
    assert verdicts(house)["data.freshness"] == ("breach", "overdue")
    assert verdicts(house)["data.quality"] == ("not_assessed", "no_data")
    house.clock.advance(timedelta(hours=2))
    house.send(table(first=500))  # it comes, and is old
    assert verdicts(house)["data.freshness"] == ("breach", "stale")


def test_the_number_of_records_is_learned_and_then_judged(house: House) -> None:
    house.put()
    assert verdicts(house)["data.volume"] == ("not_assessed", "no_delivery_yet")
    result = {"contract": {}, "parts": {}, "findings": [], "rules": [], "cells_found": 0}
    chance = Random(3)
    for hour in range(170):
        rows = chance.randint(950, 1_050)
        house.send(
            orjson.dumps(result | {"records": rows, "clean": rows}),
            "application/json",
            **{"idempotency-key": f"{hour}"},
        )
        if hour == 20:
            assert verdicts(house)["data.volume"] == ("not_assessed", "learning")
        house.clock.advance(timedelta(hours=1))
    house.send(orjson.dumps(result | {"records": 1_010, "clean": 1_010}), "application/json")
    assert verdicts(house)["data.volume"] == ("ok", "as_expected")
    house.clock.advance(timedelta(hours=1))
    house.send(orjson.dumps(result | {"records": 90, "clean": 90}), "application/json")
    assert verdicts(house)["data.volume"] == ("breach", "unusual")


def test_an_upstream_is_named_with_who_is_hit(house: House) -> None:
    house.put(CONTRACT + "  upstream: {kind: api, provider: Rates Ltd, consumers: [scoring, ltv]}\n")
    house.send(table(head="id,state,when"))
    verdicts(house)
    told = Verdict.objects.get(judge="data.contract").explanation
    assert "api of Rates Ltd" in told and "needed by scoring, ltv" in told


def test_a_record_of_the_far_future_does_not_keep_a_table_fresh(house: House) -> None:
    house.put(CONTRACT.replace("  delivery: {every: 1h, late: 30m}\n", ""))
    house.send(table() + b"900,CA,2099-12-31T00:00:00Z\n")
    assert verdicts(house)["data.freshness"] == ("ok", "fresh")
    told = said(house.send(table(first=2_000))) | {"newest": "2099-12-31T00:00:00Z"}
    result = {name: told[name] for name in ("records", "clean", "parts", "cells_found", "findings", "rules", "newest")}
    result["contract"] = {"name": "orders", "version": "1", "owner": "x"}
    assert house.send(orjson.dumps(result), "application/json").status == 200
    house.clock.advance(timedelta(hours=4))
    assert verdicts(house)["data.freshness"] == ("breach", "stale")


def test_the_same_bytes_read_otherwise_are_another_delivery(house: House) -> None:
    house.put()
    body = table(head="id;state;placed_at").replace(b",", b";")
    assert "column_missing" in str(said(house.send(body, query="delimiter=|"))["findings"])
    again = said(house.send(body, query="delimiter=;"))
    assert not again["duplicate"] and again["findings"] == []
    assert said(house.send(body, query="delimiter=;"))["duplicate"]


def test_of_many_findings_those_that_are_judged_are_kept(house: House) -> None:
    house.put()
    here = said(house.send(table()))
    told = {name: here[name] for name in ("records", "clean", "parts", "cells_found", "rules", "newest", "contract")}
    told["contract"] = {"name": "orders", "version": "1", "owner": "x"}
    added = [{"kind": "column_added", "severity": "warn", "column": str(n), "message": "more"} for n in range(250)]
    missing = {"kind": "column_missing", "severity": "error", "column": "id", "message": "no id"}
    told["findings"] = [*added, missing, {"kind": "volume", "severity": "warn", "column": "", "message": "few"}]
    assert house.send(orjson.dumps(told), "application/json").status == 200
    found = verdicts(house)
    assert (found["data.contract"], found["data.volume"]) == (
        ("breach", "column_missing"),
        ("warning", "out_of_bounds"),
    )


def test_a_deep_or_hidden_value_of_a_result_is_refused_or_masked(house: House) -> None:
    house.put()
    deep = b'{"records": 1, "clean": 1, "findings": [{"kind": ' + b"[" * 900 + b"]" * 900 + b"}]}"
    assert house.send(deep, "application/json").status == 400
    found = outcomes.taken(
        {
            "records": 1, "clean": 1, "cells_found": 0, "contract": {}, "parts": {},
            "findings": [{"kind": "nulls", "severity": "warn", "message": "x" * 285 + " 4111 1111 1111 1111"}],
        }
    )  # fmt: skip
    assert "4111" not in found["findings"][0]["message"]


def test_a_dataset_that_is_made_while_the_page_is_read_does_not_break_it(house: House) -> None:
    house.put()
    Dataset.objects.create(system=house.system, name="just-made", made_at=AT)
    assert house.browser().get(f"/systems/{house.system.pk}/data").status_code == 200
