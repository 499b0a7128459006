"""What an application sent, as a receiver of OTLP keeps it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def told(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@dataclass
class Received:
    """`answers`: status codes to give first, then 200."""

    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def _all(self, path: str, kind: Any) -> list[Any]:
        return [kind.FromString(body) for at, _, body in self.requests if at == path]

    def resources(self) -> list[dict[str, Any]]:
        found = self._all("/v1/traces", ExportTraceServiceRequest)
        return [told(group.resource.attributes) for one in found for group in one.resource_spans]

    def spans(self) -> dict[str, dict[str, Any]]:
        """Attributes by the span's name."""
        found = self._all("/v1/traces", ExportTraceServiceRequest)
        scopes = [scope for one in found for group in one.resource_spans for scope in group.scope_spans]
        return {span.name: told(span.attributes) for scope in scopes for span in scope.spans}

    def metrics(self) -> set[str]:
        found = self._all("/v1/metrics", ExportMetricsServiceRequest)
        scopes = [scope for one in found for group in one.resource_metrics for scope in group.scope_metrics]
        return {metric.name for scope in scopes for metric in scope.metrics}

    def records(self) -> list[Any]:
        found = self._all("/v1/logs", ExportLogsServiceRequest)
        scopes = [scope for one in found for group in one.resource_logs for scope in group.scope_logs]
        return [record for scope in scopes for record in scope.log_records]


@contextmanager
def receiving() -> Iterator[Received]:
    made = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = made.answers.pop(0) if made.answers else 200
            if status == 200:
                plain = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                made.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, plain))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()
