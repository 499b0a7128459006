"""The stores that this process owns, the raw ASGI paths that write to them, and OTLP over gRPC beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import close_old_connections, connection

from afterlaunch.app.asgi import Application, Elsewhere
from afterlaunch.app.metrics import metrics_of
from afterlaunch.app.roles import Role
from afterlaunch.ground.settings import settings
from afterlaunch.prices.book import Book
from afterlaunch.pricing.in_force import watch as watch_prices
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.exposition import Exposition
from afterlaunch.telemetry.ingest import Ingest, NotTaken
from afterlaunch.telemetry.intake import LOOPBACK, TRACES, Door, Intake
from afterlaunch.telemetry.journal import Journal
from afterlaunch.telemetry.keeping.content import LOG_SHAPE, POINT_SHAPE, SPAN_SHAPE
from afterlaunch.telemetry.keeping.rules import Rules
from afterlaunch.telemetry.keeping.storage import watchman
from afterlaunch.telemetry.keeping.watch import Watched, guarded
from afterlaunch.telemetry.otlp_grpc import GrpcReceiver
from afterlaunch.telemetry.signals import receivers, tables
from afterlaunch.telemetry.store import Store, close_store, open_store, place

SIGNALS = ("traces", "metrics", "logs")
PROFILES, REMOTE_WRITE = "/v1development/profiles", "/api/v1/write"
INGEST_PATHS = (*(f"/v1/{signal}" for signal in SIGNALS), PROFILES, REMOTE_WRITE)


@dataclass
class Stores:
    """`hot`: exact paths to raw ASGI applications. `listen` opens what has a port of its own; `close` ends what was
    opened, in reverse order."""

    hot: dict[str, Application] = field(default_factory=dict)
    closers: list[Callable[[], None]] = field(default_factory=list)
    buffer: Buffer | None = None
    grpc: GrpcReceiver | None = None

    def listen(self) -> None:
        if self.grpc:
            self.grpc.start()
            self.closers.append(self.grpc.stop)

    def close(self) -> None:
        for closer in reversed(self.closers):
            closer()


def _journal(store: Store, name: str) -> Journal | None:
    """Of the store that this process owns. Where several write to one, a sender waits until it has the rows: a machine
    that goes away takes nothing with it that was acknowledged."""
    return None if store.engine.shared else Journal(settings().data / "journal" / name)


@contextmanager
def _own_connection() -> Iterator[None]:
    """Threads that serve no page keep no connection. Whoever asks within a transaction keeps theirs: closing it would
    end the transaction."""
    if connection.in_atomic_block:
        yield
        return
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def rules_now() -> Rules:
    """What may be kept, read on a thread that serves no page."""
    from afterlaunch.telemetry.keeping.actions import rules

    with _own_connection():
        return rules()


def books_now() -> dict[str, Book]:
    """Every client's prices, read on a thread that serves no page."""
    from afterlaunch.pricing.actions import books

    with _own_connection():
        return books()


def open_stores(host: str, role: Role = Role.ALL) -> Stores:
    """Open what `host` will serve. On loopback, telemetry needs no token; elsewhere it does."""
    watch_prices(books_now)
    store = open_store(place())
    tables.prepare(store)
    if role.ingests:
        return _with_ingest(store, host)
    hot: dict[str, Application] = dict.fromkeys(INGEST_PATHS, Elsewhere("Send telemetry to `serve ingest`."))
    hot["/metrics"] = Exposition({}, lambda: metrics_of(store.engine.bytes_used))
    return Stores(hot, [close_store])


def _with_ingest(store: Store, host: str) -> Stores:
    chosen, disk = settings(), watchman()
    room = int(chosen.number("INGEST_BUFFER_MB") * 2**20)
    buffer = Buffer(store, room, _journal(store, "spans"), disk.check)
    max_body = int(chosen.number("INGEST_MAX_BODY_MB") * 2**20)
    door = Door(host in (*LOOPBACK, "localhost"), bool(chosen["TRUST_LOOPBACK_CLIENTS"]), int(chosen["INGEST_AT_ONCE"]))
    metrics, logs = (
        Buffer(tables.Lander(store, one), room, _journal(store, one.name), disk.check) for one in tables.TABLES
    )
    watched = Watched(rules_now)
    intakes = {
        "traces": Intake(buffer, max_body, door, guarded(TRACES, SPAN_SHAPE, watched)),
        "metrics": Intake(metrics, max_body, door, guarded(receivers.METRICS, POINT_SHAPE, watched)),
        "logs": Intake(logs, max_body, door, guarded(receivers.LOGS, LOG_SHAPE, watched)),
    }
    hot: dict[str, Application] = {f"/v1/{signal}": Ingest(intake) for signal, intake in intakes.items()}
    hot |= {
        PROFILES: NotTaken(),
        REMOTE_WRITE: receivers.RemoteWrite(
            metrics, max_body, door, guarded(receivers.REMOTE_WRITE, POINT_SHAPE, watched)
        ),
        "/metrics": Exposition(
            {"traces": buffer, "metrics": metrics, "logs": logs}, lambda: metrics_of(store.engine.bytes_used)
        ),
    }
    port = int(chosen["GRPC_PORT"])
    grpc = GrpcReceiver(intakes, host, port) if port else None
    disk.start()
    return Stores(hot, [close_store, disk.stop, buffer.close, metrics.close, logs.close], buffer, grpc)
