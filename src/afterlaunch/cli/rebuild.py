"""`rebuild-telemetry`: calls and rollups anew from the raw spans, while no server runs."""

from __future__ import annotations

import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data
from afterlaunch.ground.settings import settings


@plainly
def rebuild(
    accept: bool = typer.Option(False, "--accept", help="Take the new store even where its sums differ."),
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
    json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Make calls, rollups and indexes of the embedded store anew from its spans, and compare all sums with what was
    there. The old store stays until the new one is complete. Exit 1 when sums differ."""
    with_data(data)
    from afterlaunch.ground import clock
    from afterlaunch.telemetry.rebuild import rebuild as make

    if data is None and settings().text("TELEMETRY_URL"):
        fail(
            "Telemetry is not in the data folder: AFTERLAUNCH_TELEMETRY_URL names another store.",
            "Copy it into a folder with migrate-telemetry, name that with --data, and copy the result into an empty "
            "database: see docs/telemetry.md, Rollups.",
            code=2,
        )
    file = settings().data / "telemetry.duckdb"
    if not file.exists():
        fail(f"{file} does not exist.", "Name the data folder with --data.", code=2)
    found = make(file, clock.now_ns(), say)
    if json:
        answer({"before": found.before, "after": found.after, "different": found.different})
    for name, (before, after) in found.different.items():
        say(f"  {name}: was {before:,}, is {after:,}")
    if found.different and not accept:
        found.file.unlink()
        fail("The rebuilt store differs; the old one is kept.", "Take the new one with --accept.")
    found.file.replace(file)
    say(f"{file} is made anew: {found.after['spans']:,} spans, {found.after['calls']:,} calls and operations")
