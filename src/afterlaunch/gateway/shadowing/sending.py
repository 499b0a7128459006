"""One request of a shadow: reserved in its own budget, sent once, read to its end, metered, settled, told."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from afterlaunch.contracts.shadow import Shadow
from afterlaunch.contracts.snapshot import Arm
from afterlaunch.gateway.attempts import BROKEN
from afterlaunch.gateway.configuration import Target
from afterlaunch.gateway.ending import conclude, content_of, settle
from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.failures import of_answer, of_broken
from afterlaunch.gateway.health import Health
from afterlaunch.gateway.metering import Meter, meter_for
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.report import About, Attempt, CallReport
from afterlaunch.gateway.request import Assignment, credential_headers
from afterlaunch.gateway.shadowing.alterations import Unfit
from afterlaunch.gateway.shadowing.copies import Copy, Sent, headers_of, query_of
from afterlaunch.gateway.spending.budgets import Asking, Budgets, kind_of
from afterlaunch.gateway.spending.scopes import Counted
from afterlaunch.gateway.upstream import Broken, Client, Head
from afterlaunch.ground import clock

LARGEST_ANSWER = 64 << 20
_IDENTITY = (b"accept-encoding", b"identity")


@dataclass
class Means:
    """The shadow's own: its connections, budgets, estimates and what it has seen of upstreams are not the callers'."""

    client: Client
    exporter: Exporter
    metrics: Metrics
    budgets: Budgets
    estimator: Estimator
    health: Health = field(default_factory=Health)


class Sending:
    def __init__(self, means: Means, copy: Copy, shadow: Shadow, arm: Arm, target: Target, sent: Sent) -> None:
        self._means, self._copy, self._shadow, self._arm, self._sent = means, copy, shadow, arm, sent
        self._attempt = Attempt(1, target, 0.0, sent.model, sent_bytes=len(sent.body))
        self._head: Head | None = None
        self._meter: Meter | None = None
        self._began = False

    async def run(self) -> None:
        """Raises Unfit where it is not sent."""
        attempt, loop = self._attempt, asyncio.get_running_loop()
        name, route, health = attempt.target.upstream.name, self._copy.route.name, self._means.health
        self._start_ns, self._zero = clock.now_ns(), time.perf_counter()
        failure = None
        try:
            async with asyncio.timeout(self._shadow.deadline):
                await self._reserve()
                self._began = True
                health.asks(name, loop.time(), False)
                await self._ask()
            if self._head is not None:
                failure = of_answer(self._head.status, self._head.headers, b"")
        except (TimeoutError, Broken) as problem:
            kind = problem.kind if isinstance(problem, Broken) else "timeout"
            if not self._began:
                raise Unfit("budget-silent") from None
            failure = of_broken(kind) if kind != "too-large" else None
            self._broken(kind)
        except asyncio.CancelledError:
            if not self._began:
                raise
            health.left(name)
            self._broken("stopped")
            self._end()
            return
        if failure is None:
            health.well(name)
        else:
            health.failed(name, route, failure, loop.time())
        self._end()

    async def _reserve(self) -> None:
        copy, attempt, budget = self._copy, self._attempt, self._shadow.budget
        assert budget is not None  # Shadow.wrong
        route, provider = copy.route, attempt.target.upstream.provider
        kind = kind_of(f"shadow/{route.name}", route.client, copy.tenant or "", provider, attempt.model or "")
        asking = Asking(f"shadow/{copy.call_id}", kind, attempt.sent_bytes, self._sent.most_output)
        try:
            attempt.hold = await self._means.budgets.reserve(asking, 1, Counted([(budget.of(copy.route.name), "")]))
        except Refusal as refusal:
            raise Unfit(refusal.reason) from refusal

    async def _ask(self) -> None:
        """Raises Broken."""
        asked, attempt, client = self._copy.asked, self._attempt, self._means.client
        target = attempt.target
        headers = [
            *headers_of(asked),
            _IDENTITY,
            *credential_headers(asked, target.upstream.provider, False, target.secret or b""),
        ]
        path = target.prefix + asked.path + query_of(asked)
        seconds = min(target.upstream.timeout_seconds, self._shadow.deadline)
        head = self._head = await client.open(
            target.origin, "POST", path.encode("latin-1"), headers, self._sent.body, seconds
        )
        attempt.status = head.status
        kind, encoding = content_of(head)
        attempt.sse = kind.startswith("text/event-stream")
        self._meter = meter_for(asked.protocol, kind, encoding)
        attempt.reading = self._meter.reading
        left = LARGEST_ANSWER
        while read := await client.read(head):
            if attempt.first_byte is None:
                attempt.first_byte = self._since()
            left -= len(read)
            if left < 0:
                raise Broken("too-large", "the answer is longer than any that is read for nobody")
            self._meter.feed(read)

    def _broken(self, kind: str) -> None:
        attempt, read = self._attempt, self._head is not None
        attempt.state = "upstream-cut" if read else "upstream-error"
        attempt.error = _CUT.get(kind) or (("stream_cut" if kind == "cut" else None) if read else None)
        attempt.error = attempt.error or BROKEN[kind][2]
        if self._head is not None:
            self._means.client.abort(self._head)

    def _since(self) -> float:
        return time.perf_counter() - self._zero

    def _end(self) -> None:
        attempt, copy, means = self._attempt, self._copy, self._means
        attempt.ended = self._since()
        if self._meter is not None:
            tokens = self._meter.finish().tokens(copy.asked.protocol)
            conclude(attempt, tokens, copy.asked.protocol, means.estimator, copy.tenant or "")
        settle(means.budgets, attempt)
        usage = "exact" if attempt.tokens else "estimated" if attempt.estimate else "unknown"
        means.metrics.add("shadow_mirrored_total", route=copy.route.name, state=attempt.state, usage=usage)
        assignment = Assignment(self._arm, "shadow", copy.assignment.unit)
        means.exporter.put(
            CallReport(
                About(copy.asked, copy.key, copy.route, assignment, copy.tenant, copy.epoch),
                copy.call_id,
                self._start_ns,
                attempt.ended,
                self._sent.streaming,
                [attempt],
                shadow=True,
            )
        )


_CUT = {"too-large": "answer_too_large", "stopped": "gateway_stopped"}
