"""Where the program starts. A judge that needs no server loads its own commands alone: a pipeline calls it often, and
the rest of the command line would cost it more than its answer."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import Any

ALONE = ("anomalies", "data", "drift", "retrieval")
# Threads for matrices and the search for plug-ins cost such a judge a sixth of its time and give it nothing.
SPARED = {"OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}


def run() -> None:
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked not in ALONE:
        from afterlaunch.cli.main import run as run_all

        run_all()
        return
    for name, value in SPARED.items():
        os.environ.setdefault(name, value)
    gc.set_threshold(50_000)  # what imports make is no garbage
    import typer

    group = getattr(import_module(f"afterlaunch.cli.{asked}"), asked)
    _at_once(group)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_nothing)
    app.add_typer(group, name=asked)
    app()


def _at_once(group: Any) -> None:
    """Ends the program where the call is plainly right; else returns."""
    from typer import Exit

    from afterlaunch.cli.shortcut import NotPlain, read

    name = sys.argv[2] if len(sys.argv) > 2 else ""
    chosen = next((one.callback for one in group.registered_commands if one.name == name and one.callback), None)
    if chosen is None:
        return
    try:
        given = read(chosen, sys.argv[3:])
    except NotPlain:
        return
    try:
        chosen(**given)
        sys.stdout.flush()
    except Exit as ended:
        sys.exit(ended.exit_code)
    except BrokenPipeError:  # whoever read it has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)


def _nothing() -> None:
    """Keeps AI systems healthy after launch."""
