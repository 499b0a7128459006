"""Where the program starts. A judge that needs no server loads its own commands alone: a pipeline calls it often, and
the rest of the command line would cost it more than its answer."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

ALONE = ("anomalies", "data", "drift", "retrieval")


def run() -> None:
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked not in ALONE:
        from afterlaunch.cli.main import run as run_all

        run_all()
        return
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_nothing)
    app.add_typer(getattr(import_module(f"afterlaunch.cli.{asked}"), asked), name=asked)
    app()


def _nothing() -> None:
    """Keeps AI systems healthy after launch."""
