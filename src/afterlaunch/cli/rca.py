"""`rca rank`: which component or change made a system worse, from a file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from afterlaunch.cli.output import answer, plainly, say

rca = typer.Typer(no_args_is_help=True, help="Root causes, from files.")


@rca.callback()
def group() -> None:
    """Root causes, from files."""


@rca.command("rank")
@plainly
def rank(
    case: Path = typer.Argument(..., help="A JSON document, or a folder with metrics.csv and target.json."),
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
    top: int = typer.Option(5, "--top", min=1, help="How many to print."),
) -> None:
    """Rank components, changes and slices by how much of a deterioration they explain. Exit 1 when nothing is worse
    or nothing can be compared."""
    from afterlaunch.diagnosis.files import answer as ranked

    document = ranked(case)
    if json:
        answer(document)
    else:
        _print(document, top)
    if document["reason"] not in ("blamed", "ranked"):
        raise typer.Exit(1)


def _print(document: dict[str, Any], top: int) -> None:
    say(document["explanation"])
    for row in document["components"][:top]:
        typer.echo(f"{row['rank']:>3}  {row['share']:>6.1%}  {row['component']}")
    if document["causes"]:
        say("What changed:")
    for cause in document["causes"][:top]:
        typer.echo(f"{cause['rank']:>3}  {cause['score']:>6.2f}  {cause['name']}: {cause['explanation']}")
