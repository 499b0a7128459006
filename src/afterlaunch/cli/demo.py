"""`demo`: what `make demo` runs."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from afterlaunch.cli.output import fail, messages, say

if TYPE_CHECKING:
    from afterlaunch.demo.checks import Check
    from afterlaunch.demo.director import Play


def demo(
    once: bool = typer.Option(False, "--once", help="Play it, check the story, stop; exit 0 or 1."),
    port: int | None = typer.Option(
        None, help="Port of the server. Default: 8700 or the next free one; with --once any."
    ),
    gateway_port: int | None = typer.Option(None, help="Port of the gateway. Default: 8701, likewise."),
    mail_port: int | None = typer.Option(None, help="Port of the mail catcher's page. Default: 8702, likewise."),
) -> None:
    """Play a night of a simulated AI system in front of the real product, in about 90 seconds."""
    try:
        from afterlaunch.demo.checks import check
        from afterlaunch.demo.director import Play
    except ModuleNotFoundError as problem:
        say(f"[red]The demo needs {problem.name}.[/red]\npip install 'afterlaunch[demo]'")
        raise typer.Exit(2) from None
    signal.signal(signal.SIGTERM, _interrupted)
    usual = (None, None, None) if once else (8700, 8701, 8702)
    wanted = [given or default for given, default in zip((port, gateway_port, mail_port), usual, strict=True)]
    play: Play | None = None
    good = False
    try:
        play = Play(_tell, *wanted)
        play.start()
        _introduce(play)
        facts = play.play()
        good = _show(check(facts))
        if not once:
            _go_on(play)
    except KeyboardInterrupt:
        say("\nStopping")
    except RuntimeError as problem:
        fail(escape(str(problem)))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        if play is not None:
            play.stop()
    if once and not good:
        raise typer.Exit(1)


def _tell(text: str) -> None:
    say(escape(text))


def _introduce(play: Play) -> None:
    say("\n[bold]A night of a simulated support desk, in about 90 seconds.[/bold] Times below are the demo's.")
    say(f"  Pages  {play.link}\n         (signs you in once; press the button)")
    say(f"  Mails  {play.mail_url}\n")


def _show(results: list[Check]) -> bool:
    """Whether all are good."""
    width = max(len(row.name) for row in results)
    say("")
    for row in results:
        say(f"  {'[green]ok[/green]' if row.good else '[red]NO[/red]'}  {row.name:{width}}  {escape(row.said)}")
    good = sum(row.good for row in results)
    say(f"\n{good} of {len(results)} checks are well.")
    return good == len(results)


def _go_on(play: Play) -> None:
    """Until Ctrl-C."""
    play.go_on()
    say(f"\nThe support desk goes on in real time. Look round at {play.url}; Ctrl-C ends it.")
    if not messages.is_terminal:
        signal.pause()
    with messages.status("") as line:
        while True:
            line.update(play.standing())
            time.sleep(1)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
