"""`drift compare`: has a table drifted from its reference? From two files alone."""

from __future__ import annotations

from pathlib import Path

import typer

from afterlaunch.cli.output import answer, fail, plainly

drift = typer.Typer(no_args_is_help=True, help="Drift of data, from files.")
EXIT = {"no_drift": 0, "drift": 1, "not_assessed": 1}


@drift.callback()
def group() -> None:
    """Drift of data, from files."""


@drift.command("compare")
@plainly
def compare(
    reference: Path = typer.Argument(..., help="What the data looked like: CSV or Parquet."),
    current: Path = typer.Argument(..., help="What it looks like now: CSV or Parquet."),
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
    html: Path | None = typer.Option(None, "--html", help="Write a report with pictures to this file, too."),
    column: list[str] = typer.Option([], "--column", help="Compare only this column; may be repeated."),
    exclude: list[str] = typer.Option([], "--exclude", help="Leave this column out; may be repeated."),
    alpha: float = typer.Option(0.05, "--alpha", help="Chance that any column of a table without drift alarms."),
    line: float = typer.Option(0.2, "--line", help="PSI that counts as large."),
    tolerance: float = typer.Option(0.001, "--tolerance", help="PSI that does not matter, however sure it is."),
    strict: bool = typer.Option(False, "--strict", help="Exit 1 as soon as any column could not be assessed."),
    encoding: str = typer.Option("utf-8", "--encoding", help="Of CSV files."),
    delimiter: str = typer.Option("", "--delimiter", help="Of CSV files. Default: what the header has most."),
) -> None:
    """Compare a table with its reference, column by column: calibrated verdicts, one sentence each. Exit 0 without
    drift, 1 with drift or where nothing could be assessed, 2 on wrong use. See docs/drift.md."""
    import pyarrow as pa

    from afterlaunch.drift.evidence import Tolerance
    from afterlaunch.drift.judging import Limits
    from afterlaunch.drift.oneshot import compare as compared

    if not 0 < alpha < 1 or line <= 0 or tolerance < 0:
        fail("--alpha lies between 0 and 1, --line is above 0, --tolerance is not below 0.", code=2)
    if len(delimiter) > 1:
        fail("--delimiter is one character.", code=2)
    # Arrow's own allocator gives memory back between two batches and takes it again: a third of the reading.
    pa.set_memory_pool(pa.system_memory_pool())
    limits = Limits(alpha, line, Tolerance(tolerance))
    found = compared(reference, current, limits, encoding, delimiter, frozenset(column), frozenset(exclude))
    if html is not None:
        from afterlaunch.drift.report import page

        try:
            html.write_text(page(found, reference.name, current.name), encoding="utf-8")
        except OSError as problem:
            fail(f"{html} can't be written: {problem.strerror}.", code=2)
        typer.echo(f"Report: {html}", err=True)
    if json:
        answer(found.as_document())
    else:
        from afterlaunch.drift.text import table

        typer.echo(table(found))
    code = EXIT[found.verdict]
    if strict and any(one.state == "not_assessed" for one in found.columns):
        code = 1
    if code:
        raise typer.Exit(code)
