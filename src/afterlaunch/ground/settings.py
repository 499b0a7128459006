"""Settings are rows: name, type, default, help. `--help`, docs and the settings page are made from them.

Every setting is read from the environment; a secret may come from a file named by `<NAME>_FILE`.
A wrong value stops the start with a hint.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["text", "path", "folder", "number", "flag", "list"]


@dataclass(frozen=True)
class Setting:
    """One row. `name` is the environment variable; `secret` values are never shown."""

    name: str
    kind: Kind
    default: str
    help: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("AFTERLAUNCH_DATA", "path", "~/.local/share/afterlaunch", "Folder of the embedded stores, keys and logs."),
    Setting(
        "AFTERLAUNCH_DATABASE_URL",
        "text",
        "",
        "Control plane: empty for SQLite in the data folder, or postgresql://…",
        secret=True,
    ),
    Setting(
        "AFTERLAUNCH_TELEMETRY_URL",
        "text",
        "",
        "Telemetry store: empty for DuckDB in the data folder, clickhouse://user:password@host:8123/database"
        " (clickhouses:// over TLS, ?cluster=NAME for a cluster), or chdb:///folder for ClickHouse's engine in process.",
        secret=True,
    ),
    Setting(
        "AFTERLAUNCH_SECRET_KEY",
        "text",
        "",
        "Signs sessions and links; made and kept in the data folder when absent.",
        secret=True,
    ),
    Setting("AFTERLAUNCH_HOST", "text", "127.0.0.1", "Address the server listens on."),
    Setting("AFTERLAUNCH_PORT", "number", "8700", "Port of the server."),
    Setting("AFTERLAUNCH_GATEWAY_HOST", "text", "127.0.0.1", "Address the gateway listens on."),
    Setting("AFTERLAUNCH_GATEWAY_PORT", "number", "8701", "Port of the gateway."),
    Setting(
        "AFTERLAUNCH_GATEWAY_SERVER",
        "text",
        "",
        "Where the gateway reaches the server. Default: http://127.0.0.1:PORT.",
    ),
    Setting(
        "AFTERLAUNCH_GATEWAY_URL",
        "text",
        "",
        "Where the server reaches the gateway, for golden prompts. Default: http://GATEWAY_HOST:GATEWAY_PORT.",
    ),
    Setting(
        "AFTERLAUNCH_STATUS_FOLDER",
        "text",
        "",
        "Folder in which status pages are written as files, for another server. Default: status in the data folder.",
    ),
    Setting(
        "AFTERLAUNCH_LOCATION",
        "text",
        "home",
        "Name of the place where this engine runs; it tries the probes of that location.",
    ),
    Setting(
        "AFTERLAUNCH_GATEWAY_TELEMETRY",
        "text",
        "",
        "Where the gateway sends its telemetry, when that is another process (`serve ingest`). Default: the server.",
    ),
    Setting(
        "AFTERLAUNCH_GATEWAY_TOKEN",
        "text",
        "",
        "API token of the gateway (role ingest, all clients); made and kept in the data folder when absent.",
        secret=True,
    ),
    Setting(
        "AFTERLAUNCH_GATEWAY_KEY",
        "text",
        "",
        "Key by which server and gateway sign the configuration; made and kept in the data folder when absent.",
        secret=True,
    ),
    Setting(
        "AFTERLAUNCH_GATEWAY_DRAIN_SECONDS",
        "number",
        "25",
        "How long a gateway that is told to stop lets calls under way finish before it cuts them.",
    ),
    Setting(
        "AFTERLAUNCH_GATEWAY_WORKERS",
        "number",
        "1",
        "Worker processes of a gateway, behind one port. They share limits, budgets and counts.",
    ),
    Setting(
        "AFTERLAUNCH_PUBLIC_URL",
        "text",
        "",
        "Address people reach the server under; used in links. Default: http://HOST:PORT.",
    ),
    Setting("AFTERLAUNCH_ALLOWED_HOSTS", "list", "", "Further host names the server answers to, comma-separated."),
    Setting("AFTERLAUNCH_TIME_ZONE", "text", "UTC", "IANA zone that pages and reports show times in by default."),
    Setting(
        "AFTERLAUNCH_CLOCK",
        "text",
        "system",
        "'system', or 'scaled:REAL,VIRTUAL,FACTOR[,UNTIL]' for a demo in accelerated time.",
    ),
    Setting("AFTERLAUNCH_ENGINE_PERIOD", "number", "5", "Seconds between two cycles of the engine."),
    Setting(
        "AFTERLAUNCH_TRUST_LOOPBACK_CLIENTS",
        "flag",
        "no",
        "Whether telemetry sent from this machine without a token may name its client (afterlaunch.client).",
    ),
    Setting(
        "AFTERLAUNCH_INGEST_MAX_BODY_MB",
        "number",
        "20",
        "Largest telemetry body, before and after decompression, in MiB.",
    ),
    Setting(
        "AFTERLAUNCH_INGEST_BUFFER_MB",
        "number",
        "64",
        "Telemetry waiting for its commit, in MiB; above it senders get 503.",
    ),
    Setting(
        "AFTERLAUNCH_INGEST_AT_ONCE",
        "number",
        "64",
        "Requests of telemetry that one token may have under way at once; above it senders get 429.",
    ),
    Setting(
        "AFTERLAUNCH_DISK_BUDGET_GB",
        "number",
        "0",
        "How much the telemetry store may use, in GiB; at it senders get 503. 0: what the file system has.",
    ),
    Setting(
        "AFTERLAUNCH_DISK_RESERVE_MB",
        "number",
        "256",
        "While the file system has less than this left, in MiB, senders of telemetry get 503.",
    ),
    Setting(
        "AFTERLAUNCH_GRPC_PORT",
        "number",
        "0",
        "Port of OTLP over gRPC, usually 4317, on the server's address; 0: off.",
    ),
    Setting(
        "AFTERLAUNCH_REJOIN_MINUTES",
        "number",
        "10",
        "An alert that fires again within so many minutes of its end rejoins its incident without a new page, and pages"
        " only when it lasts as long again. 0 pages at once.",
    ),
    Setting(
        "AFTERLAUNCH_RECEIVERS_MAX_BODY_KB",
        "number",
        "1024",
        "Largest body of alerts from another tool, in KiB.",
    ),
    Setting(
        "AFTERLAUNCH_PREDICTIONS_MAX_BODY_MB",
        "number",
        "16",
        "Largest body of predictions, of labels, or of a reference, in MiB.",
    ),
    Setting(
        "AFTERLAUNCH_PREDICTIONS_KEEP_DAYS",
        "number",
        "92",
        "How many days the outputs of predictions, and labels for them, are kept, so that labels can be joined.",
    ),
    Setting(
        "AFTERLAUNCH_PREDICTIONS_KEEP_MB",
        "number",
        "2048",
        "How much the kept outputs of one system's predictions may weigh, in MiB; the oldest hours go first.",
    ),
    Setting(
        "AFTERLAUNCH_ANSWERS_EMBEDDINGS",
        "folder",
        "",
        "Folder of a static embedding model (model2vec) by which answers are also described by meaning. Nothing is"
        " downloaded. Needs afterlaunch[embeddings].",
    ),
    Setting(
        "AFTERLAUNCH_DATA_CHECK_MAX_BODY_MB",
        "number",
        "64",
        "Largest delivery of a dataset that is checked by its contract, in MiB.",
    ),
    Setting(
        "AFTERLAUNCH_RETRAINING_COMMANDS",
        "flag",
        "no",
        "Whether retraining policies may run commands on the engine's machine.",
    ),
    Setting(
        "AFTERLAUNCH_ANOMALIES_FALSE_ALERTS",
        "number",
        "1",
        "How many false alerts a week all series of spend, calls, errors and latency together may raise.",
    ),
    Setting("AFTERLAUNCH_RAW_EVENT_DAYS", "number", "14", "How many days the raw bodies of received alerts are kept."),
    Setting(
        "AFTERLAUNCH_RAW_EVENT_MB",
        "number",
        "256",
        "How much the raw bodies of received alerts may weigh, in MiB before compression; the oldest go first.",
    ),
    Setting(
        "AFTERLAUNCH_INCIDENT_FILE_MAX_MB",
        "number",
        "20",
        "Largest file that can be attached to an incident, in MiB.",
    ),
    Setting(
        "AFTERLAUNCH_OUTBOUND_ALLOW",
        "list",
        "",
        "Private addresses or networks that may be called: by notifications, and for metrics of targets that an"
        " administrator of the house declared. Comma-separated.",
    ),
    Setting(
        "AFTERLAUNCH_SMTP_URL",
        "text",
        "",
        "Mail server for pages: smtp://user:password@host:port or smtps://…",
        secret=True,
    ),
    Setting(
        "AFTERLAUNCH_APPRISE_ALLOW",
        "list",
        "",
        "Further schemes of Apprise that may be used (ntfys, mailtos, …), comma-separated. They may lead to any host,"
        " private ones as well.",
    ),
    Setting(
        "AFTERLAUNCH_DEADMAN_URL",
        "text",
        "",
        "Address of a watch outside of this installation. It is called (POST) after every audit of paging that found"
        " nothing, once a minute; its silence raises the alarm there.",
        secret=True,
    ),
    Setting("AFTERLAUNCH_MAIL_FROM", "text", "afterlaunch@localhost", "Sender address of e-mail."),
    Setting("AFTERLAUNCH_LOG_LEVEL", "text", "INFO", "DEBUG, INFO, WARNING or ERROR."),
)
_ROWS = {row.name: row for row in SETTINGS}


class WrongSetting(Exception):
    """A setting that can't be used; the text names it and says how to mend it."""


def _read(row: Setting, environ: Mapping[str, str]) -> str:
    if row.name in environ:
        return environ[row.name]
    file = environ.get(row.name + "_FILE")
    if not file:
        return row.default
    try:
        return Path(file).read_text().strip()
    except OSError as problem:
        raise WrongSetting(f"{row.name}_FILE: cannot read {file}: {problem.strerror}") from problem


def _convert(row: Setting, text: str) -> Any:
    if row.kind == "path":
        return Path(text).expanduser()
    if row.kind == "folder" and text and not Path(text).expanduser().is_dir():
        raise WrongSetting(f"{row.name} must be a folder that exists, and {text!r} is none. {row.help}")
    if row.kind == "folder":
        return Path(text).expanduser() if text else None
    if row.kind == "number":
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            raise WrongSetting(f"{row.name} must be a number, not {text!r}. {row.help}") from None
    if row.kind == "flag":
        if text.lower() not in ("0", "1", "true", "false", "yes", "no", ""):
            raise WrongSetting(f"{row.name} must be yes or no, not {text!r}. {row.help}")
        return text.lower() in ("1", "true", "yes")
    if row.kind == "list":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


class Settings:
    """All rows, read and checked once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = {row.name: _convert(row, _read(row, environ)) for row in SETTINGS}

    def __getitem__(self, name: str) -> Any:
        return self._values["AFTERLAUNCH_" + name]

    def text(self, name: str) -> str:
        return str(self[name])

    def number(self, name: str) -> float:
        return float(self[name])

    @property
    def data(self) -> Path:
        path: Path = self["DATA"]
        return path

    @property
    def public_url(self) -> str:
        return self.text("PUBLIC_URL").rstrip("/") or f"http://{self.text('HOST')}:{self['PORT']}"


_settings: Settings | None = None


def settings() -> Settings:
    """The process's settings, read from the environment at first use."""
    global _settings
    if _settings is None:
        _settings = Settings(os.environ)
    return _settings


def reload(environ: Mapping[str, str] | None = None) -> Settings:
    """Read again: after the command line has put its flags into the environment, and in tests."""
    global _settings
    _settings = Settings(os.environ if environ is None else environ)
    return _settings
