"""Bodies of recorded traffic, sent to a server; loaded by `replay` alone, since its client is slow to import."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import aiohttp
import orjson
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from afterlaunch.cli.output import fail
from afterlaunch.telemetry.recordings import JSON, Body

CONNECTIONS = 4
PATIENCE_SECONDS = 60.0


class Sender:
    """Posts bodies over a few connections; waits and sends again when the server asks for it."""

    def __init__(self, address: str, headers: dict[str, str], moved: Callable[[int], None]) -> None:
        self._url, self._headers, self._moved = address + "/v1/traces", headers, moved
        self.spans = self.rejected = 0

    async def send(self, todo: Iterator[Body]) -> None:
        async with aiohttp.ClientSession(headers=self._headers) as session, asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._work(session, todo))

    async def _work(self, session: aiohttp.ClientSession, todo: Iterator[Body]) -> None:
        for body in todo:
            self.rejected += await self._post(session, body)
            self.spans += body.spans
            self._moved(body.spans)

    async def _post(self, session: aiohttp.ClientSession, body: Body) -> int:
        """Returns how many spans were refused for good."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            wait = 1.0
            try:
                kind = {"Content-Type": body.content_type}
                async with session.post(self._url, data=body.data, headers=kind) as response:
                    said = await response.read()
                    if response.status == 200:
                        return _rejected(body, said)
                    if response.status != 503:
                        fail(f"{self._url} answered {response.status}: {_why(body, said)}")
                    wait = float(response.headers.get("Retry-After", "1"))
                    problem = "is overloaded"
            except aiohttp.ClientConnectionError as refused:
                problem = f"cannot be reached: {refused}"
            if time.monotonic() + wait > until:
                fail(f"{self._url} {problem}", "Start the server with: afterlaunch up")
            await asyncio.sleep(wait)


def _rejected(body: Body, said: bytes) -> int:
    if body.content_type == JSON:
        return int(orjson.loads(said).get("partialSuccess", {}).get("rejectedSpans", 0))
    return ExportTraceServiceResponse.FromString(said).partial_success.rejected_spans


def _why(body: Body, said: bytes) -> str:
    if body.content_type == JSON:
        return said.decode("utf-8", "replace")[:500]
    message: str = Status.FromString(said).message
    return message
