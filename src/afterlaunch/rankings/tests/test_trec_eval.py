"""The very bytes of trec_eval's own expected outputs, from its own judgements and runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.real_input import real
from typer.testing import CliRunner

from afterlaunch.cli.main import app

runner = CliRunner()
CASES = {
    "out.test": ["{qrels.test}", "{results.test}"],
    "out.test.a": ["-m", "all_trec", "{qrels.test}", "{results.test}"],
    "out.test.aq": ["-m", "all_trec", "-q", "{qrels.test}", "{results.test}"],
    "out.test.aqZ": ["-m", "all_trec", "-q", "-Z", "{zscores_file}", "{qrels.test}", "{results.test}"],
    "out.test.qrels_jg": ["-m", "qrels_jg", "-q", "-R", "qrels_jg", "{qrels.123}", "{results.test}"],
}


@pytest.mark.parametrize("name", CASES)
def test_prints_what_trec_eval_prints(name: str) -> None:
    folder = real("data/retrieval/trec_eval")
    given = [str(folder / part[1:-1]) if part.startswith("{") else part for part in CASES[name]]
    told = runner.invoke(app, ["retrieval", "score", *given])
    assert told.exit_code == 0
    assert told.stdout == (folder / name).read_text()


def test_comments_in_the_judgements_change_nothing() -> None:
    folder = real("data/retrieval/trec_eval")
    given = [str(folder / "qrels.test.with-comments"), str(folder / "results.test")]
    assert runner.invoke(app, ["retrieval", "score", *given]).stdout == (folder / "out.test").read_text()


def test_one_query_scores_alone_as_it_does_among_others(tmp_path: Path) -> None:
    folder = real("data/retrieval/trec_eval")
    given = [str(folder / "qrels-302.test"), str(folder / "results-302.test")]
    alone = runner.invoke(app, ["retrieval", "score", "-q", "-n", "-m", "all_trec", *given]).stdout
    among = [line for line in (folder / "out.test.aq").read_text().splitlines() if "\t302\t" in line]
    assert alone.splitlines() == among
