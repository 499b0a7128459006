"""`slo`: objectives in a file, without a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from afterlaunch.cli.output import answer, fail, messages, plainly, say
from afterlaunch.slo.durations import Duration, duration
from afterlaunch.slo.explain import AlertWindows, Explained, columns, explain, windows_of
from afterlaunch.slo.openslo.problems import Findings, Problem

slo = typer.Typer(no_args_is_help=True, help="Service level objectives.")
HEADINGS = ("SLO", "objective", "alert", "long", "short", "factor", "error rate above", "")


def _read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        fail(f"{file} is no text.", code=2)
    except OSError as problem:
        fail(f"{file} cannot be read: {problem.strerror}.", code=2)


def _period(text: str) -> Duration:
    try:
        return duration(text)
    except ValueError as problem:
        fail(f"--period: {problem}.", code=2)


def _windows(file: Path | None, json: bool) -> AlertWindows | None:
    if file is None:
        return None
    findings = Findings()
    found = windows_of(_read(file), str(file), findings)
    if found is None:
        _wrong(findings.errors, json)
    return found


def _wrong(errors: list[Problem], json: bool) -> None:
    if json:
        answer({"errors": [one.as_document() for one in errors]})
    for one in errors:
        say(f"[red]{escape(str(one))}[/]")
    raise typer.Exit(2)


@slo.command("rules")
@plainly
def rules(
    file: Path = typer.Argument(..., help="OpenSLO v1, or Sloth's format; - is standard input."),
    period: str = typer.Option("30d", "--period", help="Of files that tell none (Sloth's)."),
    windows: Path | None = typer.Option(None, "--windows", help="Other windows: a document of kind AlertWindows."),
    join: bool = typer.Option(False, "--join-windows", help="Two conditions that look like one pair of windows are."),
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
) -> None:
    """Show windows, factors and pairs that can never fire; print Prometheus rules as YAML.

    Exit 1 when a pair can never fire, 2 when the file is wrong.
    """
    found = explain(_read(file), str(file), _period(period), _windows(windows, json), join)
    if json:
        answer(found.as_document())
    if found.errors:
        _wrong(found.errors, json=False)
    if not json:
        _show(found)
    if found.dead:
        raise typer.Exit(1)


def _show(found: Explained) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in columns(found.slos):
        table.add_row(*map(escape, row))
    messages.print(table)
    for notice in found.notices:
        say(f"[yellow]{escape(str(notice))}[/]")
    for said in (pair["said"] for one in found.slos for pair in one["pairs"] if pair["said"]):
        say(f"[red]{escape(said)}[/]")
    sys.stdout.write(yaml.dump({"groups": found.groups}, Dumper=_Rules, sort_keys=False, allow_unicode=True, width=120))


class _Rules(yaml.SafeDumper):
    """Expressions of several lines as they are read."""


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Rules.add_representer(str, _text)
