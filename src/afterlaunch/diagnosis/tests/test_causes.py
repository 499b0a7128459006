"""What changed, ranked by when and by how much of the deterioration it explains."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.diagnosis.causes import Changed, Part, explain, rank, timing
from afterlaunch.diagnosis.tests.test_blame import GOOD

ONSET = 1_000_000.0
HOUR = 3600.0


def test_a_new_model_that_took_all_traffic_explains_all() -> None:
    old, new = Part("model", "m1", 1000, 10, 0, 0), Part("model", "m2", 0, 0, 1000, 110, first_seen=ONSET - 60)
    found = explain("model", [old, new])
    assert found is not None
    assert [(one.part.value, round(one.share, 6)) for one in found.parts] == [("m2", 1.0), ("m1", 0.0)]
    assert found.mix == pytest.approx(0)
    (cause,) = rank(ONSET, 60, [], [found])
    assert (cause.kind, cause.name, cause.explained) == ("new_value", "model m2", 1.0)


def test_a_shift_of_traffic_to_a_tenant_that_was_always_slow_is_mix_not_guilt() -> None:
    slow, quick = Part("tenant", "slow", 100, 90, 500, 450), Part("tenant", "quick", 900, 90, 500, 50)
    found = explain("tenant", [slow, quick])
    assert found is not None
    assert found.mix == pytest.approx(1)
    assert [cause.kind for cause in rank(ONSET, 60, [], [found])] == ["traffic_mix"]


@given(
    st.lists(
        st.tuples(*[st.integers(0, 1000), st.floats(0, 100), st.integers(0, 1000), st.floats(0, 100)]),
        min_size=1,
        max_size=8,
    )
)
def test_what_the_parts_and_the_mix_explain_adds_up_to_all(rows: list[tuple[int, float, int, float]]) -> None:
    parts = [
        Part("model", str(place), before, before * worse, after, after * now)
        for place, (before, worse, after, now) in enumerate(rows)
    ]
    found = explain("model", parts)
    if found is not None:
        whole = sum(one.share for one in found.parts) + found.mix
        worse = sum(r[2] * r[3] for r in rows) / sum(r[2] for r in rows) - sum(r[0] * r[1] for r in rows) / sum(
            r[0] for r in rows
        )
        assert whole == pytest.approx(1, abs=1e-9 + 1e-9 / worse)


def test_a_change_shortly_before_that_explains_much_comes_before_others() -> None:
    candidate = Part("arm", "candidate", 0, 0, 300, 90, ONSET - 600)
    found = explain("arm", [Part("arm", "baseline", 1000, 10, 700, 7), candidate])
    assert found is not None
    changes = [
        Changed("1", "prompt", "prompt v7 to 30 %", ONSET - 600, (("arm", "candidate"),)),
        Changed("2", "dependency", "openai 2.9", ONSET - 20 * HOUR),
        Changed("3", "index", "rebuilt", ONSET - 900),
        Changed("4", "model", "other model", ONSET + HOUR, (("arm", "candidate"),)),
        Changed("5", "prompt", "long ago", ONSET - 23 * HOUR, (("arm", "candidate"),)),
    ]
    causes = rank(ONSET, 60, changes, [found])
    assert [cause.name for cause in causes if cause.kind == "change"] == [
        "prompt: prompt v7 to 30 %",
        "index: rebuilt",
        "prompt: long ago",
        "dependency: openai 2.9",
        "model: other model",
    ]
    assert causes[0].name == "prompt: prompt v7 to 30 %"
    assert causes[0].explained == pytest.approx(1.0, abs=0.01)
    late = next(cause for cause in causes if cause.name == "model: other model")
    assert (late.score, late.explanation) == (0.0, "It came 60 minutes after it began.")


def test_timing_is_whole_at_the_onset_and_halves_every_two_hours() -> None:
    assert [timing(ONSET - hours * HOUR, ONSET, 60) for hours in (0, 2, 4)] == [1.0, 0.5, 0.25]
    assert timing(ONSET + 59, ONSET, 60) == 1.0
    assert timing(ONSET + 61, ONSET, 60) == 0.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"changes": [{"title": "x"}]}, "changes[0].at is missing"),
        ({"changes": [{"at": 3}]}, "changes[0].title is missing"),
        ({"changes": [{"at": 3, "title": "x", "touches": 4}]}, "changes[0].touches is no object"),
        ({"changes": 3}, "changes must be a list"),
        ({"slices": [{"calls_before": 1}]}, "slices[0].before must be a number"),
        ({"onset": "2026-01-01"}, "onset is missing or no instant"),
    ],
)
def test_the_command_ends_with_2_and_names_the_place(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    file = tmp_path / "case.json"
    file.write_bytes(orjson.dumps(GOOD | wrong))
    told = CliRunner().invoke(app, ["rca", "rank", str(file)])
    assert told.exit_code == 2
    assert said in told.stderr.replace("\n", " ")


def test_the_command_answers_with_components_causes_and_a_hash_that_anybody_can_compute(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    slices = [
        {"dimension": "version", "value": "1", "calls_before": 100, "before": 20, "calls_after": 0, "after": 0},
        {"dimension": "version", "value": "2", "calls_before": 0, "before": 0, "calls_after": 100, "after": 50},
    ]
    changes = [{"at": "1970-01-01T00:09:00Z", "kind": "deploy", "title": "version 2", "touches": {"version": "2"}}]
    file.write_bytes(orjson.dumps(GOOD | {"slices": slices, "changes": changes}))
    told = CliRunner().invoke(app, ["rca", "rank", "--json", str(file)])
    assert told.exit_code == 0, told.stderr
    answer = orjson.loads(told.stdout)
    assert answer["components"][0]["component"] == "web"
    assert answer["causes"][0]["name"] == "deploy: version 2"
    hashed = answer.pop("sha256")
    assert hashed == hashlib.sha256(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS)).hexdigest()
    assert CliRunner().invoke(app, ["rca", "rank", str(file)]).exit_code == 0


def test_nothing_worse_is_the_answer_no(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    web = {"calls": [10, 10, 10], "latency_seconds": [0.2, 0.2, 0.2]}
    file.write_bytes(orjson.dumps(GOOD | {"components": {"web": web}}))
    told = CliRunner().invoke(app, ["rca", "rank", str(file)])
    assert told.exit_code == 1
    assert "not worse" in told.stderr
