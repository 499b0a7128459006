"""`replay`: play recorded traffic through a running server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import typer

from afterlaunch.cli.output import answer, messages, plainly, say
from afterlaunch.ground.settings import settings


@plainly
def replay(
    file: Path = typer.Argument(..., help="A request log (csv, parquet) or recorded OTLP (jsonl, json, pb)."),
    to: str = typer.Option("", "--to", help="Address of the server. Default: the one of the settings."),
    token: str = typer.Option("", envvar="AFTERLAUNCH_TOKEN", help="Token with the role ingest; loopback needs none."),
    system: str = typer.Option("", help="System that a request log belongs to. Default: the file's name."),
    environment: str = typer.Option("test", help="Environment that a request log belongs to."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Play recorded traffic through the product, with the times it had. Playing it again changes nothing."""
    from rich.progress import Progress

    from afterlaunch.cli.sending import Sender
    from afterlaunch.telemetry.recordings import bodies

    address = (to or settings().public_url).rstrip("/")
    name = system or file.name.partition(".")[0]
    resource = {"service.name": name, "afterlaunch.system": name, "deployment.environment.name": environment}
    began = time.perf_counter()
    played = list(bodies(file, resource))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with Progress(console=messages, transient=True) as progress:
        task = progress.add_task(f"Playing {file.name}", total=sum(body.spans for body in played))
        sender = Sender(address, headers, lambda spans: progress.advance(task, spans))
        asyncio.run(sender.send(iter(played)))
    result = {"server": address, "spans": sender.spans, "rejected": sender.rejected, "bodies": len(played)}
    say(f"{sender.spans} spans played to {address}, {sender.rejected} refused; {time.perf_counter() - began:.1f} s")
    if as_json:
        answer(result)
