"""What policies cost a call, in CPU: `python benchmarks/guard.py`. Prints microseconds, and the ratio to parsing the
request's JSON once, which any reader of it must pay."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.plain import made
from afterlaunch.gateway.guarding.judging import Facts, Guarding, Judge
from afterlaunch.gateway.guarding.rules import Guard, guard_of
from afterlaunch.gateway.guarding.tally import Tally
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import CHAT

ROUNDS = 1_000
SENTENCE = "the quick brown fox jumps over the lazy dog "
CHECKS: dict[str, list[dict[str, Any]]] = {
    "models": [{"kind": "models", "names": ["gpt-4o"]}],
    "terms": [{"kind": "terms", "terms": ["project blue", "project red"]}],
    "arguments": [{"kind": "arguments", "path": "$.amount", "above": 500}],
    "pii": [{"kind": "pii"}],
    "pii and terms": [{"kind": "pii"}, {"kind": "terms", "terms": ["project blue", "project red"]}],
}


def guard(checks: list[dict[str, Any]]) -> Guard:
    usual = {"where": "request", "action": "deny", "fail": "closed"}
    return guard_of(
        tuple(made(Policy, {"id": str(n), "name": f"p{n}", "check": one, **usual}) for n, one in enumerate(checks))
    )


async def _asked(ready: Guard, shared: Guarding, body: bytes) -> float:
    facts = Facts("r", "c", "s", "e", "/v1/chat/completions", CHAT, "t", "a", "k", "u", "1")
    began = time.process_time()
    for _ in range(ROUNDS):
        await Judge(ready, shared, facts).request(body)
    return (time.process_time() - began) / ROUNDS * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shared = Guarding(Tally(Path(folder) / "tally.json"), None, None, Metrics())  # type: ignore[arg-type]
        for size in (800, 20_000):
            content = SENTENCE * (size // len(SENTENCE))
            body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}).encode()
            began = time.process_time()
            for _ in range(ROUNDS):
                orjson.loads(body)
            parse = (time.process_time() - began) / ROUNDS * 1e6
            print(f"{len(body):,} bytes; parsing them once {parse:.1f} µs")
            for name, checks in CHECKS.items():
                took = asyncio.run(_asked(guard(checks), shared, body))
                print(f"  {name:<14} {took:7.1f} µs  {took / parse:5.1f} times")


if __name__ == "__main__":
    main()
