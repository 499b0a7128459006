"""The stores that this process owns, and the raw ASGI paths that write to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from afterlaunch.app.asgi import Application
from afterlaunch.app.metrics import metrics_of
from afterlaunch.ground.settings import settings
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.exposition import Exposition
from afterlaunch.telemetry.ingest import LOOPBACK, Door, Ingest
from afterlaunch.telemetry.signals import receivers, tables
from afterlaunch.telemetry.store import close_store, open_store


@dataclass
class Stores:
    """`hot`: exact paths to raw ASGI applications. `close` ends what was opened, in reverse order."""

    hot: dict[str, Application] = field(default_factory=dict)
    closers: list[Callable[[], None]] = field(default_factory=list)
    buffer: Buffer | None = None

    def close(self) -> None:
        for closer in reversed(self.closers):
            closer()


def open_stores(host: str) -> Stores:
    """Open what `host` will serve. On loopback, telemetry needs no token; elsewhere it does."""
    chosen = settings()
    store = open_store(chosen.data / "telemetry.duckdb")
    buffer = Buffer(store, int(chosen.number("INGEST_BUFFER_MB") * 2**20))
    max_body = int(chosen.number("INGEST_MAX_BODY_MB") * 2**20)
    door = Door(host in (*LOOPBACK, "localhost"), bool(chosen["TRUST_LOOPBACK_CLIENTS"]))
    tables.prepare(store)
    metrics, logs = (Buffer(tables.Lander(store, one), buffer.max_bytes) for one in tables.TABLES)
    hot: dict[str, Application] = {
        "/v1/traces": Ingest(buffer, max_body, door),
        "/v1/metrics": Ingest(metrics, max_body, door, receivers.METRICS),
        "/v1/logs": Ingest(logs, max_body, door, receivers.LOGS),
        "/api/v1/write": receivers.RemoteWrite(metrics, max_body, door),
        "/metrics": Exposition({"traces": buffer, "metrics": metrics, "logs": logs}, lambda: metrics_of(store.file)),
    }
    return Stores(hot, [close_store, buffer.close, metrics.close, logs.close], buffer)
