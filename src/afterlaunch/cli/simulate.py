"""`simulate`: months of operation in virtual time, and the checks."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.progress import Progress

from afterlaunch.cli.output import answer, fail, messages, plainly, say

if TYPE_CHECKING:
    from afterlaunch.simulation.play import Result


@plainly
def simulate(
    days: int = typer.Option(90, min=1, max=120, help="Days to play."),
    seed: int = typer.Option(1, help="The same seed plays the same."),
    alerts: int | None = typer.Option(None, min=1, help="Alerts to tell. Default: 2000 in 90 days."),
    kills: int | None = typer.Option(None, min=0, help="Times that the product is killed. Default: 200 in 90 days."),
    faults: list[str] = typer.Option([], help="Break the product on purpose: the checks must find it. See docs."),
    report: Path | None = typer.Option(None, help="Write the report to this file (Markdown)."),
    json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Play operation in virtual time against the real product, kill it on the way, and check that nothing was lost.
    Exit 1 when an invariant does not hold."""
    from afterlaunch.simulation.faults import FAULTS
    from afterlaunch.simulation.play import simulate as play

    broken = [name for one in faults for name in one.split(",") if name]
    if unknown := sorted(set(broken) - set(FAULTS)):
        fail(f"There is no fault {unknown[0]!r}.", "Faults: " + ", ".join(FAULTS), code=2)
    began = time.monotonic()
    wanted = (alerts or max(1, round(2000 * days / 90)), round(200 * days / 90) if kills is None else kills)
    with Progress(console=messages, transient=True) as progress:
        task = progress.add_task("Playing", total=days * 24.0)

        def moved(at: datetime) -> None:
            progress.update(task, description=f"{at:%Y-%m-%d}", advance=1)

        result = play(seed, days, *wanted, broken, moved)
    _show(result, time.monotonic() - began)
    _write(result, report, json)
    if not result.good:
        raise typer.Exit(1)


def _show(result: Result, seconds: float) -> None:
    for one in result.checks:
        mark = "[green]holds[/green]" if one.good else "[red]BROKEN[/red]"
        say(f"  {mark}  {one.name:18} {escape(one.title)} ({one.of} looked at)")
        for problem in one.problems[:5]:
            say(f"          {escape(problem)}")
        if len(one.problems) > 5:
            say(f"          and {len(one.problems) - 5} more")
    good = sum(one.good for one in result.checks)
    say(f"{good} of {len(result.checks)} hold; {seconds:.1f} s")


def _write(result: Result, report: Path | None, json: bool) -> None:
    from afterlaunch.simulation.report import document, markdown

    if report is not None:
        report.write_text(markdown(result))
        say(f"Written to {report}")
    if json:
        answer(document(result))
