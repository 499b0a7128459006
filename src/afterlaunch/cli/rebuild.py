"""`rebuild-telemetry`: calls and rollups anew from the raw spans, while nobody writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data
from afterlaunch.ground.settings import settings

if TYPE_CHECKING:
    from afterlaunch.telemetry.rebuild import Rebuilt


@plainly
def rebuild(
    accept: bool = typer.Option(False, "--accept", help="Take the new store even where its sums differ."),
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
    json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Make calls, rollups and indexes anew from the spans, in the data folder or in ClickHouse, and compare all sums
    with what was there. The old ones stay until the new ones are complete. Exit 1 when sums differ."""
    with_data(data)
    from afterlaunch.ground import clock
    from afterlaunch.telemetry.keeping.actions import rules
    from afterlaunch.telemetry.keeping.forgetting import whole_since

    since_ns = clock.to_ns(whole_since(rules(), clock.now()))
    url = settings().text("TELEMETRY_URL") if data is None else ""
    found = _in_place(url, since_ns, accept) if url else _of_file(settings().data / "telemetry.duckdb", since_ns)
    if json:
        answer({"before": found.before, "after": found.after, "different": found.different})
    for name, (before, after) in found.different.items():
        say(f"  {name}: was {before:,}, is {after:,}")
    if found.different and not accept:
        if found.file is not None:
            found.file.unlink()
        fail("The rebuilt store differs; the old one is kept.", "Take the new one with --accept.")
    if found.file is not None:
        found.file.replace(settings().data / "telemetry.duckdb")
    say(f"The store is made anew: {found.after['spans']:,} spans, {found.after['calls']:,} calls and operations")


def _of_file(file: Path, since_ns: int) -> Rebuilt:
    from afterlaunch.ground import clock
    from afterlaunch.telemetry.rebuild import rebuild as make

    if not file.exists():
        fail(f"{file} does not exist.", "Name the data folder with --data.", code=2)
    return make(file, clock.now_ns(), say, since_ns)


def _in_place(url: str, since_ns: int, accept: bool) -> Rebuilt:
    from afterlaunch.ground import clock
    from afterlaunch.telemetry.engines.clickhouse_clients import address
    from afterlaunch.telemetry.rebuild_in_place import rebuild_in_place

    return rebuild_in_place(address(url), clock.now_ns(), say, since_ns, accept)
