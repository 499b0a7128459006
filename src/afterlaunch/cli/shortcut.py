"""A call that is plainly right, read without the machinery for all the others, which builds a validator for every flag:
a judge of files would spend a fifth of its time on that. Whatever is not plain (help, a wrong flag, a value that is no
number) is left to it, with its words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo, OptionInfo, ParameterInfo

READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "str | None": str,
    "int": int,
    "int | None": int,
    "float": float,
    "float | None": float,
    "Path": Path,
    "Path | None": Path,
    "list[str]": str,
}
UNUSUAL = ("envvar", "callback", "parser", "min", "max", "exists", "is_eager", "resolve_path", "prompt", "count")


class NotPlain(Exception):
    """The usual way must read this call."""


def read(function: Callable[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """What a command is called with. Raises NotPlain."""
    told = inspect.signature(function).parameters
    flags: dict[str, tuple[str, str]] = {}
    places: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for name, parameter in told.items():
        info, kind = parameter.default, str(parameter.annotation)
        if not isinstance(info, ParameterInfo) or any(getattr(info, one, None) for one in UNUSUAL):
            raise NotPlain
        if info.default is not ...:
            found[name] = list(info.default) if isinstance(info.default, list) else info.default
        if isinstance(info, OptionInfo):
            for flag in info.param_decls or (f"--{name.replace('_', '-')}",):
                flags[flag] = name, kind
        elif isinstance(info, ArgumentInfo):
            places.append((name, kind))
    _fill(found, flags, places, list(words))
    if found.keys() != told.keys():
        raise NotPlain
    return found


def _fill(
    found: dict[str, Any], flags: dict[str, tuple[str, str]], places: list[tuple[str, str]], words: list[str]
) -> None:
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            if not places:
                raise NotPlain
            name, kind = places.pop(0)
            found[name] = _value(kind, word)
            continue
        flag, given, value = word.partition("=")
        if flag not in flags:
            raise NotPlain
        name, kind = flags[flag]
        if kind == "bool":
            if given:
                raise NotPlain
            found[name] = True
            continue
        if not given:
            if not words or words[0].startswith("-"):
                raise NotPlain
            value = words.pop(0)
        read_value = _value(kind, value)
        found[name] = [*found.get(name, []), read_value] if kind.startswith("list") else read_value


def _value(kind: str, word: str) -> Any:
    try:
        return READERS[kind](word)
    except (KeyError, ValueError):
        raise NotPlain from None
