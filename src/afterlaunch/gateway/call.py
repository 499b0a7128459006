"""One call: from the caller's request to the last byte, and what became of it.

1. Assign the arm. 2. Let it in within the limits of its key, tenant and route. 3. Ask the route's guard about the
request. 4. Give a remembered answer where the route wants that, else let `attempts` find an upstream that answers.
5. Pass the answer on as it comes: a meter reads along, a gate of the guard holds or watches it. 6. Report every
attempt. A caller who leaves ends the upstream's work at once, or the route reads on for the exact usage.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.answer import Answer
from afterlaunch.gateway.attempts import Attempts, Opened
from afterlaunch.gateway.configuration import Configuration
from afterlaunch.gateway.counting import count
from afterlaunch.gateway.ending import conclude, content_of, settle
from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.guarding.gates import Cut, Gate, gate_of
from afterlaunch.gateway.guarding.judging import Guarding, Judge, facts_of
from afterlaunch.gateway.health import Health
from afterlaunch.gateway.limits import Buckets, scopes_of
from afterlaunch.gateway.metering import Meter, meter_for
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.remembered import LARGEST, Answers, Remembered, key_of
from afterlaunch.gateway.report import Attempt, CallReport, new_id
from afterlaunch.gateway.request import Asked, assign, response_headers, tenant_of
from afterlaunch.gateway.shadowing.copies import Copy
from afterlaunch.gateway.shadowing.lanes import Shadows
from afterlaunch.gateway.spending.budgets import Asking, Budgets, Hold
from afterlaunch.gateway.sse import Withhold
from afterlaunch.gateway.upstream import Broken, Client, Head
from afterlaunch.gateway.usage import Tokens
from afterlaunch.ground import clock

CALLS_PER_KEY = 1_000  # at the same time
DRAINS = 64  # answers that are read on after their callers left, at the same time


@dataclass
class Stack:
    """What every call uses. `without_usage`: upstreams that refused `stream_options`; `busy`: calls by key; `drains`:
    answers that are read on for nobody; `later`: answers that are still looked at when they have passed."""

    client: Client
    exporter: Exporter
    metrics: Metrics
    buckets: Buckets
    budgets: Budgets
    guarding: Guarding
    shadows: Shadows
    health: Health = field(default_factory=Health)
    answers: Answers = field(default_factory=Answers)
    estimator: Estimator = field(default_factory=Estimator)
    without_usage: set[str] = field(default_factory=set)
    busy: Counter[str] = field(default_factory=Counter)
    drains: set[asyncio.Task[None]] = field(default_factory=set)
    later: set[asyncio.Task[None]] = field(default_factory=set)


class Call:
    """Counted from its making until it has run, or until the caller left before it could."""

    def __init__(self, stack: Stack, configuration: Configuration, asked: Asked, key: Key, route: Route) -> None:
        """Raises Refusal."""
        self._stack, self._asked, self._key, self._route = stack, asked, key, route
        self._epoch = configuration.epoch
        self._tenant = tenant_of(key, asked)
        self._assignment = assign(route, key, asked)
        self._id = new_id(16).hex()
        facts = self._facts()
        self._counted = configuration.counted(facts)
        guard = configuration.guards.get(route.name)
        self._judge = Judge(guard, stack.guarding, facts_of(facts, asked, self._id)) if guard is not None else None
        self._attempts = Attempts(
            stack.client,
            stack.health,
            stack.without_usage,
            configuration,
            asked,
            route,
            self._assignment.arm,
            self if self._counted else None,
        )
        self._head: Head | None = None
        self._meter: Meter | None = None
        self._kept: list[bytes] | None = None  # the answer's parts, where it may be remembered
        self._kept_bytes = 0
        self._cache_key: bytes | None = None
        self._hit: Remembered | None = None
        self._later: Gate | None = None
        self._gone = self._drained = self._streaming = self._sse = False
        self._limited = scopes_of(key, route, self._tenant)
        if stack.busy[key.id] >= CALLS_PER_KEY:
            raise Refusal(429, "key-concurrency", "Too many calls of this key are under way.", retry_after=1)
        if self._limited and (exceeded := stack.buckets.enter(self._limited)):
            raise exceeded.refusal()
        stack.busy[key.id] += 1
        stack.metrics.in_flight += 1

    @property
    def largest_request(self) -> int:
        """Bytes."""
        return self._route.handling.largest_request

    def _since(self) -> float:
        return time.perf_counter() - self._zero

    async def run(self, body: bytes, answer: Answer) -> None:
        """Raises Refusal while nothing has been sent to the caller."""
        self._start_ns, self._zero = clock.now_ns(), time.perf_counter()
        if self._assignment.reason == "unassigned":
            self._stack.metrics.add("unassigned_total", route=self._route.name)
        try:
            if self._judge is not None:
                body = await self._judge.request(body)
            if not self._remembered(body, answer):
                await self._serve(body, answer)
                if self._route.handling.shadow.share:
                    self._shadow(body)
        except asyncio.CancelledError:
            if not self._gone:
                raise
            self._leave()
        finally:
            self._done()
            if self._later is not None:
                task = asyncio.get_running_loop().create_task(self._look_back(self._later))
                self._stack.later.add(task)
                task.add_done_callback(self._stack.later.discard)
            elif not self._drained:
                self._report()

    def left(self) -> None:
        """Before the request had come whole."""
        self._stack.metrics.add("left_while_sending_total")
        self._done()

    def caller_gone(self) -> None:
        self._gone = True

    def _done(self) -> None:
        self._stack.metrics.in_flight -= 1
        self._stack.busy[self._key.id] -= 1

    # ---- budgets

    def _facts(self) -> tuple[str | None, ...]:
        """In the order of `contracts.budgets.DIMENSIONS`."""
        key, route, said = self._key, self._route, self._asked.said
        agent = key.agent or said.get("agent") or route.agent
        told = (said.get("user"), said.get("session"), said.get("transaction"))
        return (route.client, route.system, route.environment, route.name, self._tenant, agent, key.id, *told)

    async def reserve(self, attempt: Attempt, most_output: int | None) -> Hold | None:
        """Raises Refusal when a budget does not allow the attempt."""
        asking = Asking(
            self._id,
            self._route.name,
            self._route.client,
            self._tenant or "",
            attempt.target.upstream.provider,
            attempt.model or "",
            attempt.sent_bytes,
            most_output,
        )
        return await self._stack.budgets.reserve(asking, attempt.number, self._counted)

    def settle(self, attempt: Attempt) -> None:
        settle(self._stack.budgets, attempt, self._sse)

    # ---- the shadow

    def _shadow(self, body: bytes) -> None:
        """Of a call that its own arm answered whole, when its caller has had everything."""
        last = self._attempts.made[-1]
        if last.state == "complete" and not last.fallback:
            copy = Copy(
                self._asked, self._key, self._route, self._assignment, self._tenant, self._epoch, self._id, body
            )
            self._stack.shadows.offer(copy)

    # ---- remembered answers

    def _remembered(self, body: bytes, answer: Answer) -> bool:
        seconds = self._route.handling.cache_seconds
        if not seconds or self._asked.protocol.operation is None:
            return False
        guard = self._judge.guard.mark if self._judge is not None else b""
        key = key_of(self._asked, self._assignment, self._route.name, self._tenant, body, guard)
        if key is None:
            return False
        now = asyncio.get_running_loop().time()
        found = self._stack.answers.get(key, now, seconds)
        if found is None:
            self._cache_key, self._kept = key, []
            return False
        self._hit = found
        told = [(b"afterlaunch-cache", b"hit"), (b"age", b"%d" % (now - found.at))]
        answer.start(200, [*found.headers, *self._own_headers(), *told])
        answer.end(found.body)
        return True

    def _keep(self, part: bytes) -> None:
        """Until the answer is longer than any that is remembered."""
        assert self._kept is not None
        self._kept.append(part)
        self._kept_bytes += len(part)
        if self._kept_bytes > LARGEST:
            self._kept = None

    def _remember(self, attempt: Attempt, head: Head) -> None:
        key, kept, reading = self._cache_key, self._kept, attempt.reading
        if key is None or kept is None or reading is None or not reading.ended:
            return
        if attempt.state != "complete" or attempt.status != 200 or attempt.fallback:
            return
        headers = [
            pair for pair in response_headers(head.headers) if pair[0] not in (b"date", b"age", b"content-length")
        ]
        body, now = b"".join(kept), asyncio.get_running_loop().time()
        headers.append((b"content-length", b"%d" % len(body)))
        self._stack.answers.put(key, Remembered(headers, body, now, reading.model, attempt.tokens))

    # ---- the answer of an upstream

    async def _serve(self, body: bytes, answer: Answer) -> None:
        opened = await self._attempts.open(body, self._since)
        self._streaming = opened.streaming
        self._head = opened.head
        deadline, timer = self._route.handling.resilience.deadline, None
        if deadline is not None:
            left = max(deadline - self._since(), 0.0)
            timer = asyncio.get_running_loop().call_later(left, self._stack.client.expire, opened.head)
        try:
            await self._pass(opened, answer)
        finally:
            if timer is not None:
                timer.cancel()

    async def _pass(self, opened: Opened, answer: Answer) -> None:
        """Bytes first, metering after. A cut stream stays visibly cut: no last chunk is invented."""
        attempt, head, read, injected = opened.attempt, opened.head, opened.spent, opened.injected
        kind, encoding = content_of(head)
        sse = self._sse = kind.startswith("text/event-stream")
        withhold = Withhold(self._asked.protocol.longest_event) if injected and sse and not encoding else None
        meter = self._meter = meter_for(self._asked.protocol, kind, encoding)
        attempt.reading = meter.reading
        headers = response_headers(head.headers)
        gate = gate_of(self._judge, self._asked, head.status, kind, encoding) if self._judge is not None else None
        if withhold or (gate is not None and gate.edits):
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        self._refuse_larger(attempt, headers)
        if gate is None or not gate.holds:
            answer.start(head.status, [*headers, *self._own_headers()])
        client, ended, left = self._stack.client, False, self._route.handling.largest_answer or 1 << 62
        try:
            while not ended:
                if not read:
                    if client.waits(head):
                        answer.flush()
                    read = await client.read(head)
                ended = not read or client.ended(head)
                if attempt.first_byte is None:
                    attempt.first_byte = self._since()
                left -= len(read)
                if left < 0:
                    raise Broken("too-large", "the answer is longer than the route allows")
                out = withhold.feed(read) if withhold else read
                if ended and withhold:
                    out += withhold.finish()
                if gate is not None:
                    meter.feed(read)
                    read = b""
                    out = await self._through(gate, out, attempt, ended)
                    if not answer.started and not gate.holds:
                        length = [(b"content-length", b"%d" % len(out))] if ended and not sse else []
                        answer.start(head.status, [*headers, *length, *self._own_headers()])
                if self._kept is not None:
                    self._keep(out)
                if ended:
                    answer.end(out)
                else:
                    answer.write(out)
                meter.feed(read)
                read = b""
                await answer.drain()
        except Broken as problem:
            attempt.state, attempt.error = "upstream-cut", _CUT.get(problem.kind, "stream_cut")
            client.abort(head)
            if gate is not None and gate.holds:
                gate.close()
                self._finish(attempt)
                raise Refusal(502, "upstream-cut", "The upstream's answer ended before it was whole.") from problem
        except Cut as cut:
            attempt.state, attempt.error = "refused", "guardrail_block"
            if not client.ended(head):
                client.abort(head)
            self._kept = None
            answer.end(cut.event)
        except BaseException:
            if gate is not None:
                gate.close()
            raise
        if not attempt.ended:
            self._finish(attempt)
        self._remember(attempt, head)
        if gate is not None and gate.later:
            self._later = gate
        elif gate is not None:
            gate.close()

    # ---- the guard

    async def _look_back(self, gate: Gate) -> None:
        """What only counts is found when the caller has had everything; then the call is reported."""
        try:
            await gate.after()
        finally:
            gate.close()
            self._report()

    async def _through(self, gate: Gate, out: bytes, attempt: Attempt, ended: bool) -> bytes:
        """Raises Cut; Refusal, when the attempt is over."""
        assert self._head is not None
        try:
            passed = gate.feed(out)
            if not ended:
                return passed
            self._finish(attempt)
            return passed + await gate.finish()
        except Refusal:
            attempt.error = "guardrail_block"
            if not self._stack.client.ended(self._head):
                self._stack.client.abort(self._head)
            if not attempt.ended:
                self._finish(attempt)
            raise

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        if not self._route.handling.own_headers:
            return []
        told = [(b"afterlaunch-call-id", self._id.encode()), (b"afterlaunch-arm", self._assignment.arm.name.encode())]
        hold = self._attempts.made[-1].hold if self._counted and self._attempts.made else None
        if hold is not None and hold.left is not None:
            told.append((b"afterlaunch-budget-remaining", b"%d" % hold.left))
            if hold.reset is not None:
                told.append((b"afterlaunch-budget-reset", b"%d" % hold.reset.timestamp()))
        return told

    def _refuse_larger(self, attempt: Attempt, headers: list[tuple[bytes, bytes]]) -> None:
        largest = self._route.handling.largest_answer
        if largest and any(name == b"content-length" and int(value) > largest for name, value in headers):
            attempt.ended, attempt.state, attempt.error = self._since(), "upstream-cut", "answer_too_large"
            assert self._head is not None
            self._stack.client.abort(self._head)
            raise Refusal(502, "answer-too-large", f"The upstream's answer is longer than {largest} bytes.")

    def _finish(self, attempt: Attempt) -> None:
        assert self._meter is not None
        attempt.ended = self._since()
        reading = self._meter.finish()
        self._settle(attempt, reading.tokens(self._asked.protocol))

    def _settle(self, attempt: Attempt, tokens: Tokens | None) -> None:
        conclude(attempt, tokens, self._asked.protocol, self._sse, self._stack.estimator, self._tenant or "")

    # ---- a caller who leaves

    def _leave(self) -> None:
        """A caller who has seen the stream's own end has had everything: SDKs hang up there, before the transport's."""
        if not self._attempts.made:
            return
        attempt, head = self._attempts.made[-1], self._head or self._attempts.head
        attempt.ended = self._since()
        reading = attempt.reading
        if reading is not None and reading.ended and reading.events:
            self._abort(head)
            self._settle(attempt, reading.tokens(self._asked.protocol))
        elif self._meter is not None and head is not None and self._may_drain():
            self._drained = True
            task = asyncio.get_running_loop().create_task(self._drain(attempt, head))
            self._stack.drains.add(task)
            task.add_done_callback(self._stack.drains.discard)
        else:
            self._abort(head)
            self._depart(attempt)

    def _abort(self, head: Head | None) -> None:
        if head is not None:
            self._stack.client.abort(head)

    def _may_drain(self) -> bool:
        if self._route.handling.leaving.policy != "drain":
            return False
        if len(self._stack.drains) >= DRAINS:
            self._stack.metrics.add("drains_total", how="no-room")
            return False
        return True

    def _depart(self, attempt: Attempt) -> None:
        if attempt.reading is not None:
            self._settle(attempt, None)
        attempt.state, attempt.error = "caller-gone", None

    async def _drain(self, attempt: Attempt, head: Head) -> None:
        """Read on for the usage; what takes too long is ended and estimated."""
        assert self._meter is not None
        how = "capped"
        try:
            async with asyncio.timeout(self._route.handling.leaving.seconds):
                while read := await self._stack.client.read(head):
                    self._meter.feed(read)
            self._finish(attempt)
            attempt.state, attempt.error, how = "caller-gone", None, "whole"
        except (TimeoutError, Broken, asyncio.CancelledError):
            self._abort(head)
            attempt.ended = self._since()
            self._depart(attempt)
        finally:
            self._stack.metrics.add("drains_total", how=how)
            self._report()

    # ---- what is told of it

    def _report(self) -> None:
        attempts, trail = self._attempts.made, self._judge.trail if self._judge is not None else None
        if not attempts and self._hit is None and not trail:
            return
        now = self._since()
        for attempt in attempts:
            if not attempt.ended:
                attempt.ended, attempt.state, attempt.error = now, "upstream-cut", "gateway_stopped"
            self.settle(attempt)
        report = CallReport(
            self._asked,
            self._key,
            self._route,
            self._assignment,
            self._tenant,
            self._epoch,
            self._id,
            self._start_ns,
            now,
            self._streaming,
            attempts,
            self._hit,
            trail or None,
        )
        count(self._stack.metrics, report)
        self._spend()
        self._stack.exporter.put(report)

    def _spend(self) -> None:
        """The tokens of the limits."""
        if self._limited and self._attempts.made:
            last = self._attempts.made[-1]
            spent = last.tokens or (last.estimate[0] if last.estimate else None)
            if spent is not None:
                self._stack.buckets.spend(self._limited, (spent.input or 0) + (spent.output or 0))


_CUT = {"timeout": "stream_timeout", "too-large": "answer_too_large"}
