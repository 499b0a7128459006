"""`data infer` and `data check`: a table and its contract are all that is needed."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import typer

from afterlaunch.cli.output import answer, fail, given, plainly, say

data = typer.Typer(no_args_is_help=True, help="Contracts of tables.")
ENCODING = typer.Option("utf-8", "--encoding", help="Of a CSV file.")
DELIMITER = typer.Option("", "--delimiter", help="Of a CSV file; found by itself unless told.")


@data.callback()
def _data() -> None:
    """Contracts of tables."""


@data.command("infer")
@plainly
def infer(
    table: Path = typer.Argument(..., help="CSV or Parquet."),
    output: Path | None = typer.Option(None, "-o", "--output", help="Write the draft here, not on stdout."),
    name: str = typer.Option("", "--name", help="Of the contract; the file's name unless told."),
    owner: str = typer.Option("unknown", "--owner", help="Who answers for the table."),
    encoding: str = ENCODING,
    delimiter: str = DELIMITER,
) -> None:
    """Draft a contract from a table, dirty as it may be: types, nulls, ranges, sets, patterns, keys, dependencies
    between columns, volume, freshness. A person confirms it. See docs/data-contracts.md."""
    from afterlaunch.data_contracts.contract import write
    from afterlaunch.data_contracts.inference import ENOUGH
    from afterlaunch.data_contracts.inference import infer as inferred
    from afterlaunch.data_contracts.tables import Text

    contract = inferred(Text(table, encoding, delimiter), name or table.stem, owner)
    body = write(contract)
    rows = (contract.volume[1] or 0) // 2 if contract.volume else 0
    if 0 < rows < ENOUGH:
        say(f"From {rows:,} records this is a sketch: {ENOUGH:,} are needed for a draft.")
    if not rows:
        say("The table is empty, or longer than what was read of it: the draft asks for no volume.")
    if output:
        output.write_text(body, encoding="utf-8")
    else:
        typer.echo(body, nl=False)


@data.command("check")
@plainly
def check(
    table: Path = typer.Argument(..., help="CSV or Parquet."),
    contract: Path = typer.Option(..., "--contract", help="YAML of kind DataContract."),
    cells: Path | None = typer.Option(None, "--cells", help="Write every cell that breaks a rule here, as CSV."),
    now: str | None = typer.Option(None, "--now", help="Judge freshness as of then, not now."),
    encoding: str = ENCODING,
    delimiter: str = DELIMITER,
    json: bool = typer.Option(False, "--json", help="One JSON document on stdout, with up to 100,000 cells."),
) -> None:
    """Check a table against its contract: quality score with its parts, rules broken, changes of schema. Exit 0: ok; 1:
    below 95 % clean records, at risk, failing or not assessed; 2: a file or an option is wrong."""
    # Arrow's own allocator reserves a gigabyte of addresses at once, which a limit may not have.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from afterlaunch.data_contracts import shown
    from afterlaunch.data_contracts.cells import instant
    from afterlaunch.data_contracts.checking import Check
    from afterlaunch.data_contracts.contract import read
    from afterlaunch.data_contracts.tables import Text
    from afterlaunch.ground import clock

    at = clock.now() if now is None else instant(now)
    if at is None:
        fail(f"--now {now!r} is no instant.", "Write it like 2026-08-21T12:00:00Z.", code=2)
    at = at if at.tzinfo else at.replace(tzinfo=clock.now().tzinfo)
    text = Text(table, encoding, delimiter)
    judged = Check(text, read(given(contract)), at)
    try:
        with cells.open("w", encoding="utf-8", newline="") if cells else nullcontext(None) as out:
            report, kept = shown.run(judged, out, shown.MOST_CELLS if json else 0)
    except OSError as problem:
        fail(f"{problem.filename}: {problem.strerror}.", code=2)
    if json:
        answer(shown.document(report, kept))
    else:
        for line in shown.lines(report):
            typer.echo(line)
    if report.verdict != "ok":
        raise typer.Exit(1)
