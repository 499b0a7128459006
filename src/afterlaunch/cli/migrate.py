"""`migrate-telemetry`: from the embedded store to ClickHouse, while no server runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from afterlaunch.cli.output import answer, fail, messages, plainly, say, with_data
from afterlaunch.ground.settings import settings

if TYPE_CHECKING:
    from afterlaunch.telemetry.store import Store


@plainly
def migrate(
    to: str = typer.Option(
        "",
        "--to",
        envvar="AFTERLAUNCH_TELEMETRY_URL",
        help="clickhouse://user:password@host:8123/database. Default: AFTERLAUNCH_TELEMETRY_URL.",
    ),
    source: str = typer.Option("", "--from", help="Another source: a DuckDB file or a URL. Default: the data folder."),
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
    json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Copy all telemetry into another store, day by day, and prove it by counts and sums. Run again, it goes on where
    it stopped and takes what came since. Exit 1 when the two sides differ."""
    with_data(data)
    from afterlaunch.telemetry.migration import migrate, size_of
    from afterlaunch.telemetry.signals import tables as signals
    from afterlaunch.telemetry.store import Store, engine_at
    from afterlaunch.telemetry.tables import TABLES

    if not to:
        fail("Name the store to copy to.", "--to clickhouse://user:password@host:8123/afterlaunch", code=2)
    where: Path | str = source or settings().data / "telemetry.duckdb"
    if isinstance(where, str) and "://" not in where:
        where = Path(where)
    if isinstance(where, Path) and not where.exists():
        fail(f"{where} does not exist.", "Name the data folder with --data, or a file with --from.", code=2)
    target: Path | str = to if "://" in to else Path(to)
    if target == where:
        fail("Source and target are the same store.", code=2)
    every = [*TABLES, *signals.TABLES]
    came, went = Store(engine_at(where)), Store(engine_at(target))
    try:
        for store in (came, went):
            signals.prepare(store)
        if isinstance(where, Path):
            taken_in(came, settings().data / "journal")
        sizes = {table.name: size_of(came.engine, table) for table in every}
        with Progress(
            TextColumn("{task.description:16}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=messages,
            transient=True,
        ) as shown:
            tasks = {name: shown.add_task(name, total=size) for name, size in sizes.items()}
            found = migrate(came.engine, went.engine, every, lambda name, rows: shown.advance(tasks[name], rows))
    finally:
        came.close()
        went.close()
    if json:
        answer({"rows": found.rows, "copied": found.copied, "differences": [vars(one) for one in found.differences]})
    for one in found.differences:
        told = {name: (one.source.get(name, 0), one.target.get(name, 0)) for name in {*one.source, *one.target}}
        apart = ", ".join(f"{name} {here:,} → {there:,}" for name, (here, there) in told.items() if here != there)
        say(f"  {one.table}, {_date(one.day)}: {apart}")
    if found.differences:
        fail("The two stores differ.", "Does a server still write to one of them? Run it again once none does.")
    total, copied = sum(found.rows.values()), sum(found.copied.values())
    say(f"{total:,} rows are on both sides, equal in count and sums on every day; {copied:,} were copied now.")
    if isinstance(where, Path):
        say(f"Start the servers with AFTERLAUNCH_TELEMETRY_URL. {where} is as it was; keep it until you trust the new.")


def taken_in(store: Store, folder: Path) -> None:
    """What a server acknowledged and had not committed when it ended."""
    from afterlaunch.telemetry.buffer import Buffer
    from afterlaunch.telemetry.journal import Journal
    from afterlaunch.telemetry.signals import tables as signals

    if not folder.exists():
        return
    landers = {"spans": store} | {table.name: signals.Lander(store, table) for table in signals.TABLES}
    for name, lander in landers.items():
        Buffer(lander, 2**26, Journal(folder / name)).close()


def _date(day: int | None) -> str:
    return "all" if day is None else f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}"
