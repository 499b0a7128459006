"""An exporter that tells what a test wants, and notes what it was asked."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass
class Exporter:
    url: str = ""
    text: str = "queue_depth 3\n"
    kind: str = TEXT
    status: int = 200
    zipped: bool = False
    slow: float = 0.0
    location: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def exporter(text: str = "queue_depth 3\n", **more: object) -> Iterator[Exporter]:
    told = Exporter(text=text, **more)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append({name.lower(): value for name, value in self.headers.items()})
            time.sleep(told.slow)
            body = told.text.encode()
            body = gzip.compress(body) if told.zipped else body
            self.send_response(told.status)
            self.send_header("Content-Type", told.kind)
            self.send_header("Content-Length", str(len(body)))
            if told.zipped:
                self.send_header("Content-Encoding", "gzip")
            if told.location:
                self.send_header("Location", told.location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
