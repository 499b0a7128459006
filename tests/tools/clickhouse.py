"""ClickHouse's HTTP interface in front of its engine in process (chdb), for tests of several processes.

`python tests/tools/clickhouse.py FOLDER` listens on a free port of 127.0.0.1, prints its URL and serves until it is
ended. No package registry has a ClickHouse server; the engine behind this one is the same, and the requests come from
the same client. What it knows: statements in the body or the URL, forms, parameters, settings, inserts of a body in
any format, compressed bodies, error codes. What it has not: users, sessions, progress, native protocol.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).resolve().parents[2]
TRANSPORT = {
    *("query", "database", "user", "password", "session_id", "query_id", "compress", "decompress", "buffer_size"),
    *("wait_end_of_query", "client_protocol_version", "send_progress_in_http_headers", "enable_http_compression"),
    *("http_headers_progress_interval_ms", "default_format", "role", "session_timeout"),
}
INSERT = re.compile(r"\s*insert\s+into\s+(.*?)\s+format\s+(\w+)\s*$", re.IGNORECASE | re.DOTALL)


class Engine:
    """Connections to the one engine of this process, kept by the settings that were made on them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: dict[frozenset[tuple[str, str]], LifoQueue[Any]] = {}
        self._first = self._open(frozenset())

    def _open(self, settings: frozenset[tuple[str, str]]) -> Any:
        import chdb

        made = chdb.connect(str(self._folder))
        for name, value in settings:
            made.query(f"set {name} = '{_escaped(value)}'")
        return made

    @contextmanager
    def connection(self, settings: dict[str, str], database: str) -> Iterator[Any]:
        key = frozenset(settings.items())
        idle = self._idle.setdefault(key, LifoQueue())
        try:
            lent = idle.get_nowait()
        except Empty:
            lent = self._open(key)
        lent.query(f"use `{database or 'default'}`")
        yield lent  # after an error it is not used again
        idle.put(lent)

    def run(self, sql: str, given: dict[str, str], body: bytes) -> bytes:
        parameters = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
        settings = {
            name: value for name, value in given.items() if name not in TRANSPORT and not name.startswith("param_")
        }
        token = settings.pop("insert_deduplication_token", "")
        insert = INSERT.match(sql)
        with self.connection(settings, given.get("database", "")) as connection:
            if insert and body:
                with tempfile.NamedTemporaryFile(dir=self._folder.parent, suffix=".insert") as file:
                    file.write(body)
                    file.flush()
                    told = f" settings insert_deduplication_token = '{_escaped(token)}'" if token else ""
                    sql = f"insert into {insert[1]} from infile '{file.name}'{told} format {insert[2]}"
                    return bytes(connection.query(sql, "TabSeparated").bytes() or b"")
            found = connection.query(sql, given.get("default_format", "TabSeparated"), params=parameters)
            return bytes(found.bytes() or b"")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n")
        else:
            self._run({}, b"")

    def do_POST(self) -> None:
        body = (
            self.rfile.read(int(self.headers.get("Content-Length") or 0)) if "Content-Length" in self.headers else b""
        )
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            body = b"".join(iter(self._chunk, b""))
        form, body = _form(self.headers.get("Content-Type") or "", _plain(body, self.headers.get("Content-Encoding")))
        self._run(form, body)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _run(self, form: dict[str, str], body: bytes) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)) | form
        sql = given.get("query", "")
        if not sql:
            sql, _, body = _split(body)
        try:
            self._answer(200, self.engine.run(sql, given, body))
        except Exception as problem:  # noqa: BLE001 - whatever it is, the client is told
            text = str(problem)
            code = re.search(r"Code: (\d+)", text)
            self._answer(500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1000"})

    def _answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"X-ClickHouse-Timezone": "UTC", "Content-Length": str(len(body))} | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def _split(body: bytes) -> tuple[str, bytes, bytes]:
    """A statement, and the rows of an insert after its first line."""
    line, mark, rest = body.partition(b"\n")
    if line.lstrip()[:6].lower() == b"insert" and INSERT.match(line.decode(errors="replace")):
        return line.decode(), mark, rest
    return body.decode(), b"", b""


def _plain(body: bytes, encoding: str | None) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "lz4":
        import lz4.frame

        return bytes(lz4.frame.decompress(body))
    if encoding == "zstd":
        from backports import zstd

        return bytes(zstd.decompress(body))
    return body


def _form(kind: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a form, else the body itself."""
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode(), keep_blank_values=True)), b""
    if not kind.startswith("multipart/form-data"):
        return {}, body
    mark = b"--" + kind.partition("boundary=")[2].encode()
    fields = {}
    for part in body.split(mark)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        if name:
            fields[name[1].decode()] = value[:-2].decode()
    return fields, b""


def main(folder: Path) -> None:
    Handler.engine = Engine(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"clickhouse://default@127.0.0.1:{server.server_address[1]}/afterlaunch", flush=True)
    server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """The address of a fresh one, as AFTERLAUNCH_TELEMETRY_URL wants it."""
    with tempfile.TemporaryDirectory(prefix="al-ch-") as folder:
        process = subprocess.Popen(
            [sys.executable, __file__, str(Path(folder) / "data")], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "the ClickHouse of the tests did not start"
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    main(Path(sys.argv[1]))
