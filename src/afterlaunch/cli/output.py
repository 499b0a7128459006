"""How commands speak: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import orjson
import typer

from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.ground.settings import WrongSetting

P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:
    from rich.console import Console

    messages: Console


@cache
def _console() -> Console:
    """Made when the first message is: an answer alone needs none, and Rich takes longer to load than many a judge."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def __getattr__(name: str) -> Any:
    if name == "messages":
        return _console()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def say(text: str) -> None:
    """A message for the person, on stderr."""
    _console().print(text, soft_wrap=True)


def answer(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def fail(text: str, hint: str = "", code: int = 1) -> NoReturn:
    """End with 1 (the answer is no) or 2 (wrong use)."""
    from rich.markup import escape

    _console().print(f"[red]{escape(text)}[/red]" + (f"\n{escape(hint)}" if hint else ""), soft_wrap=True)
    raise typer.Exit(code)


def given(file: Path | None, most: int = -1) -> bytes:
    """What a command is asked: the file, or stdin where it is none or `-`, of which at most so many bytes are read."""
    try:
        return sys.stdin.buffer.read(most) if file is None or str(file) == "-" else file.read_bytes()
    except OSError as problem:
        fail(f"{file} can't be read: {problem.strerror}.", code=2)


def plainly(function: Callable[P, R]) -> Callable[P, R]:
    """Our own errors end a command with a sentence, not with a traceback."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except WrongSetting as problem:
            fail(str(problem), code=2)
        except AfterlaunchError as problem:
            fail(problem.message, problem.hint, code=2 if problem.status == 400 else 1)
        except MemoryError:
            fail("There is not enough memory for this.", "Give it more, or less to read at once.")

    return wrapped


def with_data(data: str | None) -> None:
    """Set Django up on the data folder, for commands that work on it directly."""
    if data:
        os.environ["AFTERLAUNCH_DATA"] = data
    from afterlaunch.app.server import prepare
    from afterlaunch.ground.settings import reload

    reload()
    prepare(say)
