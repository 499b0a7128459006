"""The raw ASGI applications of metrics and logs, and of Prometheus remote write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from afterlaunch.ground.errors import AfterlaunchError, Unsupported
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.ingest import Door, Ingest, Receive, Send, Signal
from afterlaunch.telemetry.signals import points, prometheus, records

log = logging.getLogger(__name__)
METRICS = Signal("data points", points.from_otlp, ExportMetricsServiceResponse, "rejected_data_points")
LOGS = Signal("log records", records.from_otlp, ExportLogsServiceResponse, "rejected_log_records")
REMOTE_WRITE = Signal("samples", prometheus.from_remote_write, None, "rejected")


class RemoteWrite(Ingest):
    """Prometheus: 204 after the commit; 4xx is never sent again, 503 is. Errors are plain text."""

    def __init__(self, buffer: Buffer, max_body: int, door: Door) -> None:
        super().__init__(buffer, max_body, door, REMOTE_WRITE)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if scope["method"] != "POST":
                await _plain(send, 405, "Only POST is taken here.", [(b"allow", b"POST")])
                return
            made = await self._take(scope, headers, receive)
        except AfterlaunchError as problem:
            retry = getattr(problem, "retry_after", None)
            extra = [(b"retry-after", str(retry).encode())] if retry else []
            await _plain(send, problem.status, " ".join((problem.message, problem.hint)).strip(), extra)
        except Exception:
            log.exception("samples could not be stored")
            await _plain(send, 503, "The samples could not be stored; send them again.", [(b"retry-after", b"2")])
        else:
            # What can never be stored would be sent for ever after a 5xx: 400 drops the batch at the sender, said once.
            await (_plain(send, 400, "; ".join(made.messages), []) if made.rejected else _plain(send, 204, "", []))

    async def _read(self, headers: dict[str, str], receive: Receive) -> bytes:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding != "snappy":
            raise Unsupported(f"Content-Encoding {encoding or '(none)'} is not taken.", "snappy")
        body = await super()._read({**headers, "content-encoding": "identity"}, receive)
        return await asyncio.get_running_loop().run_in_executor(self._pool, prometheus.unsnapped, body, self._max)


async def _plain(send: Send, status: int, message: str, extra: list[tuple[bytes, bytes]]) -> None:
    body = message.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
