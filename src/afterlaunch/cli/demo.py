"""`demo`: what `make demo` runs."""

from __future__ import annotations

import signal
import time
from types import FrameType

import typer
from rich.table import Table

from afterlaunch.cli.output import messages, say


def demo(
    once: bool = typer.Option(False, "--once", help="Play it, check the story, stop; exit 0 or 1."),
    port: int | None = typer.Option(None, help="Port of the server. Default: 8700, with --once a free one."),
    gateway_port: int | None = typer.Option(None, help="Port of the gateway. Default: 8701, with --once a free one."),
) -> None:
    """Play a night of a simulated AI system in front of the real product, in about 90 seconds."""
    try:
        from afterlaunch.demo.checks import check
        from afterlaunch.demo.director import Play
    except ModuleNotFoundError as problem:
        say(f"[red]The demo needs {problem.name}.[/red]\npip install 'afterlaunch[demo]'")
        raise typer.Exit(2) from None
    signal.signal(signal.SIGTERM, _interrupted)
    play = Play(say, port or (None if once else 8700), gateway_port or (None if once else 8701))
    good = False
    try:
        play.start()
        say(f"\nOpen  {play.link}\n")
        facts = play.play()
        table = Table(box=None)
        for heading in ("check", "result", "seen"):
            table.add_column(heading)
        results = check(facts)
        for row in results:
            table.add_row(row.name, "[green]ok[/green]" if row.good else "[red]no[/red]", row.said)
        messages.print(table)
        good = all(row.good for row in results)
        while not once:
            time.sleep(1)
    except KeyboardInterrupt:
        say("Stopping")
    finally:
        play.stop()
    if once and not good:
        raise typer.Exit(1)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
