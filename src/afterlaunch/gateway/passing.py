"""An answer on its way from its upstream to the caller: bytes first, metering after.

1. The head passes, hop-by-hop headers aside, and a length that may not hold. 2. Each read goes through what withholds
the usage event that was our wish, then through the guard's gate, is kept where it may be remembered, and is sent; the
meter reads what the upstream said. 3. A stream that is cut stays visibly cut: no last chunk is invented.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from afterlaunch.gateway.admission import Admission
from afterlaunch.gateway.answer import Answer, Headers
from afterlaunch.gateway.attempts import Opened
from afterlaunch.gateway.ending import conclude, content_of
from afterlaunch.gateway.guarding.gate import Cut
from afterlaunch.gateway.guarding.gates import gate_of
from afterlaunch.gateway.guarding.judging import Judge
from afterlaunch.gateway.metering import meter_for
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.remembered import Keeping
from afterlaunch.gateway.request import response_headers
from afterlaunch.gateway.sse import Withhold
from afterlaunch.gateway.stack import Stack
from afterlaunch.gateway.upstream import Broken
from afterlaunch.gateway.usage import Tokens

_UNBOUNDED = 1 << 62
_CUT = {"timeout": "stream_timeout", "too-large": "answer_too_large"}
Since = Callable[[], float]


class Passage:
    """Of one attempt. `gate` None: nothing is checked."""

    def __init__(self, stack: Stack, admission: Admission, since: Since, opened: Opened, judge: Judge | None) -> None:
        asked, self._since = admission.asked, since
        wire = self._wire = asked.protocol
        self._client, self._estimator, self._tenant = stack.client, stack.estimator, admission.tenant or ""
        attempt, head, injected, _ = opened
        self.attempt, self.head = attempt, head
        kind, encoding = content_of(head)
        self._sse = attempt.sse = kind.startswith("text/event-stream")
        held_back = injected and self._sse and not encoding
        self._withhold = Withhold(wire.longest_event) if held_back else None
        self.meter = meter_for(wire, kind, encoding)
        attempt.reading = self.meter.reading
        self.gate = gate_of(judge, asked, head.status, kind, encoding) if judge is not None else None

    async def run(self, answer: Answer, own: Headers, largest: int | None, kept: Keeping | None) -> None:
        """`own`: headers of the gateway's; `largest`: bytes. Raises Refusal while nothing has been sent."""
        headers = response_headers(self.head.headers)
        if largest:
            self._refuse_larger(largest, headers)
        if self._withhold or (self.gate is not None and self.gate.edits):
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        headers += own
        if self.gate is None or not self.gate.holds:
            answer.start(self.head.status, headers)
        if self.head.ended and self._withhold is None and self.gate is None and kept is None and not largest:
            self._at_once(answer)
            return
        try:
            await self._pass(answer, headers, largest or _UNBOUNDED, kept)
        except Broken as problem:
            self._broken(problem, answer)
        except Cut as cut:
            self._cut(cut, answer)
            if kept is not None:
                kept.forget()
        except BaseException:
            if self.gate is not None:
                self.gate.close()
            raise
        if not self.attempt.ended:
            self.finish()

    def _at_once(self, answer: Answer) -> None:
        """What has come whole already, and nobody edits."""
        self.attempt.first_byte = self._since()
        read = self._client.take(self.head)
        answer.end(read)
        self.meter.feed(read)
        self.finish()

    async def _pass(self, answer: Answer, headers: Headers, left: int, kept: Keeping | None) -> None:
        client, head, attempt, meter = self._client, self.head, self.attempt, self.meter
        ended, plain = False, self._withhold is None and self.gate is None
        straight = plain and kept is None and left == _UNBOUNDED
        while not ended:
            if client.waits(head):
                answer.flush()
                if straight and attempt.first_byte is not None:
                    await client.pump(head, answer.pipe(meter.feed))
                    if answer.full:
                        await answer.drain()
                    continue
                read = await client.read(head)
            else:
                read = client.take(head)
            ended = not read or client.ended(head)
            if attempt.first_byte is None:
                attempt.first_byte = self._since()
            left -= len(read)
            if left < 0:
                raise Broken("too-large", "the answer is longer than the route allows")
            out = read if plain else await self._edited(read, ended, answer, headers)
            if kept is not None:
                kept.add(out)
            if ended:
                answer.end(out)
            else:
                answer.write(out)
            if self.gate is None:
                meter.feed(read)
            if answer.full:
                await answer.drain()

    async def _edited(self, read: bytes, ended: bool, answer: Answer, headers: Headers) -> bytes:
        """What of it goes to the caller now. With a gate the meter reads first. Raises Cut, Refusal."""
        out = read
        if self._withhold is not None:
            out = self._withhold.feed(read)
            if ended:
                out += self._withhold.finish()
        if self.gate is None:
            return out
        self.meter.feed(read)
        try:
            out = self.gate.feed(out)
            if ended:
                self.finish()
                out += await self.gate.finish()
        except Refusal:
            self._refused()
            raise
        if not answer.started and not self.gate.holds:
            length = [(b"content-length", b"%d" % len(out))] if ended and not self._sse else []
            answer.start(self.head.status, [*headers, *length])
        return out

    # ---- its end

    def finish(self) -> None:
        """It has come whole, or will not come further."""
        self.attempt.ended = self._since()
        self.settle(self.meter.finish().tokens(self._wire))

    def settle(self, tokens: Tokens | None) -> None:
        """None: what was not told is estimated."""
        conclude(self.attempt, tokens, self._wire, self._estimator, self._tenant)

    def abort(self) -> None:
        if not self._client.ended(self.head):
            self._client.abort(self.head)

    async def read_on(self, seconds: float) -> bool:
        """For nobody, for the usage's sake; whether it came whole in time."""
        try:
            async with asyncio.timeout(seconds):
                while read := await self._client.read(self.head):
                    self.meter.feed(read)
        except (TimeoutError, Broken, asyncio.CancelledError):
            self.abort()
            return False
        return True

    def _broken(self, problem: Broken, answer: Answer) -> None:
        """Where the answer has begun, what was held back of it goes before it is cut."""
        attempt = self.attempt
        attempt.state, attempt.error = "upstream-cut", _CUT.get(problem.kind, "stream_cut")
        self._client.abort(self.head)
        if self.gate is None:
            return
        if self.gate.holds:
            self.gate.close()
            self.finish()
            raise Refusal(502, "upstream-cut", "The upstream's answer ended before it was whole.") from problem
        answer.write(self.gate.cut_off())

    def _cut(self, cut: Cut, answer: Answer) -> None:
        self.attempt.state, self.attempt.error = "refused", "guardrail_block"
        self.abort()
        answer.end(cut.event)

    def _refused(self) -> None:
        self.attempt.error = "guardrail_block"
        self.abort()
        if not self.attempt.ended:
            self.finish()

    def _refuse_larger(self, largest: int, headers: Headers) -> None:
        if any(name == b"content-length" and int(value) > largest for name, value in headers):
            attempt = self.attempt
            attempt.ended, attempt.state, attempt.error = self._since(), "upstream-cut", "answer_too_large"
            self._client.abort(self.head)
            raise Refusal(502, "answer-too-large", f"The upstream's answer is longer than {largest} bytes.")
