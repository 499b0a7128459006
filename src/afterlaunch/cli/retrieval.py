"""`retrieval score`: two files are all that is needed."""

from __future__ import annotations

from pathlib import Path

import typer

from afterlaunch.cli.output import answer, fail, given, plainly, say

retrieval = typer.Typer(no_args_is_help=True, help="Measures of search.")


@retrieval.callback()
def _retrieval() -> None:
    """Measures of search."""


@retrieval.command("score")
@plainly
def score(
    qrels: Path = typer.Argument(..., help="Judgements: query, iteration, document, grade on a line. - is stdin."),
    run: Path = typer.Argument(..., help="What was retrieved: query, Q0, document, rank, score, run on a line."),
    measures: list[str] = typer.Option(
        [], "-m", "--measure", help="A measure, P.5,10 with parameters, or a set: official, set, all_trec, qrels_jg."
    ),
    queries: bool = typer.Option(False, "-q", "--queries", help="Each query too, not only all of them."),
    no_summary: bool = typer.Option(False, "-n", "--no-summary", help="Leave the summary out."),
    complete: bool = typer.Option(False, "-c", "--complete", help="Judged queries without results count as nothing."),
    level: int = typer.Option(1, "-l", "--level", help="The least grade that is relevant."),
    most: int = typer.Option(1 << 31, "-M", "--most", min=1, help="Documents looked at for each query."),
    judged_only: bool = typer.Option(False, "-J", "--judged-only", help="Leave unjudged documents out of the ranking."),
    collection: int = typer.Option(0, "-N", "--collection", min=0, help="Documents there are; for utility."),
    form: str = typer.Option(
        "qrels", "-R", "--form", help="qrels, qrels_jg (groups of judges in field 2), prefs, qrels_prefs."
    ),
    reference: Path | None = typer.Option(
        None, "-Z", "--reference", help="Means and deviations: scores are told as distances from them."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON document, with every query and full digits."),
) -> None:
    """Score a retrieval run against judgements, with the measures, options and output of trec_eval: precision, recall,
    MAP, MRR, nDCG, bpref and more. Exit 1 when no query has both results and judgements. See docs/retrieval.md."""
    from afterlaunch.rankings import files, shown
    from afterlaunch.rankings.measures import FORMS
    from afterlaunch.rankings.scoring import Choice
    from afterlaunch.rankings.scoring import score as scored

    if form not in FORMS:
        fail(f"There is no form {form!r}.", f"Forms: {', '.join(FORMS)}", code=2)
    if level < 1:
        fail("The least relevant grade is 1 or more.", code=2)
    choice = Choice(tuple(measures), complete, level, most, judged_only, collection, form)
    known = files.reference(given(reference)) if reference else None
    body = given(qrels)
    judged = (
        files.preferences(body, form == "prefs") if form.endswith("prefs") else files.qrels(body, form == "qrels_jg")
    )
    told = scored(judged, files.run(given(run)), choice, known)
    if json:
        answer(shown.document(told))
    else:
        for line in shown.lines(told, queries, not no_summary):
            typer.echo(line.encode("utf-8", "surrogateescape"))
        if told.without_judgements:
            say(f"{len(told.without_judgements)} queries of the run have no judgements and are left out.")
    if told.all is None:
        fail("Not assessed: no query has both results and judgements.")
