"""`report`: ask the running server for a report, or read the stores when none runs."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlencode

import orjson
import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data
from afterlaunch.ground.errors import Unavailable
from afterlaunch.ground.settings import settings

report = typer.Typer(no_args_is_help=True, help="Reports for engineers and for people who are not.")
PATIENCE_SECONDS = 120


class Format(StrEnum):
    HTML = "html"
    PDF = "pdf"
    MARKDOWN = "md"
    JSON = "json"


class TokenFormat(StrEnum):
    HTML = "html"
    PDF = "pdf"
    MARKDOWN = "md"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True)
class _Wanted:
    """`kind`: monthly or tokens."""

    kind: str
    month: str | None
    client: str | None
    system: str | None
    time_zone: str | None
    form: str
    url: str | None

    @property
    def query(self) -> str:
        named = {"month": self.month, "client": self.client, "system": self.system, "time_zone": self.time_zone}
        named |= {"format": self.form, "url": self.url}
        return urlencode({name: value for name, value in named.items() if value})


MONTH = typer.Option(None, help="Year and month, as 2026-11. Default: the last one that is over.")
CLIENT = typer.Option(None, help="Slug of the client. Default: all clients.")
SYSTEM = typer.Option(None, help="Key of a system. Default: all systems.")
ZONE = typer.Option(None, help="IANA zone of the month's bounds. Default: the client's.")
OUTPUT = typer.Option(None, help="File to write. Default: stdout.")
URL = typer.Option(None, help="Address that links begin with. Default: the server's public one.")
TO = typer.Option("", "--to", help="Address of the server to ask. Default: the one of the settings.")
TOKEN = typer.Option("", envvar="AFTERLAUNCH_TOKEN", help="Token with the role viewer. Default: a passing one.")
DATA = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA.")
AS_JSON = typer.Option(False, "--json", help="One JSON document on stdout.")


@report.command("monthly")
@plainly
def monthly(
    month: str | None = MONTH,
    client: str | None = CLIENT,
    system: str | None = SYSTEM,
    time_zone: str | None = ZONE,
    form: Format = typer.Option(None, "--format", help="html, pdf, md or json. Default: html, with --json json."),
    output: Path | None = OUTPUT,
    url: str | None = URL,
    to: str = TO,
    token: str = TOKEN,
    data: str | None = DATA,
    json: bool = AS_JSON,
) -> None:
    """Write a month's report. The running server is asked; when none runs, the stores of the data folder are read."""
    chosen = _form(form.value if form else "", output, json)
    _write(_Wanted("monthly", month, client, system, time_zone, chosen, url), to, token, data, output, json)


@report.command("tokens")
@plainly
def tokens(
    month: str | None = MONTH,
    client: str | None = CLIENT,
    system: str | None = SYSTEM,
    time_zone: str | None = ZONE,
    form: TokenFormat = typer.Option(
        None, "--format", help="html, pdf, md, csv or json. Default: html, with --json json."
    ),
    output: Path | None = OUTPUT,
    url: str | None = URL,
    to: str = TO,
    token: str = TOKEN,
    data: str | None = DATA,
    json: bool = AS_JSON,
) -> None:
    """Write where a month's tokens went: spend by model, agent and tenant, why it changed, anomalies, recommendations
    with projected and verified savings, model swaps, budgets, bills and forecast."""
    chosen = _form(form.value if form else "", output, json)
    _write(_Wanted("tokens", month, client, system, time_zone, chosen, url), to, token, data, output, json)


def _form(form: str, output: Path | None, json: bool) -> str:
    chosen = form or ("json" if json and output is None else "html")
    if json and output is None and chosen != "json":
        fail(f"--json prints the report as JSON, not as {chosen}.", "Leave one of the two out.", code=2)
    if chosen == "pdf" and output is None and sys.stdout.isatty():
        fail("A PDF is no text for a terminal.", "Name a file: --output report.pdf", code=2)
    return chosen


def _write(wanted: _Wanted, to: str, token: str, data: str | None, output: Path | None, json: bool) -> None:
    body = _asked(wanted, to, token, NOT_THERE) if to or token else _local(wanted, data)
    if output is None:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(body)
    except OSError as problem:
        fail(f"{output} cannot be written: {problem.strerror}.", "Choose another --output.", code=2)
    say(f"{output} written, {len(body):,} bytes")
    if json:
        answer({"file": str(output), "format": wanted.form, "bytes": len(body)})


def _local(wanted: _Wanted, data: str | None) -> bytes:
    """The data folder's stores, or the server that owns them, asked with a token that is revoked afterwards."""
    if data:
        os.environ["AFTERLAUNCH_DATA"] = data
        from afterlaunch.ground.settings import reload

        reload()
    with_data(None)
    from afterlaunch.telemetry.store import close_store, open_store, place

    where = place()
    if isinstance(where, Path) and not where.exists():
        fail(
            f"{where.parent} holds no telemetry store.",
            "Name the folder with --data, or the server with --to URL and --token. A first start: afterlaunch up",
        )
    try:
        open_store(where, read_only=True)
    except Unavailable:
        with _passing_token() as secret:
            return _asked(wanted, "", secret, ELSEWHERE)
    try:
        return _read(wanted)
    finally:
        close_store()


def _read(wanted: _Wanted) -> bytes:
    from afterlaunch.ground.actors import automation
    from afterlaunch.reports import documents
    from afterlaunch.reports.facts import Asked
    from afterlaunch.reports.facts import monthly as gather
    from afterlaunch.reports.links import base_url
    from afterlaunch.reports.tokens import documents as token_documents
    from afterlaunch.reports.tokens.sealing import token_report as gather_tokens

    base = base_url(wanted.url) if wanted.url else settings().public_url
    asked = Asked(wanted.month, wanted.client, wanted.system, wanted.time_zone)
    actor, zone = automation("local administrator"), settings().text("TIME_ZONE")
    if wanted.kind == "tokens":
        return token_documents.write(gather_tokens(actor, asked, zone), wanted.form, base)
    return documents.write(gather(actor, asked, zone), wanted.form, base)


@contextmanager
def _passing_token() -> Iterator[str]:
    """Who may read the data folder may make tokens; this one lives as long as the question."""
    from afterlaunch.accounts.actions import create_token, revoke_token
    from afterlaunch.ground.actors import automation

    local = automation("local administrator")
    row, secret = create_token(local, "afterlaunch report", "viewer", None)
    try:
        yield secret
    finally:
        revoke_token(local, row)


NOT_THERE = "Start it with afterlaunch up, or leave --to and --token out to read the data folder."
ELSEWHERE = (
    "Another process has the telemetry store of the data folder. Say where that server listens: --to URL, or"
    " AFTERLAUNCH_HOST and AFTERLAUNCH_PORT."
)


def _asked(wanted: _Wanted, to: str, token: str, unreachable: str) -> bytes:
    address = (to or settings().public_url).rstrip("/")
    if not address.startswith(("http://", "https://")):
        fail(f"{address!r} is no address of a server.", "For example --to http://127.0.0.1:8700", code=2)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    where = f"{address}/api/v1/reports/{wanted.kind}?{wanted.query}"
    request = urllib.request.Request(where, headers=headers)  # noqa: S310 - http and https only, checked above
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310
            return bytes(response.read())
    except urllib.error.HTTPError as problem:
        _refused(address, problem)
    except OSError as problem:
        fail(f"{address} cannot be reached: {getattr(problem, 'reason', problem)}", unreachable)


def _refused(address: str, problem: urllib.error.HTTPError) -> NoReturn:
    body = problem.read()
    try:
        said = orjson.loads(body)
        detail, hint = str(said["detail"]), str(said.get("hint", ""))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        detail, hint = f"{address} answers {problem.code}", "Is it an Afterlaunch server?"
    fail(detail, hint, code=2 if problem.code == 400 else 1)
