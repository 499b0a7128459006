"""`apply` and `export`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data

DATA = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA.")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in (".yaml", ".yml"))
        return found or fail(f"{path} holds no .yaml files.", code=2)
    if not path.exists():
        fail(f"There is no file {path}.", code=2)
    return [path]


@plainly
def apply(
    file: Path = typer.Option(..., "-f", "--file", help="A YAML file, or a folder of them."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the difference, change nothing."),
    data: str | None = DATA,
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
) -> None:
    """Make the configuration so. Idempotent; shows a diff; all or nothing."""
    with_data(data)
    from afterlaunch.app.configuration.apply import apply as run
    from afterlaunch.app.configuration.apply import parse
    from afterlaunch.ground.actors import automation

    files = [(one.read_text(), str(one)) for one in _files(file)]
    documents = [document for text, name in files for document in parse(text, name)]
    differences = run(automation("local administrator"), documents, dry_run, files)
    if json:
        answer({"dry_run": dry_run, "changed": [vars(difference) for difference in differences]})
        return
    colours = {"+": "green", "-": "red", "~": "yellow"}
    for line in (line for difference in differences for line in difference.lines()):
        say(f"[{colours[line[0]]}]{line.replace('[', chr(92) + '[')}[/]")
    for difference in differences:
        if difference.secret:
            say(f"The key of {difference.name}, for its application; it is not shown again:")
            sys.stdout.write(difference.secret + "\n")
    done = "would change" if dry_run else "changed"
    say(f"{len(differences)} documents {done}." if differences else "Nothing to change.")


@plainly
def export(data: str | None = DATA) -> None:
    """Print the whole configuration as YAML; `apply` takes it back. Secrets are never in it."""
    with_data(data)
    from afterlaunch.app.configuration.apply import export as run
    from afterlaunch.app.configuration.apply import to_yaml
    from afterlaunch.app.configuration.people import left_out
    from afterlaunch.app.configuration.schedule_calendars import unnamed_calendars
    from afterlaunch.slo.openslo.exporting import every as slos

    sys.stdout.write(to_yaml(run()) + slos())
    if missing := left_out():
        say(f"{missing} contact methods are left out: their address is a secret, and no file said where it lies.")
    if missing := unnamed_calendars():
        say(f"The addresses of {missing} calendars are left out: write where they lie before applying this elsewhere.")
