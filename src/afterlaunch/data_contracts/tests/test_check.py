"""Tables against contracts, as somebody types it: cells, scores, verdicts, changes of schema."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.real_input import real
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.data_contracts.contract import read
from afterlaunch.data_contracts.similar import slips
from afterlaunch.ground.shares import wilson

runner = CliRunner()
HEAD = "apiVersion: afterlaunch/v1\nkind: DataContract\nmetadata: {name: t, owner: o}\nspec:\n"


def check(folder: Path, contract: str, table: str | Path, *more: str) -> tuple[int, dict[str, Any]]:
    (folder / "c.yaml").write_text(HEAD + contract)
    if isinstance(table, str):
        (folder / "t.csv").write_text(table)
        table = folder / "t.csv"
    given = ["data", "check", str(table), "--contract", str(folder / "c.yaml"), "--json", *more]
    done = runner.invoke(app, given)
    assert done.exit_code in (0, 1), done.stderr
    return done.exit_code, orjson.loads(done.stdout)


def cells(told: dict[str, Any]) -> set[tuple[int, str, str]]:
    return {(one["row"], one["column"], one["rule"]) for one in told["cells"]}


def test_each_rule_of_a_column_names_its_cells(tmp_path: Path) -> None:
    contract = """
  columns:
  - {name: i, type: integer, required: true, unique: true}
  - {name: n, type: number, range: {least: 0, most: 10}}
  - {name: s, values: [a, b]}
  - {name: p, pattern: '\\d{5}', length: {least: 5, most: 5}}
  - {name: d, type: date}
"""
    table = "i,n,s,p,d\n1,5,a,12345,2026-01-01\n1,11,c,1234,01/02/2026\n,N/A,,,\nx,12.0 oz,a,12345,2026-02-30\n"
    _, told = check(tmp_path, contract, table)
    assert cells(told) == {
        (1, "i", "unique"),
        (1, "n", "range"),
        (1, "s", "values"),
        (1, "p", "pattern"),
        (1, "p", "length"),
        (1, "d", "type"),
        (2, "i", "required"),
        (2, "n", "type"),
        (3, "i", "type"),
        (3, "n", "type"),
        (3, "d", "type"),
    }
    assert (told["records"], told["clean"]) == (4, 1)


def test_rules_between_columns_say_what_a_cell_should_be(tmp_path: Path) -> None:
    contract = """
  columns: [{name: zip}, {name: city}, {name: state}, {name: a, type: number}, {name: b, type: number}]
  rules:
  - {kind: dependency, from: zip, to: city}
  - {kind: embedded, column: city, other: state}
  - {kind: expression, expression: a <= b}
"""
    rows = ["1,Rome,CA,1,2"] * 4 + ["1,Rxme,CA,1,2", "2,Bend OR,,3,2"] + ["2,Bend,OR,1,"] * 4
    _, told = check(tmp_path, contract, "zip,city,state,a,b\n" + "\n".join(rows) + "\n")
    expected = {(one["row"], one["column"], one["rule"]): one["expected"] for one in told["cells"]}
    assert expected == {
        (4, "city", "dependency"): "Rome",
        (5, "city", "dependency"): "Bend",
        (5, "city", "embedded"): "Bend",
        (5, "state", "embedded"): "OR",
        (5, "a", "expression"): None,
        (5, "b", "expression"): None,
    }


def test_warnings_do_not_spoil_the_score(tmp_path: Path) -> None:
    contract = "  columns: [{name: a, type: integer, warn: [type]}]\n"
    code, told = check(tmp_path, contract, "a\n" + "x\n" * 2 + "1\n" * 98)
    assert (code, told["verdict"], told["score"]) == (0, "ok", 100.0)
    assert [one["severity"] for one in told["cells"]] == ["warn", "warn"]


@pytest.mark.parametrize(
    ("clean", "dirty", "verdict"),
    [
        (100, 0, "ok"),
        (72, 0, "not_assessed"),
        (73, 0, "ok"),
        (94, 6, "at_risk"),
        (880, 120, "below"),
        (3, 17, "below"),
    ],
)
def test_the_verdict_knows_how_sure_it_can_be(tmp_path: Path, clean: int, dirty: int, verdict: str) -> None:
    contract = "  columns: [{name: a, type: integer}]\n"
    code, told = check(tmp_path, contract, "a\n" + "1\n" * clean + "x\n" * dirty)
    assert (told["verdict"], code) == (verdict, int(verdict != "ok"))


def test_an_empty_table_is_not_assessed(tmp_path: Path) -> None:
    code, told = check(tmp_path, "  columns: [{name: a}]\n", "a\n")
    assert (code, told["verdict"], told["score"]) == (1, "not_assessed", None)


def test_a_change_of_schema_is_a_finding_of_its_own(tmp_path: Path) -> None:
    contract = "  columns: [{name: beer_name}, {name: gone}, {name: n, type: number}]\n"
    contract += "  rules: [{kind: dependency, from: gone, to: n}]\n"
    code, told = check(tmp_path, contract, "beer-name,n,new\n" + "x,1 kg,1\n" * 100)
    assert code == 1 and told["verdict"] == "failing"
    assert {(one["kind"], one["column"], one["severity"]) for one in told["findings"]} == {
        ("column_renamed", "beer_name", "error"),
        ("column_missing", "gone", "error"),
        ("column_added", "new", "warn"),
        ("likely_change", "n", "error"),
    }
    unjudged = {one["name"] for one in told["rules"] if one["state"] == "not_assessed"}
    assert unjudged == {"beer_name: all rules", "gone: all rules", "gone → n"}


def test_rows_and_columns_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    code, told = check(tmp_path, "  columns: [{name: a}]\n", "a,b,b\n" + "1,2,3\n" * 100 + "1,2\n")
    assert code == 1 and told["verdict"] == "failing"
    assert {one["kind"] for one in told["findings"]} >= {"ragged_rows", "duplicate_column"}


def test_windows_have_a_size_and_an_age(tmp_path: Path) -> None:
    contract = """
  columns: [{name: at, type: timestamp, nulls: 0.1}]
  volume: {least: 200, severity: error}
  freshness: {column: at, most: 3h}
"""
    table = "at\n" + "2026-01-01T00:00:00Z\n" * 80 + '""\n' * 20
    _, told = check(tmp_path, contract, table, "--now", "2026-01-01T04:00:00Z")
    assert {one["kind"] for one in told["findings"]} == {"nulls", "volume", "freshness"}
    assert told["parts"]["timeliness"] == 0
    _, told = check(tmp_path, contract, table, "--now", "2026-01-01T02:00:00Z")
    assert {one["kind"] for one in told["findings"]} == {"nulls", "volume"}


def test_every_cell_goes_to_a_file_and_parquet_is_read(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([1, None, 30], pa.int64()), "b": ["x", "y", None], "c": [1.5, float("nan"), 2.0]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    contract = (
        "  columns: [{name: a, type: integer, range: {most: 10}}, {name: b, required: true}, {name: c, type: number}]\n"
    )
    _, told = check(tmp_path, contract, tmp_path / "t.parquet", "--cells", str(tmp_path / "cells.csv"))
    rows = list(csv.DictReader((tmp_path / "cells.csv").open()))
    assert [(one["row"], one["column"], one["rule"], one["value"]) for one in rows] == [
        ("2", "a", "range", "30"),
        ("2", "b", "required", ""),
    ]
    assert told["cells_found"] == 2


def test_wrong_files_end_with_two(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "c.yaml").write_text("kind: x")
    assert runner.invoke(app, ["data", "check", str(tmp_path / "t.csv"), "--contract", "none"]).exit_code == 2
    given = ["data", "check", str(tmp_path / "t.csv"), "--contract", str(tmp_path / "c.yaml")]
    assert runner.invoke(app, given).exit_code == 2
    assert runner.invoke(app, ["data", "infer", str(tmp_path / "none.csv")]).exit_code == 2


def test_wilson_is_wilson() -> None:
    low, high = wilson(73, 73)
    assert low >= 0.95 and high == pytest.approx(1)
    assert wilson(72, 72)[0] < 0.95
    assert wilson(0, 0) == (0, 1)


def test_slips_are_rare_and_a_few_letters_off() -> None:
    counts = {"birmingham": 90, "birminghxm": 2, "boaz": 30, "boxz": 1, "95%": 50, "96%": 1, "9x%": 1, "center": 4}
    assert slips(counts) == {"birminghxm": "birmingham", "boxz": "boaz", "9x%": "95%"}


def inferred(folder: Path, table: Path) -> Any:
    done = runner.invoke(app, ["data", "infer", str(table), "--owner", "me", "-o", str(folder / "draft.yaml")])
    assert done.exit_code == 0, done.stderr
    return read((folder / "draft.yaml").read_text())


def test_a_draft_holds_what_nearly_all_records_keep_to(tmp_path: Path) -> None:
    rng = random.Random(7)
    lines = ["id,zip,city,weight,at,ok,note"]
    places = [(f"{30000 + 137 * i}", f"City {chr(65 + i)}") for i in range(25)]
    for i in range(2000):
        code, city = rng.choice(places)
        weight = f"{rng.gauss(50, 5):.1f}" + rng.choice([" kg", "kg.", " KG", ""])
        at = f"2026-01-{1 + i // 96:02d}T{i % 96 // 4:02d}:{i % 4 * 15:02d}:00"
        lines.append(
            f"{i},{code},{city},{weight},{at},{rng.choice(['true', 'false'])},{'' if i % 4 else 'x' * (i % 90)}"
        )
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    draft = inferred(tmp_path, tmp_path / "t.csv")
    columns = {one.name: one for one in draft.columns}
    assert [columns[name].type for name in ("id", "zip", "city", "weight", "at", "ok", "note")] == [
        "integer",
        "text",
        "text",
        "number",
        "timestamp",
        "boolean",
        "text",
    ]
    assert columns["id"].unique and columns["id"].required and columns["zip"].pattern == r"\d{5}"
    assert columns["note"].nulls > 0.75 and draft.fresh_column == "at"
    assert {(one.given, one.to) for one in draft.rules} == {("zip", "city"), ("city", "zip")}


def test_where_many_sources_tell_of_one_thing_a_dependency_shows_through_noise(tmp_path: Path) -> None:
    """As a warning: the contract may be confirmed, the score stays."""
    rng = random.Random(4)
    lines, wrong = ["flight,leaves"], set()
    for row in range(1500):
        flight = row % 30
        leaves = f"{7 + flight % 12}:{flight + 10} a.m."
        if rng.random() < 0.3:
            wrong.add(row)
            leaves = rng.choice(["", f"12/02/2011 {leaves}", f"{7 + flight % 12}:{rng.randrange(41, 60)} a.m."])
        lines.append(f"AA-{1000 + flight},{leaves}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    draft = inferred(tmp_path, tmp_path / "t.csv")
    assert [(one.given, one.to, one.severity) for one in draft.rules][:1] == [("flight", "leaves", "warn")]
    out = tmp_path / "cells.csv"
    given = ["data", "check", str(tmp_path / "t.csv"), "--contract", str(tmp_path / "draft.yaml"), "--cells", str(out)]
    runner.invoke(app, given)
    found = {int(one["row"]) for one in csv.DictReader(out.open()) if one["column"] == "leaves"}
    assert len(found & wrong) > 0.95 * len(wrong) and len(found & wrong) > 0.95 * len(found)


@settings(max_examples=15, deadline=None)
@given(some.lists(some.lists(some.text(max_size=6), min_size=2, max_size=2), max_size=12))
def test_any_table_gives_a_draft_that_checks_it(rows: list[list[str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "t.csv").open("w", newline="", encoding="utf-8", errors="replace") as out:
            csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
        done = runner.invoke(app, ["data", "infer", str(folder / "t.csv"), "-o", str(folder / "c.yaml")])
        assert done.exit_code in (0, 2), done.exception
        if done.exit_code == 0:
            read((folder / "c.yaml").read_text())
            given = ["data", "check", str(folder / "t.csv"), "--contract", str(folder / "c.yaml"), "--json"]
            assert runner.invoke(app, given).exit_code in (0, 1)


@pytest.mark.parametrize(("name", "precision", "recall"), [("hospital", 0.99, 0.99), ("beers", 0.99, 0.99)])
def test_wrong_cells_of_a_dirty_table_are_found_with_a_contract_of_its_own(
    tmp_path: Path, name: str, precision: float, recall: float
) -> None:
    table = real(f"data/dirty-tables/{name}_dirty.csv")
    draft = inferred(tmp_path, table)
    assert draft.owner == "me"
    out = tmp_path / "cells.csv"
    given = ["data", "check", str(table), "--contract", str(tmp_path / "draft.yaml"), "--cells", str(out)]
    assert runner.invoke(app, given).exit_code == 1
    found = {(one["row"], one["column"]) for one in csv.DictReader(out.open())}
    errors = csv.DictReader(real(f"data/dirty-tables/{name}_errors.csv").open())
    wrong = {(one["row"], one["column"]) for one in errors}
    assert len(found & wrong) / len(found) > precision
    assert len(found & wrong) / len(wrong) > recall
