"""Own telemetry on its way: a bounded ring, batches, and a bounded spool on disk while the server is silent.

Calls that have ended are encoded a few at a time: more of them would keep objects alive, one alone would find nothing
that it needs in the processor's cache. What is lost is counted by reason.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections import deque
from pathlib import Path

import aiohttp

from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.otlp import Told, export
from afterlaunch.gateway.report import CallReport, told_of
from afterlaunch.gateway.server_link import Link

log = logging.getLogger(__name__)
RING = 20_000  # calls
TOGETHER = 32  # calls that are encoded at once
BATCH = 500  # calls in one request
PERIOD = 0.5  # seconds between two batches
SPOOL_BYTES = 256 << 20
RETRYABLE = frozenset((429, 502, 503, 504))


class Exporter:
    def __init__(self, link: Link, session: aiohttp.ClientSession, folder: Path, metrics: Metrics) -> None:
        self._link, self._session, self._folder, self._metrics = link, session, folder, metrics
        self._fresh: list[CallReport] = []
        self._ring: deque[Told] = deque()
        self._not_before = 0.0  # loop time until which the server asked us to wait
        self._spooled = 0  # bytes
        self._silent = False

    def put(self, report: CallReport) -> None:
        if len(self._ring) >= RING:
            self._metrics.add("spans_dropped_total", report.spans, reason="ring-full")
            return
        self._fresh.append(report)
        if len(self._fresh) >= TOGETHER:
            self._encode()

    def _encode(self) -> None:
        fresh, self._fresh = self._fresh, []
        self._ring.extend(map(told_of, fresh))

    @property
    def spool_bytes(self) -> int:
        return self._spooled

    async def run(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._spooled = sum(file.stat().st_size for file in self._folder.glob("*.pb"))
        while True:
            await asyncio.sleep(PERIOD)
            self._encode()
            while self._ring:
                await self._one_batch()
            await self._drain_spool()

    async def close(self) -> None:
        """Send or spool what is left."""
        self._not_before = 0.0
        self._encode()
        while self._ring:
            await self._one_batch()

    async def _one_batch(self) -> None:
        batch = [self._ring.popleft() for _ in range(min(BATCH, len(self._ring)))]
        body, spans = export(batch), sum([one.spans for one in batch])
        if self._spooled or not await self._send(body, spans):
            self._spool(body, spans)

    async def _send(self, body: bytes, spans: int) -> bool:
        """True when it is settled: taken, or refused for good."""
        if asyncio.get_running_loop().time() < self._not_before:
            return False
        try:
            status, wait = await self._post(body)
        except (OSError, aiohttp.ClientError, TimeoutError) as problem:
            self._note_silence(f"{type(problem).__name__}: {problem}")
            return False
        if status < 300:
            self._silent = False
            self._metrics.add("spans_exported_total", spans)
            return True
        if status in RETRYABLE or status in (401, 403, 404):
            self._note_silence(f"status {status}")
            self._not_before = asyncio.get_running_loop().time() + wait
            return False
        log.error("the server refused %s spans with status %s", spans, status)
        self._metrics.add("spans_dropped_total", spans, reason=f"status-{status}")
        return True

    async def _post(self, body: bytes) -> tuple[int, float]:
        """Status, and how many seconds to wait before the next try."""
        headers = {**self._link.headers(), "Content-Type": "application/x-protobuf"}
        timeout = aiohttp.ClientTimeout(total=10)
        url = f"{self._link.telemetry or self._link.server}/v1/traces"
        async with self._session.post(url, data=body, headers=headers, timeout=timeout) as answer:
            await answer.read()
            after = answer.headers.get("retry-after", "")
            return answer.status, float(min(int(after), 30)) if after.isdigit() else 1.0

    def _note_silence(self, why: str) -> None:
        if not self._silent:
            log.warning("own telemetry waits on disk: %s", why)
        self._silent = True

    def _spool(self, body: bytes, spans: int) -> None:
        """One file for a batch; the name orders them and tells the number of spans."""
        if self._spooled + len(body) > SPOOL_BYTES:
            self._metrics.add("spans_dropped_total", spans, reason="spool-full")
            return
        name = f"{uuid.uuid1().time:020d}-{os.getpid()}-{spans}"
        try:
            temporary = self._folder / f"{name}.tmp"
            temporary.write_bytes(body)
            temporary.rename(self._folder / f"{name}.pb")
            self._spooled += len(body)
        except OSError as problem:
            log.error("own telemetry cannot be spooled: %s", problem)
            self._metrics.add("spans_dropped_total", spans, reason="disk")

    async def _drain_spool(self) -> None:
        if not self._spooled:
            return
        for file in sorted(self._folder.glob("*.pb")):
            body = file.read_bytes()
            if not await self._send(body, int(file.stem.rsplit("-", 1)[1])):
                return
            file.unlink(missing_ok=True)
            self._spooled = max(0, self._spooled - len(body))
        self._spooled = sum(file.stat().st_size for file in self._folder.glob("*.pb"))
