"""Tables that are none, or no good ones: a sentence and what to do, never a traceback, and nothing lost unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app

TABLE = "id,age,city\n" + "".join(f"{at},{at % 60},Köln\n" for at in range(500))
CONTRACT = "apiVersion: afterlaunch/v1\nkind: DataContract\nmetadata: {name: t, owner: o}\nspec:\n"
CONTRACT += "  columns: [{name: id, type: integer}, {name: age, type: number}, {name: city}]\n"
OPEN_QUOTE = TABLE.replace("0,0,Köln", '0,0,"Köln', 1)

BAD: dict[str, tuple[bytes, list[str]]] = {
    "array": (b'[{"id": 1},\n{"id": 2}]', ["JSON array", "each line"]),
    "utf-32": (TABLE.encode("utf-32"), ["neither Parquet nor text", "--encoding"]),
    "utf-16 without a mark": (TABLE.encode("utf-16-le"), ["--encoding"]),
    "latin-1": (TABLE.encode("latin-1"), ["--encoding"]),
    "long open quote": (
        (TABLE.replace("0,0,Köln", '0,0,"Köln', 1) + TABLE * 600).encode(),
        ["longer than 1 MB", "never closed"],
    ),
    "empty": (b"", ["is empty"]),
    "no names": (b"\n\n", ["no names"]),
    "half a Parquet file": (b"PAR1" + bytes(50), ["Parquet"]),
}


def run(*given: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, given)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_is_refused_with_what_to_do(tmp_path: Path, case: str) -> None:
    body, words = BAD[case]
    bad, good, contract = tmp_path / "bad", tmp_path / "good.csv", tmp_path / "c.yaml"
    bad.write_bytes(body)
    good.write_text(TABLE)
    contract.write_text(CONTRACT)
    check, compare = ("data", "check", str(bad), "--contract", str(contract)), ("drift", "compare", str(good), str(bad))
    for given in (check, compare, (*compare[:2], str(bad), str(good)), ("data", "infer", str(bad))):
        code, said = run(*given)
        assert code == 2 and all(word in said for word in words), said


def test_a_delimiter_is_one_character_and_a_contract_utf_8(tmp_path: Path) -> None:
    table, contract = tmp_path / "t.csv", tmp_path / "c.yaml"
    table.write_text(TABLE)
    contract.write_text(CONTRACT)
    assert run("data", "check", str(table), "--contract", str(contract), "--delimiter", ";;")[0] == 2
    contract.write_bytes(CONTRACT.replace("owner: o", "owner: Müller").encode("latin-1"))
    code, said = run("data", "check", str(table), "--contract", str(contract))
    assert code == 2 and "UTF-8" in said


def test_rows_that_an_open_quote_took_in_are_told(tmp_path: Path) -> None:
    table, contract = tmp_path / "t.csv", tmp_path / "c.yaml"
    table.write_text(OPEN_QUOTE)
    contract.write_text(CONTRACT)
    code, said = run("data", "check", str(table), "--contract", str(contract))
    assert code == 1 and "500 lines" in said and "quote" in said


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_series_in_another_encoding_says_how_to_read_it(tmp_path: Path, encoding: str) -> None:
    series = tmp_path / "s.csv"
    series.write_text("timestamp,value,ort\n2026-01-01T00:00:00Z,1,Köln\n", encoding=encoding)
    code, said = run("anomalies", "score", str(series))
    assert code == 2 and "iconv" in said
