"""Two thousand streams that say little: none is lost, and a worker stays small."""

from __future__ import annotations

import asyncio
import resource
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from afterlaunch.contracts.budgets import Budget
from afterlaunch.gateway.tests.house import KEY, Canned, Provider, running, snapshot_of
from afterlaunch.gateway.tests.test_forwarding import STREAM
from afterlaunch.gateway.tests.test_workers import workers

pytestmark = pytest.mark.process
STREAMS = 2_000
FIRST = b'data: {"model":"m","choices":[{"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
BODY = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'
EACH = 60 << 10  # bytes of memory that an idle stream may take


def _memory(pid: int) -> int:
    """Bytes of a process and its children's."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (pid, *children))
    return pages * resource.getpagesize()


async def _stream(host: str, port: int, begun: asyncio.Semaphore, all_begun: asyncio.Barrier) -> bytes:
    async with begun:
        reader, writer = await asyncio.open_connection(host, port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        writer.write(f"{head}connection: close\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        first = await asyncio.wait_for(reader.readuntil(b'"hi"'), 60)
    await all_begun.wait()
    rest = await asyncio.wait_for(reader.read(), 90)
    writer.close()
    return first + rest


def test_two_thousand_idle_streams_are_served_in_bounded_memory(tmp_path: Path) -> None:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 3 * STREAMS:
        pytest.skip("the system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, 3 * STREAMS), most))
    provider = Provider()
    provider.answer = lambda _: Canned([FIRST, LAST], headers=STREAM)
    held = provider.held = threading.Event()
    budget = Budget("b1", "All", {}, "tokens", 10**9, "month")

    async def run(url: str, pid: int) -> tuple[list[bytes], int]:
        before = _memory(pid)
        parts = urlsplit(url)
        begun, all_begun = asyncio.Semaphore(50), asyncio.Barrier(STREAMS + 1)
        streams = [
            asyncio.create_task(_stream(str(parts.hostname), int(parts.port or 0), begun, all_begun))
            for _ in range(STREAMS)
        ]
        await asyncio.wait_for(all_begun.wait(), 120)
        taken = _memory(pid) - before
        held.set()
        return await asyncio.gather(*streams), taken

    with running(provider) as upstream:
        made = snapshot_of(upstream)
        patient = tuple(replace(one, timeout_seconds=600) for one in made.upstreams)
        made = replace(made, budgets=(budget,), upstreams=patient)
        with workers(tmp_path, made, 1) as (process, url):
            answers, taken = asyncio.run(run(url, process.pid))
    assert len(provider.requests) == STREAMS
    wrong = [one for one in answers if not (one.startswith(b"HTTP/1.1 200") and one.endswith(b"0\r\n\r\n"))]
    assert not wrong, (len(wrong), wrong[0][-400:])
    assert all(one.count(b"[DONE]") == 1 for one in answers)
    assert taken < STREAMS * EACH, taken / STREAMS
