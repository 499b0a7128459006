"""`afterlaunch oncall shifts` on files, right and wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.oncall.documents import camel

DOCS = Path(__file__).resolve().parents[4] / "docs" / "on-call.md"
MARCH = ["--from", "2026-03-02T09:00", "--to", "2026-03-30"]


def run(text: str, *more: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["oncall", "shifts", "-", *more], input=text)
    return done.exit_code, done.stdout, done.stderr


def example() -> str:
    if not DOCS.exists():
        pytest.skip("the docs are not beside the package")
    return str(re.findall(r"```text\n(.*?)```", DOCS.read_text(), re.DOTALL)[0])


def test_the_example_of_the_docs_gives_the_answer_of_the_docs() -> None:
    code, out, _ = run(example(), *MARCH)
    told, shown = json.loads(out), json.loads(re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)[0])
    assert code == 0 and (told["from"], told["to"]) == (shown["from"], shown["to"])
    assert shown["shifts"][0] in told["shifts"] and told["gaps"] == shown["gaps"]
    people = {one["person"] for one in told["shifts"]}
    assert people == {"ada", "ben", "cleo", "dora", "emil", "tim", "zoe"}


def test_a_file_in_json_and_snake_case_is_the_same() -> None:
    import yaml

    whole = yaml.safe_load(example().replace("timeZone", "time_zone").replace("advanceOn", "advance_on"))
    assert json.loads(run(json.dumps(whole, default=str), *MARCH)[1]) == json.loads(run(example(), *MARCH)[1])
    assert camel({"a_b": [{"c_d": 1}]}) == {"aB": [{"cD": 1}]}


def test_a_gap_is_an_answer_of_no_when_asked_so() -> None:
    assert run(example(), *MARCH, "--fail-on-gap")[0] == 1
    assert run(example(), "--from", "2026-03-02T09:00", "--to", "2026-03-04", "--fail-on-gap")[0] == 0


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ("{a: [", [], "line"),
        ("[]", [], "must be a mapping"),
        ("{}", [], "either layers or versions"),
        ("{layers: [], colour: red}", [], "no field 'colour'"),
        ("{timeZone: Mars, layers: []}", [], "timeZone"),
        ("{layers: [{name: a}]}", [], "layers[0] needs exactly one of"),
        ("{layers: [{name: a, rotation: {type: weekly, members: [b]}}]}", [], "layers[0].rotation lacks start"),
        ("{layers: [{name: a, calendar: x}]}", [], "calendar 'x'"),
        ("{layers: [], overrides: [{type: replace, person: a, from: 2026-01-01, to: 2026-01-02}]}", [], "overrides[0]"),
        ("{layers: [], overrides: [{type: add, person: a, from: 2026-01-02, to: 2026-01-01}]}", [], "ends before"),
        ("{layers: []}", ["--from", "yesterday"], "--from"),
        ("{layers: []}", ["--from", "2026-01-02", "--to", "2026-01-01"], "--to must be later"),
        ("kind: Route\nspec: {}", [], "kind 'Route'"),
        ("[" * 200 + "]" * 200, [], "nested more than 100 deep"),
        (
            "a: &a [1, 2, 3, 4]\n"
            + "\n".join(f"k{n}: &k{n} [{', '.join(['*' + ('a' if not n else f'k{n - 1}')] * 9)}]" for n in range(9)),
            [],
            "aliases",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, more: list[str], says: str) -> None:
    code, out, said = run(text, *more)
    assert code == 2 and out == "" and says in " ".join(said.split())
