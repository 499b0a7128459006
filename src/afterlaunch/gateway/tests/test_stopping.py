"""A gateway that is told to stop lets calls finish for a while, then cuts them so that everybody can see it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from afterlaunch.contracts.snapshot import seal
from afterlaunch.gateway.tests.house import (
    KEY,
    SHARED,
    Canned,
    House,
    Provider,
    gateway_at,
    running,
    snapshot_of,
    until,
)
from afterlaunch.gateway.tests.test_forwarding import call

STREAM = [(b"content-type", b"text/event-stream")]
CHUNK = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
BODY = b'{"stream":true,"stream_options":{"include_usage":true},"model":"m"}'


def _kept(folder: Path, upstream: str) -> None:
    kept = folder / "gateway" / "snapshots"
    kept.mkdir(parents=True)
    (kept / "snapshot-000000000001.json").write_bytes(seal(snapshot_of(upstream), SHARED))


def _stream_while_stopping(folder: Path, pause: float, drain: float) -> tuple[str, bytes, float]:
    """How a stream of 20 events ended, what came of it, and how long the gateway took to stop."""
    provider = Provider()
    provider.answer = lambda _: Canned([*[CHUNK] * 20, b"data: [DONE]\n\n"], headers=STREAM, pause=pause)
    found: list[tuple[str, bytes]] = []
    with running(provider) as upstream:
        _kept(folder, upstream)
        with gateway_at("http://127.0.0.1:1", folder / "gateway", drain) as (url, gateway):
            house = House(url, provider, upstream, None, gateway)  # type: ignore[arg-type]

            def read() -> None:
                try:
                    found.append(("whole", call(house, BODY)[2]))
                except http.client.IncompleteRead as cut:
                    found.append(("cut", cut.partial))

            reader = threading.Thread(target=read)
            reader.start()
            until(lambda: provider.requests)
            time.sleep(0.1)
            began = time.perf_counter()
        took = time.perf_counter() - began
        reader.join(10)
    return *found[0], took


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_SECRET", "sk")


def test_a_stream_that_ends_in_time_ends_whole(tmp_path: Path) -> None:
    how, body, took = _stream_while_stopping(tmp_path, pause=0.05, drain=10)
    assert (how, body) == ("whole", CHUNK * 20 + b"data: [DONE]\n\n") and took < 8


def test_a_stream_that_does_not_is_cut_visibly_and_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how, body, _ = _stream_while_stopping(tmp_path, pause=1.0, drain=0.3)
    assert how == "cut" and body.startswith(CHUNK)
    assert "1 calls were cut" in caplog.text


def test_an_idle_connection_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    with gateway_at("http://127.0.0.1:1", tmp_path, drain=30) as (url, _):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"alive"}'
        began = time.perf_counter()
    assert time.perf_counter() - began < 10


@pytest.mark.process
def test_the_process_finishes_its_stream_on_sigterm_and_ends_with_0(tmp_path: Path) -> None:
    provider = Provider()
    provider.answer = lambda _: Canned([*[CHUNK] * 20, b"data: [DONE]\n\n"], headers=STREAM, pause=0.05)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(provider) as upstream:
        _kept(tmp_path, upstream)
        environ = {
            **os.environ,
            "AFTERLAUNCH_DATA": str(tmp_path),
            "AFTERLAUNCH_GATEWAY_KEY": SHARED.decode(),
            "AFTERLAUNCH_GATEWAY_TOKEN": "t",
            "AFTERLAUNCH_GATEWAY_SERVER": "http://127.0.0.1:1",
        }
        command = [sys.executable, "-m", "afterlaunch", "serve", "gateway", "--port", str(port)]
        gateway = subprocess.Popen(command, env=environ)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), 30)
            request = urllib.request.Request(
                url + "/v1/chat/completions", BODY, {"authorization": f"Bearer {KEY}", "afterlaunch-user": "u"}
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                first = answer.read(len(CHUNK))
                gateway.send_signal(signal.SIGTERM)
                rest = answer.read()
            assert first + rest == CHUNK * 20 + b"data: [DONE]\n\n"
            assert gateway.wait(20) == 0
        finally:
            if gateway.poll() is None:
                gateway.kill()
                gateway.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
