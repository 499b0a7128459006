"""The raw ASGI applications of metrics and logs, and of Prometheus remote write."""

from __future__ import annotations

import asyncio
from functools import partial

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from afterlaunch.ground.errors import AfterlaunchError, Overloaded, Unsupported
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.encodings import request_of
from afterlaunch.telemetry.ingest import Ingest, Receive, Scope, Send, headers_of
from afterlaunch.telemetry.intake import Door, Intake, Request, Signal
from afterlaunch.telemetry.signals import points, prometheus, records

METRICS = Signal(
    "data points",
    points.from_otlp,
    ExportMetricsServiceResponse,
    "rejected_data_points",
    Request(
        partial(request_of, ExportMetricsServiceRequest), ("resource_metrics", "scope_metrics", "metrics"), points.count
    ),
)
LOGS = Signal(
    "log records",
    records.from_otlp,
    ExportLogsServiceResponse,
    "rejected_log_records",
    Request(
        partial(request_of, ExportLogsServiceRequest), ("resource_logs", "scope_logs", "log_records"), records.count
    ),
)
REMOTE_WRITE = Signal(
    "samples",
    prometheus.from_remote_write,
    None,
    "rejected",
    Request(prometheus.request_of, ("timeseries",), prometheus.count),
)


class RemoteWrite(Ingest):
    """Prometheus: 204 after the commit; 4xx is never sent again, 503 is. Errors are plain text."""

    def __init__(self, buffer: Buffer, max_body: int, door: Door, signal: Signal = REMOTE_WRITE) -> None:
        super().__init__(Intake(buffer, max_body, door, signal))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            made = await self._take(scope, headers_of(scope), receive)
        except AfterlaunchError as problem:
            extra = [(b"retry-after", str(problem.retry_after).encode())] if isinstance(problem, Overloaded) else []
            extra += [(b"allow", b"POST")] if problem.status == 405 else []
            # Prometheus drops what is answered 429 or 4xx, so whoever is only too fast is told to come again.
            status = 503 if problem.status == 429 else problem.status
            await _plain(send, status, " ".join((problem.message, problem.hint)).strip(), extra)
        else:
            # What can never be stored would be sent for ever after a 5xx: 400 drops the batch at the sender, said once.
            await (_plain(send, 400, "; ".join(made.messages), []) if made.rejected else _plain(send, 204, "", []))

    async def _read(self, headers: dict[str, str], receive: Receive) -> bytes:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding != "snappy":
            raise Unsupported(f"Content-Encoding {encoding or '(none)'} is not taken.", "snappy")
        body = await super()._read({**headers, "content-encoding": "identity"}, receive)
        intake = self.intake
        unsnap = partial(prometheus.unsnapped, body, intake.max_body)
        return await asyncio.get_running_loop().run_in_executor(intake.pool, unsnap)


async def _plain(send: Send, status: int, message: str, extra: list[tuple[bytes, bytes]]) -> None:
    body = message.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
