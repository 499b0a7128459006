"""OTLP/gRPC: TraceService, MetricsService and LogsService, each in front of the same intake as its HTTP address.

The server lives on a thread and event loop of its own. Messages are handed on as bytes: what decodes them is the one
decoder of the signal, and no message object is made on the way.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from afterlaunch.ground.errors import AfterlaunchError, Overloaded, Unavailable
from afterlaunch.telemetry.answers import status_of
from afterlaunch.telemetry.inflate import inflated
from afterlaunch.telemetry.intake import Intake

log = logging.getLogger(__name__)
SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
PROTOBUF = "application/x-protobuf"
DETAILS = "grpc-status-details-bin"
STATUSES = {code.value[0]: code for code in grpc.StatusCode}
IDENTITY, GZIP = 1 << 0, 1 << 2
GZIP_MAGIC = b"\x1f\x8b"  # no protobuf message begins so: it would be a field of wire type 7, which there is not
STREAMS_A_CONNECTION = 64
GRACE_SECONDS = 5.0


class GrpcReceiver:
    """`intakes` by signal: traces, metrics, logs. `start` returns when it listens, on `port` (0 takes a free one);
    `stop` when nothing is under way."""

    def __init__(self, intakes: Mapping[str, Intake], host: str, port: int) -> None:
        self._intakes, self._address = intakes, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.port = port
        self._largest = max(one.max_body for one in intakes.values())
        self._listening, self._end = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="otlp-grpc", daemon=True)

    def start(self) -> None:
        """Raises Unavailable when the port can't be used."""
        self._thread.start()
        self._listening.wait()
        if self._problem is not None:
            self._thread.join()
            raise Unavailable(
                f"OTLP over gRPC cannot listen on {self._address}: {self._problem}", "See AFTERLAUNCH_GRPC_PORT."
            ) from self._problem

    def stop(self) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(timeout=2 * GRACE_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as problem:
            log.exception("OTLP over gRPC ended")
            self._problem = problem
        finally:
            self._listening.set()

    async def _serve(self) -> None:
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._largest),
                # gzip is inflated by our own hand: counted as it grows, and a bad one is the sender's fault.
                ("grpc.per_message_decompression", 0),
                ("grpc.compression_enabled_algorithms_bitset", IDENTITY | GZIP),
                ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION),
                ("grpc.so_reuseport", 0),  # two servers on one port would share its senders
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ]
        )
        for signal, service in SERVICES.items():
            # Without a deserializer the handler gets the bytes of the message.
            handler: Any = grpc.unary_unary_rpc_method_handler(_Export(self._intakes[signal]).export)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        self.port = server.add_insecure_port(self._address)
        await server.start()
        self._loop = asyncio.get_running_loop()
        self._listening.set()
        await self._end.wait()
        await server.stop(GRACE_SECONDS)


class _Export:
    """One service's only method."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def export(self, request: bytes, context: Any) -> bytes:
        try:
            sender = await self._intake.sender(_headers(context), peer_of(context.peer()))
            with self._intake.turn(sender):
                made = await self._intake.take(sender, await self._inflated(request), PROTOBUF)
        except AfterlaunchError as problem:
            await _refuse(context, problem)
            raise  # never reached: `abort` raises
        answer: bytes = self._intake.signal.answer(made).SerializeToString()
        return answer

    async def _inflated(self, request: bytes) -> bytes:
        if not request.startswith(GZIP_MAGIC):
            return request
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._intake.pool, inflated, request, self._intake.max_body)


def _headers(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def peer_of(told: str) -> str:
    """gRPC's "ipv4:1.2.3.4:5" and "ipv6:%5B::1%5D:5" as an address; anything else as no address."""
    family, _, place = unquote(told).partition(":")
    if family not in ("ipv4", "ipv6"):
        return ""
    return place.rpartition(":")[0].strip("[]").removeprefix("::ffff:")


async def _refuse(context: Any, problem: AfterlaunchError) -> None:
    """The status with its details, as clients of every language read them."""
    status = status_of(problem)
    trailing = [(DETAILS, status.SerializeToString())]
    if isinstance(problem, Overloaded):
        trailing.append(("retry-after", str(problem.retry_after)))
    await context.abort(STATUSES[status.code], status.message, tuple(trailing))
