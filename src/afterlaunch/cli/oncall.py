"""`oncall shifts`: nothing but a schedule's file is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
import yaml

from afterlaunch.cli.output import answer, fail, given, plainly
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.yaml_text import load

oncall = typer.Typer(no_args_is_help=True, help="Schedules.")
LIMIT = 5 * 1024 * 1024


@oncall.callback()
def _group() -> None:
    """Schedules."""


@oncall.command("shifts")
@plainly
def shifts(
    file: Path | None = typer.Argument(None, help="The schedule as JSON or YAML. Without it, or as -: stdin."),
    since: str | None = typer.Option(
        None, "--from", help="Beginning, as 2026-03-02, 2026-03-02T09:00 or with a zone. Default: now."
    ),
    until: str | None = typer.Option(
        None, "--to", help="End, in the same forms. Default: 28 days after the beginning."
    ),
    fail_on_gap: bool = typer.Option(False, "--fail-on-gap", help="Exit 1 when nobody is on call at some time."),
    json: bool = typer.Option(False, "--json", help="The answer is one JSON document with and without it."),
) -> None:
    """Who is on call when: the final shifts of a schedule, with layers, temporary schedules and overrides put together,
    and the gaps. The same rules as the server's, without any server. See docs/on-call.md."""
    from afterlaunch.ground import clock
    from afterlaunch.oncall.oneshot import shifts as judged

    told = judged(_read(file), since, until, clock.now())
    answer(told)
    if fail_on_gap and told["gaps"]:
        raise typer.Exit(1)


def _read(file: Path | None) -> Any:
    """JSON is YAML, too."""
    body = given(file, LIMIT + 1)
    if len(body) > LIMIT:
        fail("The schedule is larger than 5 MiB.", code=2)
    try:
        return load(body)
    except Invalid as problem:
        fail(f"The schedule is not read: {problem.message}", problem.hint, code=2)
    except (yaml.YAMLError, ValueError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        why = getattr(problem, "problem", None) or str(problem).splitlines()[0]
        fail(f"The schedule is neither JSON nor YAML: {why}{where}.", "See docs/on-call.md for its form.", code=2)
