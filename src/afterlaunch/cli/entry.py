"""Where the program starts. A judge that needs no server loads its own commands alone: a pipeline calls it often, and
the rest of the command line would cost it more than its answer."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

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

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_nothing)
    app.add_typer(getattr(import_module(f"afterlaunch.cli.{asked}"), asked), name=asked)
    app()


def _nothing() -> None:
    """Keeps AI systems healthy after launch."""
