"""The receivers as the server opens them, in this process, and what must hold after every body."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from afterlaunch.app.hot import Stores, open_stores
from afterlaunch.ground.errors import Invalid, Unsupported
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.encodings import request_of
from tests.fuzz.bodies import JSON, LOGS, MESSAGES, METRICS, TRACES, WRITE, Body

Answer = tuple[int, bytes]
CPU_SECONDS = 5.0
"""The longest that bodies sent at once may take; processor time, so that a busy machine proves nothing."""
WAIT_SECONDS = 60.0
PAGE = resource.getpagesize()
FINE = {200, 204, 400, 413, 415}


class Broken(AssertionError):
    """What must hold does not."""


def resident() -> int:
    """Bytes of this process in memory."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@dataclass
class Told:
    """What the run saw."""

    answers: Counter[int] = field(default_factory=Counter)
    spans: int = 0
    slowest: float = 0.0
    largest: int = 0


class Open:
    """The server's doors on a new data folder (AFTERLAUNCH_DATA), until `close`."""

    def __init__(self) -> None:
        self._opened: Stores = open_stores("127.0.0.1")
        self._loop = asyncio.new_event_loop()
        self.told = Told()

    def close(self) -> None:
        self._opened.close()
        self._loop.close()

    async def _sent(self, body: Body) -> Answer:
        parts: list[Any] = []
        data = body.sent()
        headers = {"content-type": body.content_type, "content-encoding": body.encoding}
        scope = {
            "method": "POST",
            "headers": [(name.encode(), told.encode()) for name, told in headers.items() if told],
            "client": ("127.0.0.1", 1),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def tell(message: Any) -> None:
            parts.append(message)

        await self._opened.hot[body.path](scope, receive, tell)
        return parts[0]["status"], parts[1]["body"]

    async def _all(self, bodies: Sequence[Body]) -> list[Answer]:
        return await asyncio.gather(*map(self._sent, bodies))

    def check(self, bodies: Sequence[Body]) -> None:
        """Send them at once, so that they wait for one commit, and see that everything holds. Raises Broken."""
        began = time.process_time()
        answers = self._loop.run_until_complete(self._all(bodies))
        self._committed()
        took = time.process_time() - began
        self.told.slowest = max(self.told.slowest, took)
        self.told.largest = max(self.told.largest, resident())
        self.told.answers.update(status for status, _ in answers)
        for body, (status, answer) in zip(bodies, answers, strict=True):
            self._check(body, status, answer)
        if took > CPU_SECONDS:
            raise Broken(f"it took {took:.1f} s")

    def _committed(self) -> None:
        """Wait for what was answered from the journal."""
        buffers = [self._opened.hot[path].intake.buffer for path in (TRACES, METRICS, LOGS)]  # type: ignore[attr-defined]
        until = time.monotonic() + WAIT_SECONDS
        while any(one.held_bytes for one in buffers):
            if time.monotonic() > until:
                raise Broken(f"not committed after {WAIT_SECONDS:.0f} s")
            time.sleep(0.002)

    def _check(self, body: Body, status: int, answer: bytes) -> None:
        if status not in FINE:
            raise Broken(f"{status}: {answer[:300]!r}")
        if body.whole and status >= 400 and body.path != WRITE:
            raise Broken(f"a body that can be read is refused: {status} {answer[:300]!r}")
        if body.neighbours and (found := self._kept(body)) != body.neighbours:
            raise Broken(f"{found} of {body.neighbours} neighbours are stored once")
        if body.path == TRACES and body.encoding in ("", "gzip"):
            self._spans(body, status, answer)

    def _kept(self, body: Body) -> int:
        mark = body.mark.hex() if body.path == TRACES else body.mark.decode()
        told, given = {
            TRACES: ("spans where substr(hex(span_id), 1, 12) = upper(?)", [mark]),
            LOGS: ("records where event = ?", [mark]),
            METRICS: ("points where name = ? || '.good'", [mark]),
            WRITE: ("points where name = ? || '.good'", [mark]),
        }[body.path]
        return int(stores.current().query(f"select count(*) as n from {told}", given)[0]["n"])

    def _spans(self, body: Body, status: int, answer: bytes) -> None:
        """What the protocol's own library reads is taken, and each span with ids is stored once."""
        try:
            request = request_of(MESSAGES[TRACES], body.data, body.content_type)
        except (Invalid, Unsupported):
            return  # refused; or taken, if what is broken is no part of what is kept
        all_spans = [one for group in request.resource_spans for scope in group.scope_spans for one in scope.spans]
        good = {
            (one.trace_id, one.span_id)
            for one in all_spans
            if (len(one.trace_id), len(one.span_id)) == (16, 8) and any(one.trace_id) and any(one.span_id)
        }
        if status >= 400:
            if _is_json(body):
                return  # checked for what JSON allows and OTLP does not
            raise Broken(f"the protocol's own library reads it: {answer[:300]!r}")
        self.told.spans += len(good)
        found = stores.current().query(
            "select count(*) as n, count(distinct (trace_id, span_id)) as distinct_ids,"
            " count(*) filter (list_contains(flags, 'mapping_failed')) as unmapped from spans"
            " where span_id in (select unhex(unnest(?))) and trace_id in (select unhex(unnest(?)))",
            [[span.hex() for _, span in good], [trace.hex() for trace, _ in good]],
        )[0]
        if (found["n"], found["distinct_ids"]) != (len(good), len(good)):
            said = f"of {len(good)} spans {found['distinct_ids']} are stored, in {found['n']} rows"
            raise Broken(f"{said}; the newest dead letter: {newest_letter()}")
        if found["unmapped"]:
            raise Broken(f"{found['unmapped']} spans could not be mapped")
        if not _is_json(body):
            said = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
            bad = sum((one.trace_id, one.span_id) not in good for one in all_spans)
            if said != bad:
                raise Broken(f"{said} spans are said to be rejected, {bad} have no ids")

    def nothing_buried(self) -> None:
        """Dead letters are for faults of ours. Raises Broken with the first."""
        if why := newest_letter():
            raise Broken(f"a dead letter: {why}")
        failed = stores.current().query("select count(*) as n from spans where list_contains(flags, 'mapping_failed')")
        if failed[0]["n"]:
            raise Broken(f"{failed[0]['n']} spans could not be mapped")


def newest_letter() -> str | None:
    found = stores.current().query("select why from dead_letter order by at_ns desc limit 1")
    return found[0]["why"] if found else None


def _is_json(body: Body) -> bool:
    """Whatever its parameters say."""
    return body.content_type.partition(";")[0].strip().lower() == JSON
