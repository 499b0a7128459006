"""What the receiver did, for Prometheus: a raw ASGI application. Numbers only, nothing of any client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from asgiref.sync import sync_to_async

from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.ingest import Receive, Send

COUNTERS = {
    "requests": "Telemetry requests that were decoded.",
    "received": "Items received, with those refused.",
    "stored": "Items committed to the store.",
    "duplicates": "Items that were stored already.",
    "rejected": "Items refused for good within a request.",
    "buried": "Items kept as dead letters.",
    "refused_full": "Requests refused because the buffer was full.",
    "commits": "Group commits done.",
    "journaled": "Requests answered from the journal, before their commit.",
    "failed_commits": "Bodies whose commit failed.",
    "commit_seconds": "Time spent in commits, in seconds.",
}


def text(buffers: Mapping[str, Buffer]) -> str:
    """Prometheus text format, version 0.0.4; `buffers` by the signal that they take."""
    lines: list[str] = []
    for name, told in COUNTERS.items():
        metric = f"afterlaunch_otlp_{name}_total"
        lines += [f"# HELP {metric} {told}", f"# TYPE {metric} counter"]
        lines += [f'{metric}{{signal="{signal}"}} {getattr(one.counts, name)}' for signal, one in buffers.items()]
    held = "afterlaunch_otlp_buffer_bytes"
    lines += [f"# HELP {held} Telemetry waiting for its commit.", f"# TYPE {held} gauge"]
    lines += [f'{held}{{signal="{signal}"}} {one.held_bytes}' for signal, one in buffers.items()]
    return "\n".join(lines) + "\n"


class Exposition:
    """Answers GET /metrics. `more` tells the metrics of other rooms, on a thread of its own."""

    def __init__(self, buffers: Mapping[str, Buffer], more: Callable[[], str] | None = None) -> None:
        self._buffers, self._more = buffers, more

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        more = await sync_to_async(self._more, thread_sensitive=False)() if self._more else ""
        body = (text(self._buffers) + more).encode()
        kind = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
        headers = [kind, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
