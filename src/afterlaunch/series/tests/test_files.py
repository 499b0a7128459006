"""`afterlaunch anomalies score`, as somebody types it; bad rows; real series."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.real_input import real
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.ground.errors import Invalid
from afterlaunch.series import scoring
from afterlaunch.series.detector import Detector
from afterlaunch.series.files import Table, instant

runner = CliRunner()


def lines(n: int, seed: int = 3) -> list[str]:
    rng = random.Random(seed)
    return [f"2026-01-{1 + i // 24:02d} {i % 24:02d}:00:00,{rng.gauss(100, 5):.3f}" for i in range(n)]


def run(path: Path, rows: list[str], *more: str) -> Any:
    path.write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    return runner.invoke(app, ["anomalies", "score", str(path), *more])


def told(path: Path, rows: list[str]) -> dict[str, Any]:
    done = run(path, rows, "--json")
    assert done.exit_code == 0
    return orjson.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("cut", [1, 60, 149, 150, 333, 599])
def test_split_anywhere_and_resumed_the_bytes_are_the_same(tmp_path: Path, cut: int) -> None:
    rows = lines(600)
    whole = run(tmp_path / "a.csv", rows).stdout
    state = str(tmp_path / "state")
    first = run(tmp_path / "b.csv", rows[:cut], "--state", state).stdout
    second = run(tmp_path / "c.csv", rows[cut:], "--state", state).stdout
    assert first + second.split("\n", 1)[1] == whole


def test_other_columns_stay_and_the_answer_may_go_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('host,timestamp,value\n"a, b",2026-01-01,1\n')
    done = runner.invoke(app, ["anomalies", "score", str(tmp_path / "a.csv"), "-o", str(tmp_path / "out.csv")])
    assert done.exit_code == 0
    assert (tmp_path / "out.csv").read_text() == (
        'host,timestamp,value,anomaly_score,alert,state\n"a, b",2026-01-01,1,0.0,0,learning\n'
    )


def test_an_alert_tells_its_row_and_may_end_the_command_with_one(tmp_path: Path) -> None:
    rows = lines(600)
    rows[500] = rows[500].split(",")[0] + ",400"
    found = told(tmp_path / "a.csv", rows)
    assert found["verdict"] == "anomalies"
    assert [(one["row"], one["value"]) for one in found["alerts"]] == [(501, 400.0)]
    assert run(tmp_path / "a.csv", rows, "--fail-on-alert").exit_code == 1


def test_bad_rows_are_named_and_the_others_scored(tmp_path: Path) -> None:
    rows = lines(400)
    rows[200] = rows[200].split(",")[0] + ",nan"
    rows[210] = "yesterday,100"
    rows[220] = rows[219]
    rows[230], rows[231] = rows[231], rows[230]
    del rows[240:250]
    rows[300] = "alone"
    found = {one["kind"]: one["rows"] for one in told(tmp_path / "a.csv", rows)["findings"]}
    assert found == {
        "missing_value": [201],
        "bad_timestamp": [211],
        "duplicate_timestamp": [221],
        "clock_back": [232],
        "gap": [241],
        "short_row": [301],
    }


def test_a_constant_series_and_a_short_one_are_not_assessed(tmp_path: Path) -> None:
    constant = told(tmp_path / "a.csv", [line.split(",")[0] + ",5" for line in lines(400)])
    assert (constant["verdict"], constant["reason"]) == ("not_assessed", "constant")
    short = told(tmp_path / "a.csv", lines(20))
    assert (short["verdict"], short["reason"]) == ("not_assessed", "too_few_values")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no column 'timestamp'"),
        (b"time,value\n", "no column 'timestamp'"),
        (b"timestamp,value,Value\n", "more than one column 'value'"),
        (b"timestamp,value,alert\n", "scores already"),
        (b"\xff\xfe\x00", "no CSV in UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, body: bytes, why: str) -> None:
    (tmp_path / "a.csv").write_bytes(body)
    done = runner.invoke(app, ["anomalies", "score", str(tmp_path / "a.csv")])
    assert done.exit_code == 2
    assert why in done.stderr


def test_times_are_read_in_the_usual_forms() -> None:
    assert instant("2026-01-01") == instant("2026-01-01T00:00:00Z") == instant("1767225600") == instant("1767225600000")
    assert instant("2026-01-01T01:00:00+01:00") == instant("2026-01-01 00:00:00.000")
    assert instant("01/02/2026") is instant("nan") is instant("1e400") is None


@settings(max_examples=30, deadline=None)
@given(some.lists(some.tuples(some.text(max_size=12), some.text(max_size=12)), max_size=8))
def test_any_cells_are_scored_or_named(cells: list[tuple[str, str]]) -> None:
    body = io.StringIO()
    csv.writer(body).writerows([("timestamp", "value"), *cells])
    body.seek(0)
    out, seen = io.StringIO(), scoring.Told()
    try:
        table = Table(body)
        detector = Detector()
        scoring.write(table, detector, seen, out)
    except Invalid as problem:
        assert problem.message
    else:
        assert scoring.document(table, detector, seen)["rows"] == seen.rows


@settings(max_examples=20, deadline=None)
@given(some.lists(some.floats(allow_nan=False, width=64), min_size=180, max_size=260), some.floats(1e-3, 1e7))
def test_any_numbers_keep_the_score_between_0_and_1(values: list[float], step: float) -> None:
    detector = Detector()
    for i, value in enumerate(values):
        one = detector.see(i * step, value if abs(value) < 1e150 else None)
        assert one.score is None or 0 <= one.score <= 1
    scoring.resumed(scoring.saved(detector))


def test_hourly_bike_rentals_grow_and_follow_the_week_with_hardly_an_alarm(tmp_path: Path) -> None:
    """What remains after two weeks are holidays and storms, as the hurricane of 27 August, and an earthquake."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(real("data/drift-streams/bike_hour_2011.parquet")).to_pydict()
    days = zip(table["dteday"], table["hr"], table["cnt"], strict=True)
    found = told(tmp_path / "bike.csv", [f"{str(day)[:10]} {hour:02d}:00:00,{count}" for day, hour, count in days])
    after = [one["timestamp"] for one in found["alerts"] if one["row"] > 14 * 24]
    assert len(after) <= 12
    assert "2011-08-23 14:00:00" in after and any(one.startswith("2011-08-27") for one in after)
    assert any(one["change"] > 0.5 for one in found["trends"])


@pytest.mark.parametrize("name", ["art_daily_small_noise", "art_flatline", "art_noisy"])
def test_series_without_an_anomaly_raise_no_alarm(name: str) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(real("data/nab/series.parquet"))
    rows = table.filter(pc.equal(table["series"], f"artificialNoAnomaly/{name}.csv")).to_pydict()
    detector = Detector()
    times = (at.timestamp() for at in rows["timestamp"])
    assert not any(detector.see(at, value).alert for at, value in zip(times, rows["value"], strict=True))
