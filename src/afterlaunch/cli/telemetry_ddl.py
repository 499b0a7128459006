"""`telemetry-ddl`: what ClickHouse is told to make."""

from __future__ import annotations

import sys

import typer

from afterlaunch.cli.output import plainly


@plainly
def show(
    cluster: str = typer.Option("", help="Name of a cluster in ClickHouse's configuration. Default: one server."),
    database: str = typer.Option("afterlaunch", help="Name of the database."),
) -> None:
    """Print the DDL of the telemetry tables in ClickHouse, for one server or a replicated, sharded cluster. A server of
    ours makes what is missing by itself; this is for those who let nobody but themselves do so."""
    from afterlaunch.telemetry.engines.clickhouse_clients import address
    from afterlaunch.telemetry.engines.clickhouse_database import statements
    from afterlaunch.telemetry.engines.clickhouse_tables import Site
    from afterlaunch.telemetry.keeping.forgetting import longest
    from afterlaunch.telemetry.keeping.rules import Rules
    from afterlaunch.telemetry.signals import tables as signals
    from afterlaunch.telemetry.tables import TABLES

    meant = address(f"clickhouse://x/{database}" + (f"?cluster={cluster}" if cluster else ""))
    site = Site(meant.database, meant.cluster, longest(Rules()))
    sys.stdout.write(";\n\n".join(statements([*TABLES, *signals.TABLES], site)) + ";\n")
