"""`drift compare` as a pipeline meets it: two files in, a verdict, a reason and an exit status out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from tests.real_input import real
from typer.testing import CliRunner

from afterlaunch.cli.main import app

KEYS = {
    "name",
    "kind",
    "method",
    "statistic",
    "effect",
    "p_value",
    "q_value",
    "n_reference",
    "n_current",
    "verdict",
    "why",
}
RANDOM = np.random.default_rng(11)


def written(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def compared(reference: Path, current: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["drift", "compare", str(reference), str(current), "--json", *flags])
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, orjson.loads(result.stdout)


def column(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in document["columns"] if one["name"] == name)


def types(document: dict[str, Any]) -> set[tuple[str, str | None]]:
    return {(one["type"], one["column"]) for one in document["findings"]}


def sample(count: int = 4_000, shift: float = 0.0, red: float = 0.5) -> dict[str, Any]:
    amounts = RANDOM.lognormal(size=count)
    colours = np.where(RANDOM.random(count) < red, "red", "blue")
    return {"score": RANDOM.normal(size=count) + shift, "amount": amounts, "colour": colours.tolist()}


def test_the_same_world_is_no_drift(tmp_path: Path) -> None:
    code, found = compared(written(tmp_path / "a", sample()), written(tmp_path / "b", sample()))
    assert (code, found["verdict"]) == (0, "no_drift")
    assert set(found) >= {"verdict", "columns"} and all(set(one) >= KEYS for one in found["columns"])
    assert [one["name"] for one in found["columns"]] == ["score", "amount", "colour"]
    assert {one["verdict"] for one in found["columns"]} == {"no_drift"}
    assert all(one["why"].startswith("PSI") and one["q_value"] > 0.05 for one in found["columns"])


def test_drift_names_its_columns_and_says_how_sure_and_how_large(tmp_path: Path) -> None:
    code, found = compared(written(tmp_path / "a", sample()), written(tmp_path / "b", sample(shift=0.8, red=0.2)))
    assert (code, found["verdict"]) == (1, "drift")
    score, amount, colour = (column(found, name) for name in ("score", "amount", "colour"))
    assert (score["verdict"], amount["verdict"], colour["verdict"]) == ("drift", "no_drift", "drift")
    assert (score["state"], score["kind"], colour["kind"]) == ("above", "numeric", "category")
    assert score["effect_low"] <= score["effect"] <= score["effect_high"]
    assert "median" in score["why"] and "above the line of 0.2" in score["why"]
    assert "“red” went from" in colour["why"] or "“blue” went from" in colour["why"]
    assert (score["n_reference"], score["n_current"]) == (4_000, 4_000)


def test_a_hairs_breadth_is_no_drift_however_many_rows_prove_it(tmp_path: Path) -> None:
    many = 400_000
    before = written(tmp_path / "a", {"x": RANDOM.normal(size=many)})
    code, found = compared(before, written(tmp_path / "b", {"x": RANDOM.normal(size=many) + 0.015}))
    assert code == 0, found
    assert compared(before, written(tmp_path / "b", {"x": RANDOM.normal(size=many) + 0.1}))[0] == 1
    assert (
        compared(before, written(tmp_path / "b", {"x": RANDOM.normal(size=many) + 0.015}), "--tolerance", "0")[0] == 1
    )


def test_too_few_rows_are_not_assessed_and_no_pass(tmp_path: Path) -> None:
    code, found = compared(written(tmp_path / "a", sample(40)), written(tmp_path / "b", sample(40)))
    assert code == 1 and found["verdict"] == "not_assessed"
    assert column(found, "score")["reason"] == "too_few_rows" and "chance alone" in column(found, "score")["why"]


def test_strict_fails_where_any_column_is_not_assessed(tmp_path: Path) -> None:
    a, b = (written(tmp_path / name, {**sample(), "same": [1] * 4_000}) for name in "ab")
    assert compared(a, b)[0] == 0
    code, found = compared(a, b, "--strict")
    assert (code, found["verdict"], column(found, "same")["reason"]) == (1, "no_drift", "constant")


def test_a_constant_that_begins_to_vary_is_drift(tmp_path: Path) -> None:
    before = written(tmp_path / "a", {"x": np.full(2_000, 0.003), "y": ["on"] * 2_000})
    now = {"x": np.where(RANDOM.random(2_000) < 0.1, 0.5, 0.003), "y": ["on"] * 1_800 + ["off"] * 200}
    found = compared(before, written(tmp_path / "b", now))[1]
    assert {one["verdict"] for one in found["columns"]} == {"drift"}


def test_missing_values_that_rise_are_drift(tmp_path: Path) -> None:
    values = RANDOM.normal(size=3_000)
    gone = [None if at % 10 == 0 else value for at, value in enumerate(values)]
    found = compared(written(tmp_path / "a", {"x": values}), written(tmp_path / "b", {"x": gone}))[1]
    x = column(found, "x")
    assert (x["verdict"], x["method"], x["state"]) == ("drift", "missing_rate", "above")
    assert x["effect"] == pytest.approx(0.1) and "missing: 0.0 % before, 10.0 % now" in x["why"]


def test_columns_that_are_missing_renamed_or_new_are_findings(tmp_path: Path) -> None:
    before = written(tmp_path / "a", {"customer_age": RANDOM.normal(size=900), "y": RANDOM.normal(size=900)})
    now = written(tmp_path / "b", {"CustomerAge": RANDOM.normal(size=900), "y": RANDOM.normal(size=900)})
    code, found = compared(before, now)
    assert (code, found["verdict"]) == (1, "drift")
    assert types(found) == {("column_missing", "customer_age"), ("column_new", "CustomerAge")}
    assert "'CustomerAge'" in found["findings"][0]["message"]
    verdicts = {one["name"]: one["verdict"] for one in found["columns"]}
    assert verdicts == {"customer_age": "missing", "y": "no_drift", "CustomerAge": "new"}


def test_numbers_that_become_text_are_a_changed_type(tmp_path: Path) -> None:
    before = written(tmp_path / "a", {"x": RANDOM.normal(size=900)})
    code, found = compared(before, written(tmp_path / "b", {"x": ["high", "low", "1.5"] * 300}))
    assert code == 1 and ("type_changed", "x") in types(found) and ("mixed_types", "x") in types(found)
    assert "'high'" in str(found["findings"])


def test_infinities_nulls_and_identifiers_are_said(tmp_path: Path) -> None:
    count = 1_000
    table = {
        "x": np.where(np.arange(count) < 3, np.inf, RANDOM.normal(size=count)),
        "empty": pa.array([None] * count, pa.float64()),
        "id": [f"id-{at}" for at in range(count)],
        "when": pa.array(np.arange(count), pa.timestamp("s")),
        "list": [[1, 2]] * count,
    }
    code, found = compared(
        written(tmp_path / "a", table), written(tmp_path / "b", {**table, "x": RANDOM.normal(size=count)})
    )
    assert ("infinities", "x") in types(found) and ("all_null", "empty") in types(found)
    reasons = {one["name"]: one["reason"] for one in found["columns"]}
    assert reasons["id"] == "identifier" and reasons["empty"] == "no_values" and reasons["when"] == "kind_time"
    assert column(found, "list")["verdict"] == "not_assessed"
    assert code == 0


def test_a_huge_category_is_compared_by_what_is_frequent(tmp_path: Path) -> None:
    def words(often: float) -> list[str]:
        common = RANDOM.random(30_000) < often
        return [
            f"w{one}" if is_common else f"id {one}"
            for one, is_common in zip(RANDOM.integers(0, 5, 30_000), common, strict=True)
        ]

    rare = [f"rare {at}" for at in range(30_000)]
    before = [word if at % 2 else rare[at] for at, word in enumerate(words(1.0))]
    now = [word if at % 2 else rare[at] + " other" for at, word in enumerate(words(1.0))]
    code, found = compared(written(tmp_path / "a", {"w": before}), written(tmp_path / "b", {"w": now}))
    assert (code, column(found, "w")["verdict"]) == (0, "no_drift")
    new = ["a new word"] * 3_000 + now[3_000:]
    found = compared(written(tmp_path / "a", {"w": before}), written(tmp_path / "b", {"w": new}))[1]
    assert column(found, "w")["verdict"] == "drift"


CSV = "id;amount;note\n" + "".join(f"{at};{at % 7}.5;word{at % 3}\n" for at in range(2_000))


def test_csv_with_another_delimiter_encoding_and_ragged_rows(tmp_path: Path) -> None:
    reference, current = tmp_path / "a.csv", tmp_path / "b.csv"
    reference.write_text(CSV, encoding="utf-8-sig")
    current.write_text(CSV.replace("word1", "wörd1") + "1;2\n1;2;3;4\n", encoding="latin-1")
    result = CliRunner().invoke(app, ["drift", "compare", str(reference), str(current)])
    assert result.exit_code == 2 and "--encoding" in result.output
    current.write_text(CSV + "1;2\n1;2;3;4\n", encoding="utf-16")
    code, found = compared(reference, current)
    assert ("ragged_rows", None) in types(found) and "2 rows" in str(found["findings"])
    assert [one["name"] for one in found["columns"]] == ["id", "amount", "note"]
    assert {column(found, name)["kind"] for name in ("id", "amount")} == {"numeric"}
    assert column(found, "amount")["n_reference"] == 2_000
    assert code == 0


def test_mixed_types_in_csv_are_counted_and_shown(tmp_path: Path) -> None:
    reference, current = tmp_path / "a.csv", tmp_path / "b.csv"
    reference.write_text("x\n" + "".join(f"{at % 50}\n" for at in range(3_000)))
    current.write_text("x\n" + "".join("oops\n" if at % 20 == 0 else f"{at % 50}\n" for at in range(3_000)))
    found = compared(reference, current)[1]
    assert ("mixed_types", "x") in types(found) and "'oops'" in str(found["findings"])
    assert column(found, "x")["verdict"] == "drift" and column(found, "x")["n_current"] == 2_850


def test_duplicate_columns_are_compared_in_their_order(tmp_path: Path) -> None:
    twice = "x,x\n" + "".join(f"{at % 9},{at % 5}\n" for at in range(2_000))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(twice)
    found = compared(tmp_path / "a.csv", tmp_path / "b.csv")[1]
    assert ("duplicate_column", "x") in types(found) and [one["name"] for one in found["columns"]] == ["x", "x#2"]
    for name in ("a", "b"):
        table = pa.Table.from_arrays([pa.array(np.arange(2_000) % 9), pa.array(np.arange(2_000) % 5)], ["x", "x"])
        parquet.write_table(table, tmp_path / name)
    assert [one["n_current"] for one in compared(tmp_path / "a", tmp_path / "b")[1]["columns"]] == [2_000, 2_000]


@pytest.mark.parametrize("body", [b"", b"PAR1 broken", b"\x00\x01\x02 binary", b"\n\n"])
def test_a_file_that_is_no_table_is_wrong_use(tmp_path: Path, body: bytes) -> None:
    good = written(tmp_path / "good", sample(100))
    (tmp_path / "bad").write_bytes(body)
    result = CliRunner().invoke(app, ["drift", "compare", str(good), str(tmp_path / "bad")])
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert CliRunner().invoke(app, ["drift", "compare", str(good), str(tmp_path / "none")]).exit_code == 2
    assert CliRunner().invoke(app, ["drift", "compare", str(good), str(good), "--column", "nobody"]).exit_code == 2


def test_names_from_a_file_do_not_steer_the_terminal(tmp_path: Path) -> None:
    file = str(written(tmp_path / "a", {"x\x1b[31m\n": RANDOM.normal(size=900), "": RANDOM.normal(size=900)}))
    result = CliRunner().invoke(app, ["drift", "compare", file, file])
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout and "x\\x1b[31m\\n" in result.stdout and "(no name)" in result.stdout


def test_numbers_at_the_end_of_the_floats_are_compared(tmp_path: Path) -> None:
    huge = np.where(np.arange(2_000) % 2, 1.7e308, -1.7e308)
    before, now = written(tmp_path / "a", {"x": huge}), written(tmp_path / "b", {"x": np.abs(huge)})
    code, found = compared(before, now, "--html", str(tmp_path / "page.html"))
    assert (code, column(found, "x")["verdict"]) == (1, "drift")


def test_a_table_without_rows_is_not_assessed(tmp_path: Path) -> None:
    good = written(tmp_path / "good", sample(900))
    empty = written(tmp_path / "empty", {"score": pa.array([], pa.float64())})
    code, found = compared(good, empty, "--column", "score")
    assert (code, found["verdict"], column(found, "score")["reason"]) == (1, "not_assessed", "no_rows")


def test_the_table_for_people_says_why(tmp_path: Path) -> None:
    files = [str(written(tmp_path / "a", sample())), str(written(tmp_path / "b", sample(shift=0.8)))]
    result = CliRunner().invoke(app, ["drift", "compare", *files])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "1 of 3 assessed columns drifted."
    assert lines[3].split()[:4] == ["score", "numeric", "DRIFT,", "above"]
    assert any(line.startswith("score: The median went from") for line in lines)


def test_the_command_loads_neither_the_server_nor_the_other_commands(tmp_path: Path) -> None:
    written(tmp_path / "a", sample(900))
    code = (
        "import sys; sys.argv = ['afterlaunch', 'drift', 'compare', *sys.argv[1:]]\n"
        "from afterlaunch.cli.entry import run\n"
        "try: run()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'django', 'aiohttp', 'pandas', 'duckdb', 'afterlaunch.cli.main', 'pyarrow.compute'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    file = str(tmp_path / "a")
    done = subprocess.run([sys.executable, "-c", code, file, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_elec2_in_one_comparison(tmp_path: Path) -> None:
    """Constant up to row 17,424, varying from there: vicprice, vicdemand and transfer."""
    table = parquet.read_table(real("data/drift-streams/elec.parquet"))
    parquet.write_table(table.slice(0, 8_712), tmp_path / "a")
    parquet.write_table(table.slice(8_712, 8_712), tmp_path / "b")
    parquet.write_table(table.slice(17_424, 960), tmp_path / "c")
    names = ("vicprice", "vicdemand", "transfer")
    before = compared(tmp_path / "a", tmp_path / "b")[1]
    assert {column(before, name)["verdict"] for name in names} == {"not_assessed"}
    after = compared(tmp_path / "a", tmp_path / "c")[1]
    assert {column(after, name)["verdict"] for name in names} == {"drift"}
