"""`price usage`: what a call costs, from the provider's own usage object; `price compare`: a second table beside ours.
Nothing else is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import typer

from afterlaunch.cli.output import answer, fail, given, plainly

price = typer.Typer(no_args_is_help=True, help="Prices of model calls.")


@price.callback()
def _price() -> None:
    """Prices of model calls."""


@price.command("usage")
@plainly
def usage(
    file: Path | None = typer.Argument(None, help="The question as JSON, or one a line. Without it, or as -: stdin."),
    json: bool = typer.Option(False, "--json", help="The answer is one JSON document with and without it."),
) -> None:
    """What a call costs: provider, model, time and the provider's own usage object in; exclusive buckets, price and
    amount of each, total, where the price is from and how sure it is out. An unknown cost is null with its reason. A
    list of questions gives a list of answers. See docs/prices.md.
    """
    from afterlaunch.prices.oneshot import answer as priced

    answer(priced(_read(file)))


def _read(file: Path | None) -> Any:
    body = given(file)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        lines = [line for line in body.splitlines() if line.strip()]
        try:
            if len(lines) > 1:
                return [orjson.loads(line) for line in lines]
        except orjson.JSONDecodeError:
            pass
        where = f"line {problem.lineno}, column {problem.colno}"
        fail(f"The question is no JSON: {problem.msg.split(':')[0]} ({where}).", "See docs/prices.md.", code=2)


@price.command("compare")
@plainly
def compare(
    file: Path | None = typer.Argument(None, help="LiteLLM's model_prices JSON. Without it, or as -: stdin."),
    provider: str = typer.Option("", help="Only models of this provider."),
    at: str = typer.Option("", help="When the prices held here, in ISO 8601. Default: now."),
    json: bool = typer.Option(False, "--json", help="The answer is one JSON document."),
) -> None:
    """Where the bundled table and a second one disagree, in words. The second is a file that you give, in LiteLLM's
    format; nothing is priced by it and nothing is downloaded. Ends with 1 where they disagree.
    """
    from afterlaunch.ground import clock
    from afterlaunch.prices import witness

    table = witness.read(given(file, witness.LARGEST + 1))
    found = witness.compare(table, _instant(at) if at else clock.now()).of(provider)
    if json:
        answer(found.document())
    else:
        for one in found.disagreements:
            typer.echo(one.words)
        typer.echo(found.words)
    if found.disagreements:
        raise typer.Exit(1)


def _instant(told: str) -> datetime:
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        fail(f"{told!r} is no time.", "For example 2026-11-22 or 2026-11-22T12:00:00Z.", code=2)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
