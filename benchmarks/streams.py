"""Streams that stand open and say nothing: what they cost a gateway, and whether all of them end whole.

    python benchmarks/streams.py [--streams 2000] [--idle 5] [--port 9390]

A provider begins every stream with one event and then waits; callers hold their connections. Memory is the resident
size of the gateway's process, with budgets, before the streams and while all of them stand open. In the end the
provider says the rest, and every caller must have every byte. Exit 1 when a stream was refused or cut, or when one
costs more than MOST_KIB. Uses three ports from `--port` on, and two open files for each stream.

Measured: 2,000 of 2,000 whole, 18.6 KiB a stream, 80.6 MB in all, 0.3 % of a core while idle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
KEY, MOST_KIB = "al_bench_secret", 64
PATIENCE = 60.0  # seconds
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FIRST = b'data: {"model":"fake","choices":[{"delta":{"content":"one"}}]}\n\n'
REST = b'data: {"model":"fake","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
BODY = b'{"model":"fake","stream":true,"stream_options":{"include_usage":true},"messages":[]}'


class Provider(asyncio.Protocol):
    waiting: set[Provider] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if b"POST" in data:
            self.transport.write(HEAD + b"%x\r\n%b\r\n" % (len(FIRST), FIRST))  # type: ignore[attr-defined]
            Provider.waiting.add(self)

    def end(self) -> None:
        self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(REST), REST))  # type: ignore[attr-defined]


async def stream(port: int, first: asyncio.Semaphore, opened: asyncio.Event) -> bool:
    """Whether it came whole."""
    async with asyncio.timeout(PATIENCE):
        return await _stream(port, first, opened)


async def _stream(port: int, first: asyncio.Semaphore, opened: asyncio.Event) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}content-length: {len(BODY)}\r\n\r\n".encode() + BODY)
    got = await reader.readuntil(b"one")  # or it was refused, and waits in vain
    first.release()
    await opened.wait()
    got += await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    return got.startswith(b"HTTP/1.1 200") and b"[DONE]" in got and b'"usage"' in got


def state(pid: int) -> tuple[float, float]:
    """Resident KiB, CPU seconds."""
    told = Path(f"/proc/{pid}/status").read_text().split()
    used = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return float(told[told.index("VmRSS:") + 1]), (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


async def measure(streams: int, idle: float, port: int, pid: int) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", port + 1, backlog=4096)
    before, _ = state(pid)
    first, opened, began = asyncio.Semaphore(0), asyncio.Event(), time.perf_counter()
    tasks = [asyncio.create_task(stream(port, first, opened)) for _ in range(streams)]
    opening = asyncio.gather(*(first.acquire() for _ in range(streams)))
    while not opening.done() and time.perf_counter() - began < PATIENCE / 2:
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    open_kib, cpu = state(pid)
    await asyncio.sleep(idle)
    held_kib, later = state(pid)
    opened.set()
    for one in list(Provider.waiting):
        one.end()
    whole = await asyncio.gather(*tasks, return_exceptions=True)
    opening.cancel()
    server.close()
    return {
        "streams": streams,
        "whole": sum(one is True for one in whole),
        "opened_in_s": round(took, 2),
        "kib_a_stream": round((max(open_kib, held_kib) - before) / streams, 1),
        "resident_mb": round(max(open_kib, held_kib) / 1024, 1),
        "idle_cpu_percent": round((later - cpu) / idle * 100, 2),
    }


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--streams", type=int, default=2_000)
    given.add_argument("--idle", type=float, default=5.0)
    given.add_argument("--port", type=int, default=9390)
    asked = given.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    command = [sys.executable, str(ROOT / "benchmarks" / "gateway.py")]
    sink = subprocess.Popen([*command, "sink", str(asked.port + 2)])
    upstream = f"http://127.0.0.1:{asked.port + 1}"
    gateway = subprocess.Popen([*command, "serve", str(asked.port), upstream, str(asked.port + 2), "budgets"])
    try:
        time.sleep(3)
        told = asyncio.run(measure(asked.streams, asked.idle, asked.port, gateway.pid))
    finally:
        for process in (gateway, sink):
            process.terminate()
            process.wait(15)
    print(json.dumps(told))
    return 0 if told["whole"] == asked.streams and float(str(told["kib_a_stream"])) <= MOST_KIB else 1


if __name__ == "__main__":
    raise SystemExit(main())
