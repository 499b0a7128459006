"""`sla due`: nothing but a question is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import typer

from afterlaunch.cli.output import answer, fail, given, plainly

sla = typer.Typer(no_args_is_help=True, help="Promised times.")


@sla.command("due")
@plainly
def due(
    file: Path | None = typer.Argument(None, help="The question as JSON. Without it, or as -: stdin."),
    json: bool = typer.Option(False, "--json", help="The answer is one JSON document with and without it."),
) -> None:
    """When a promise falls due, with every step: calendar, tier, severity, opened and pauses in, due times out. The
    same count as the server's, without any server. See docs/sla.md."""
    from afterlaunch.sla.oneshot import answer as judged

    answer(judged(_read(file)))


def _read(file: Path | None) -> Any:
    body = given(file)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        fail(
            f"The question is no JSON: {problem.msg.split(':')[0]} ({where}).", "See docs/sla.md for its form.", code=2
        )
