"""One call: from the caller's request to the last byte, and what became of it.

1. Assign the arm. 2. Let it in within the limits of its key, tenant and route. 3. Ask the route's guard about the
request. 4. Give a remembered answer where the route wants that, else let `attempts` find an upstream that answers.
5. Let it pass (`passing`). 6. Report every attempt. A caller who leaves ends the upstream's work at once, or the route
reads on for the exact usage.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import lru_cache
from typing import Any

from afterlaunch.gateway.admission import Admission
from afterlaunch.gateway.answer import Answer
from afterlaunch.gateway.attempts import Attempts
from afterlaunch.gateway.counting import count
from afterlaunch.gateway.guarding.gate import Gate
from afterlaunch.gateway.guarding.judging import Again, Judge, facts_of
from afterlaunch.gateway.passing import Passage
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.remembered import Keeping, Remembered, key_of
from afterlaunch.gateway.repeated import compared
from afterlaunch.gateway.report import Attempt, CallReport, new_id
from afterlaunch.gateway.request import response_headers
from afterlaunch.gateway.shadowing.copies import Copy
from afterlaunch.gateway.spending.purse import Purse
from afterlaunch.gateway.stack import Stack
from afterlaunch.ground import clock

CALLS_PER_KEY = 4_000  # at the same time
DRAINS = 64  # answers that are read on after their callers left, at the same time
_UNTOLD = frozenset((b"date", b"age", b"content-length"))  # of an answer that is remembered


def _stopwatch() -> Callable[[], float]:
    """Tells the seconds since it was made."""
    now, zero = time.perf_counter, time.perf_counter()
    return lambda: now() - zero


@lru_cache(maxsize=1024)
def _seconds(instant: datetime) -> bytes:
    return b"%d" % instant.timestamp()


class Call:
    """Counted from its making until it has run, or until the caller left before it could."""

    def __init__(self, stack: Stack, admission: Admission) -> None:
        """Raises Refusal."""
        self._stack, self.admission = stack, admission
        self._route, limited, key = admission.route, admission.limited, admission.key.id
        self._id = new_id(16).hex()
        self._judge: Judge | None = None
        if admission.guard is not None:
            facts = facts_of(admission.facts, admission.asked, self._id)
            self._judge = Judge(admission.guard, stack.guarding, facts)
        self._purse = Purse(stack.budgets, stack.buckets, admission, self._id)
        self._attempts = Attempts(stack.client, stack.health, stack.without_usage, admission, self._purse)
        self._passage: Passage | None = None
        self._kept: Keeping | None = None  # the answer, where it may be remembered
        self._hit: Remembered | None = None
        self._repeats: Remembered | None = None  # what would have been given, where the cache is only observed
        self._later: Gate | None = None
        self._gone = self._drained = self._streaming = False
        if stack.busy[key] >= CALLS_PER_KEY:
            raise Refusal(429, "key-concurrency", "Too many calls of this key are under way.", retry_after=1)
        if limited and (exceeded := stack.buckets.enter(limited)):
            raise exceeded.refusal()
        stack.busy[key] += 1
        stack.metrics.in_flight += 1

    @property
    def largest_request(self) -> int:
        """Bytes."""
        return self._route.handling.largest_request

    async def run(self, body: bytes, answer: Answer) -> None:
        """Raises Refusal while nothing has been sent to the caller."""
        self._start_ns, self._since = clock.now_ns(), _stopwatch()
        if self.admission.assignment.reason == "unassigned":
            self._stack.metrics.add("unassigned_total", route=self._route.name)
        try:
            if self._judge is not None:
                body = await self._judge.request(body)
            if not self._route.handling.cache_seconds or not self._remembered(body, answer):
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
                self._beside(self._look_back(self._later), self._stack.later)
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
        self._stack.busy[self.admission.key.id] -= 1

    @staticmethod
    def _beside(work: Coroutine[Any, Any, None], others: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        others.add(task)
        task.add_done_callback(others.discard)

    # ---- the answer of an upstream

    async def _serve(self, body: bytes, answer: Answer) -> None:
        try:
            await self._serve_once(body, answer)
        except Again as denied:
            await self._serve_again(body, answer, denied)

    async def _serve_again(self, body: bytes, answer: Answer, denied: Again) -> None:
        """A new attempt, billed as the first one was. Where there can be none, the first answer's refusal stands."""
        assert self._judge is not None
        self._purse.settle(self._attempts.made[-1])
        self._purse.spend(self._attempts.made[-1])
        self._judge.ask_again()
        made = len(self._attempts.made)
        try:
            await self._serve_once(body, answer)
        except Refusal:
            if len(self._attempts.made) > made:
                raise
            self._judge.trail.outcome = "denied"
            raise denied from None

    async def _serve_once(self, body: bytes, answer: Answer) -> None:
        opened = await self._attempts.open(body, self._since)
        self._streaming = opened.streaming
        client, handling, timer = self._stack.client, self._route.handling, None
        if (deadline := handling.resilience.deadline) is not None:
            left = max(deadline - self._since(), 0.0)
            timer = asyncio.get_running_loop().call_later(left, client.expire, opened.head)
        passage = Passage(self._stack, self.admission, self._since, opened, self._judge)
        self._passage = passage
        try:
            await passage.run(answer, self._own_headers(), handling.largest_answer, self._kept)
        finally:
            if timer is not None:
                timer.cancel()
        if self._kept is not None and self._repeats is None:  # what is kept grows old as if it were given
            self._remember(self._kept, passage)
        if (gate := passage.gate) is not None:
            if gate.later:
                self._later = gate
            else:
                gate.close()

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        if not self._route.handling.own_headers:
            return []
        told = [(b"afterlaunch-call-id", self._id.encode()), self.admission.told]
        hold = self._attempts.made[-1].hold if self._attempts.made else None
        if hold is not None and hold.left is not None:
            told.append((b"afterlaunch-budget-remaining", b"%d" % hold.left))
            if hold.reset is not None:
                told.append((b"afterlaunch-budget-reset", _seconds(hold.reset)))
        return told

    async def _look_back(self, gate: Gate) -> None:
        """What only counts is found when the caller has had everything; then the call is reported."""
        try:
            await gate.after()
        finally:
            gate.close()
            self._report()

    def _shadow(self, body: bytes) -> None:
        """Of a call that its own arm answered whole, when its caller has had everything."""
        last = self._attempts.made[-1]
        if last.state == "complete" and not last.fallback:
            about = self.admission.about
            copy = Copy(
                about.asked,
                about.key,
                about.route,
                about.assignment,
                about.tenant,
                about.epoch,
                self._id,
                body,
            )
            self._stack.shadows.offer(copy)

    # ---- remembered answers

    def _remembered(self, body: bytes, answer: Answer) -> bool:
        seconds = self._route.handling.cache_seconds
        about = self.admission.about
        if about.asked.protocol.operation is None:
            return False
        if self._judge is not None and self._judge.placeholders:  # two requests may differ in what they stand for
            return False
        guard = self._judge.guard.mark if self._judge is not None else b""
        key = key_of(about.asked, about.assignment, about.route.name, about.tenant, body, guard)
        if key is None:
            return False
        now = self._stack.client.now()
        found = self._stack.answers.get(key, now, seconds)
        if found is None:
            self._kept = Keeping(key)
            return False
        if self._route.handling.cache_observe:
            self._repeats, self._kept = found, Keeping(key)
            return False
        self._hit = found
        told = [(b"afterlaunch-cache", b"hit"), (b"age", b"%d" % (now - found.at))]
        answer.start(200, [*found.headers, *self._own_headers(), *told])
        answer.end(found.body)
        return True

    def _remember(self, kept: Keeping, passage: Passage) -> None:
        """What came whole from its own arm."""
        attempt, reading, body = passage.attempt, passage.meter.reading, kept.whole()
        if body is None or not reading.ended or attempt.fallback:
            return
        if attempt.state != "complete" or attempt.status != 200:
            return
        headers = [pair for pair in response_headers(passage.head.headers) if pair[0] not in _UNTOLD]
        headers.append((b"content-length", b"%d" % len(body)))
        one = Remembered(headers, body, self._stack.client.now(), reading.model, attempt.tokens)
        self._stack.answers.put(kept.key, one)

    def _compared(self, remembered: Remembered) -> bytes:
        last = self._attempts.made[-1] if self._attempts.made else None
        whole = last is not None and last.state == "complete" and last.status == 200
        fresh = self._kept.whole() if self._kept is not None and whole else None
        return compared(remembered.body, fresh, self.admission.asked.protocol)

    # ---- a caller who leaves

    def _leave(self) -> None:
        """A caller who has seen the stream's own end has had everything: SDKs hang up there, before the transport's."""
        if not self._attempts.made:
            return
        attempt, passage = self._attempts.made[-1], self._passage
        attempt.ended = self._since()
        if passage is None:
            if self._attempts.head is not None:
                self._stack.client.abort(self._attempts.head)
            self._depart(attempt)
            return
        reading = passage.meter.reading
        if reading.ended and reading.events:
            passage.abort()
            passage.settle(reading.tokens(self.admission.asked.protocol))
        elif self._may_drain():
            self._drained = True
            self._beside(self._drain(passage), self._stack.drains)
        else:
            passage.abort()
            passage.settle(None)
            self._depart(attempt)

    @staticmethod
    def _depart(attempt: Attempt) -> None:
        attempt.state, attempt.error = "caller-gone", None

    def _may_drain(self) -> bool:
        if self._route.handling.leaving.policy != "drain":
            return False
        if len(self._stack.drains) >= DRAINS:
            self._stack.metrics.add("drains_total", how="no-room")
            return False
        return True

    async def _drain(self, passage: Passage) -> None:
        """Read on for the usage; what takes too long is ended and estimated."""
        how = "capped"
        try:
            if await passage.read_on(self._route.handling.leaving.seconds):
                how = "whole"
                passage.finish()
            else:
                passage.attempt.ended = self._since()
                passage.settle(None)
            self._depart(passage.attempt)
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
            if attempt.hold is not None:
                self._purse.settle(attempt)
        report = CallReport(
            self.admission.about,
            self._id,
            self._start_ns,
            now,
            self._streaming,
            attempts,
            self._hit,
            trail or None,
        )
        if self._repeats is not None:
            report.repeats = self._compared(self._repeats)
        count(self._stack.metrics, report)
        if attempts and self.admission.limited:
            self._purse.spend(attempts[-1])
        self._stack.exporter.put(report)
