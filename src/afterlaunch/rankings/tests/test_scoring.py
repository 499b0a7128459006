"""Rankings by hand, options, bad files."""

from __future__ import annotations

from math import exp, log, log2
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
from afterlaunch.rankings import files, shown
from afterlaunch.rankings.files import Groups, Run
from afterlaunch.rankings.measures import ALL, BY_NAME, SETS
from afterlaunch.rankings.scoring import Choice, Scores, score

runner = CliRunner()


def scored(grades: dict[str, int], order: str, *measures: str, **more: Any) -> dict[str, Any]:
    run = Run("r", {"1": {name: 100.0 - i for i, name in enumerate(order)}})
    return score({"1": {"": grades}}, run, Choice(measures, **more)).queries["1"]


def test_graded_documents_count_by_their_grade() -> None:
    told = scored({"a": 3, "b": 0, "c": 1, "d": 2}, "bac", "ndcg", "ndcg_cut.2", "dcg", "map", "recall.2", "P.2")
    ideal = 3 + 2 / log2(3) + 1 / 2
    assert told["dcg"] == pytest.approx(3 / log2(3) + 1 / 2)
    assert told["ndcg"] == pytest.approx((3 / log2(3) + 1 / 2) / ideal)
    assert told["ndcg_cut_2"] == pytest.approx(3 / log2(3) / (3 + 2 / log2(3)))
    assert told["map"] == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert (told["recall_2"], told["P_2"]) == (pytest.approx(1 / 3), 0.5)


def test_from_a_higher_level_fewer_are_relevant() -> None:
    assert scored({"a": 3, "b": 1}, "ba", "num_rel", "recip_rank", level=2) == {"num_rel": 1, "recip_rank": 0.5}


def test_equal_scores_put_the_later_name_first() -> None:
    run = Run("r", {"1": {"a": 1.0, "b": 1.0}})
    assert score({"1": {"": {"b": 1}}}, run, Choice(("recip_rank",))).queries["1"]["recip_rank"] == 1.0


def test_gains_may_be_told() -> None:
    told = scored({"a": 1, "b": 2}, "ab", "ndcg.1=3,2=9")
    assert told["ndcg_1=3,2=9"] == pytest.approx((3 + 9 / log2(3)) / (9 + 3 / log2(3)))


def test_unjudged_documents_may_be_left_out() -> None:
    assert scored({"b": 1}, "ab", "recip_rank", judged_only=True)["recip_rank"] == 1.0


def test_only_the_first_may_be_looked_at() -> None:
    assert scored({"b": 1}, "ab", "num_ret", "num_rel_ret", most=1) == {"num_ret": 1, "num_rel_ret": 0}


def test_relevance_string_names_each_kind() -> None:
    grades = {"a": 0, "b": 12, "c": -1, "d": 2}
    assert scored(grades, "abcdx", "relstring", "relstring.2")["relstring_2"] == "0>"
    assert scored(grades, "abcdx", "relstring")["relstring"] == "0>.2-"


JUDGED: dict[str, Groups] = {"1": {"": {"a": 1}}, "2": {"": {"a": 1, "b": 1}}}


def test_judged_queries_without_results_count_as_nothing_found_when_asked() -> None:
    told = score(JUDGED, Run("r", {"1": {"a": 1.0}}), Choice(("official",), complete=True)).all
    assert told is not None
    assert (told["num_q"], told["num_rel"], told["map"]) == (2, 3, 0.5)
    assert told["gm_map"] == pytest.approx(exp(log(0.00001) / 2))


def test_no_query_in_common_is_not_assessed() -> None:
    told = shown.document(score(JUDGED, Run("r", {"3": {"a": 1.0}}), Choice()))
    assert (told["verdict"], told["reason"], told["all"]) == ("not_assessed", "no_query_in_common", None)
    assert told["results_without_judgements"] == ["3"]


def test_nothing_relevant_is_zero_and_never_an_error() -> None:
    told = scored({"a": 0}, "ab", *(one.name for one in ALL if one.judged == "qrels"))
    assert told["ndcg"] == told["map"] == told["iprec_at_recall_0.00"] == told["bpref"] == 0.0


def test_groups_of_judges_count_alike() -> None:
    judged = {"1": {"x": {"a": 1}, "y": {"b": 1}}}
    told = score(judged, Run("r", {"1": {"a": 2.0, "b": 1.0}}), Choice(("map_avgjg",), form="qrels_jg"))
    assert told.queries["1"]["map_avgjg"] == 0.75


PREFERRED = b"1 u s a 3\n1 u s b 1\n1 u s c 0\n1 v s b 2\n1 v s a 1\n"


def preferred(body: bytes, order: str, *measures: str) -> dict[str, Any]:
    run = Run("r", {"1": {name: 100.0 - i for i, name in enumerate(order)}})
    return score(files.preferences(body), run, Choice(measures, form="prefs")).queries["1"]


def test_preferences_of_judges_are_kept_or_not() -> None:
    """a before b before c for one judge, b before a for the other; c is not retrieved."""
    assert preferred(PREFERRED, "axb", "all_prefs") == {
        "prefs_num_prefs_poss": 4,
        "prefs_num_prefs_ful": 3,
        "prefs_num_prefs_ful_ret": 1,
        "prefs_simp": 0.75,
        "prefs_pair": pytest.approx((0.5 + 1 + 1) / 3),
        "prefs_avgjg": 0.5,
        "prefs_avgjg_Rnonrel": pytest.approx(((3 + 2) / (3 + 2) + (0 + 2 * 2) / (1 + 2 * 2)) / 2),
        "prefs_simp_ret": 0.5,
        "prefs_pair_ret": 0.5,
        "prefs_avgjg_ret": 0.5,
        "prefs_avgjg_Rnonrel_ret": pytest.approx(((1 + 2 * 2) / (1 + 2 * 2) + (0 + 2 * 2) / (1 + 2 * 2)) / 2),
        "prefs_simp_imp": 0.75,
        "prefs_pair_imp": pytest.approx((0.5 + 1 + 1) / 3),
        "prefs_avgjg_imp": 0.5,
    }


def test_preferences_of_subgroups_are_put_together() -> None:
    body = b"1 u s a 2\n1 u s b 1\n1 u t b 2\n1 u t c 1\n"
    assert preferred(body, "abc", "prefs_num_prefs_poss", "prefs_simp") == {
        "prefs_num_prefs_poss": 3,
        "prefs_simp": 1.0,
    }
    with pytest.raises(Invalid, match="contradicts itself"):
        preferred(body + b"1 u w c 2\n1 u w a 1\n", "abc", "prefs_simp")


def test_qrels_may_be_read_as_preferences() -> None:
    folder = real("data/retrieval/trec_eval")
    given = [str(folder / "qrels.test"), str(folder / "results.test")]
    told = runner.invoke(app, ["retrieval", "score", "-R", "qrels_prefs", "-q", "-m", "prefs_num_prefs_poss", *given])
    assert told.stdout.splitlines()[0] == f"{'prefs_num_prefs_poss':<22}\t301\t{474 * 1234}"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("nonsense", "no measure"),
        ("map.3", "no parameters"),
        ("P.0", "cutoffs are positive"),
        ("P.5,5", "told once"),
        ("P.five", "not understood"),
        ("ndcg.1", "not understood"),
        ("utility.1,2", "takes 4 numbers"),
        ("map_avgjg", "form qrels_jg"),
    ],
)
def test_a_wrong_measure_is_named(asked: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        scored({"a": 1}, "a", asked)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"1 0 a", "Line 1 of the judgements has 3 fields"),
        (b"1 0 a 1\n1 0 a 0", "Line 2 of the judgements judges a of query 1 a second time"),
        (b"1 0 a 1.5", "the grade '1.5'"),
        (b"1 0 a 1e999", "the grade '1e999'"),
        (b"# nothing\n\n", "no judgement"),
        ("1 0 a 1".encode("utf-16"), "zero byte"),
    ],
)
def test_bad_judgements_name_the_line(body: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        files.qrels(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"1 Q0 a 1 0.5", "5 fields"),
        (b"1 Q0 a 1 nan r", "Line 1 of the run has the score 'nan'"),
        (b"1 Q0 a 1 x r", "no number"),
        (b"1 Q0 a 1 1 r\n1 Q0 a 2 1 r", "Line 2 of the run has a of query 1 a second time"),
        (b"", "no result"),
    ],
)
def test_bad_runs_name_the_line(body: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        files.run(body)


def test_the_command_ends_with_one_when_nothing_could_be_scored(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("1 0 a 1\n")
    (tmp_path / "r").write_text("2 Q0 a 1 1 r\n")
    told = runner.invoke(app, ["retrieval", "score", "--json", str(tmp_path / "q"), str(tmp_path / "r")])
    assert told.exit_code == 1
    assert orjson.loads(told.stdout)["verdict"] == "not_assessed"
    (tmp_path / "r").write_text("2 Q0 a\n")
    assert runner.invoke(app, ["retrieval", "score", str(tmp_path / "q"), str(tmp_path / "r")]).exit_code == 2


@settings(max_examples=60, deadline=None)
@given(some.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (files.qrels, files.run, files.reference, files.preferences):
        try:
            read(body)
        except Invalid as problem:
            assert problem.message


names = some.sampled_from("abcdefgh")


@settings(max_examples=60, deadline=None)
@given(
    some.dictionaries(names, some.integers(-1, 4), min_size=1),
    some.dictionaries(names, some.floats(allow_nan=False), min_size=1),
    some.integers(1, 3),
)
def test_every_measure_of_any_ranking_is_a_number(grades: dict[str, int], found: dict[str, float], level: int) -> None:
    told: Scores = score({"1": {"": grades}}, Run("r", {"1": found}), Choice(("all_trec",), level=level))
    assert told.all is not None
    for name, value in told.queries["1"].items():
        share = name.split("_")[0] in ("P", "recall", "map", "ndcg", "success", "set", "recip")
        assert isinstance(value, str) or not share or -1e-9 <= value <= 1 + 1e-9, name
    assert set(SETS["all_trec"]) <= set(BY_NAME)
