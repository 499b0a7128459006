"""The attempts of one call, until an upstream has given an answer that is the caller's, or none is left to ask.

1. The arm's upstream first, then the route's fallbacks, those that rest left out; when all rest, the one that failed
longest ago. 2. What failed is classified (`failures`), what to do is decided (`decisions`). 3. Every request is an
attempt of its own, with its own state, for telemetry, budgets and the bill.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from afterlaunch.gateway import failures
from afterlaunch.gateway.admission import Admission
from afterlaunch.gateway.configuration import Place
from afterlaunch.gateway.decisions import Do, Standing, Step, decide
from afterlaunch.gateway.failures import Failure, of_answer, of_broken
from afterlaunch.gateway.health import Health
from afterlaunch.gateway.protocols import CHAT, Refusal
from afterlaunch.gateway.report import Attempt
from afterlaunch.gateway.request import Asked
from afterlaunch.gateway.spending.purse import Purse
from afterlaunch.gateway.splice import ask_for_usage, set_model
from afterlaunch.gateway.upstream import Broken, Client, Head

log = logging.getLogger(__name__)
COMPLAINT = 64 << 10
_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_BOUNDED = frozenset(_BOUNDS)
_WORDED = frozenset((400, 413, 422, 429))  # what they mean stands in the body
_RANDOM = random.Random()  # noqa: S311 - draws pauses
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_RANDOM.seed)  # or all workers would pause alike
# By kind of Broken: status and reason of our answer, error type of the attempt.
BROKEN = {
    "unreachable": (502, "upstream-unreachable", "connection_error"),
    "address-refused": (502, "upstream-address-refused", "address_refused"),
    "busy": (503, "upstream-busy", "upstream_busy"),
    "timeout": (504, "upstream-timeout", "timeout"),
    "cut": (502, "upstream-cut", "connection_lost"),
    "garbled": (502, "upstream-garbled", "invalid_response"),
}


class Prepared(NamedTuple):
    """The request as it goes out. `injected`: the usage event was our wish and is withheld from the caller."""

    body: bytes
    model: str | None = None
    streaming: bool = False
    injected: bool = False
    most_output: int | None = None  # tokens that the caller asks for at most, of all choices


def prepare(asked: Asked, body: bytes, model: str | None, inject: bool) -> Prepared:
    """A body that is no JSON object passes as it is: the provider says what is wrong with it."""
    if not body or asked.protocol.operation is None:
        return Prepared(body)
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        return Prepared(body)
    named = document.get("model")
    if model is not None and named != model:
        body, named = set_model(body, model), model
    streaming = injected = document.get("stream") is True
    if injected:
        options = document.get("stream_options")
        asks = isinstance(options, dict) and options.get("include_usage") is True
        injected = inject and not asks and asked.protocol is CHAT
        if injected:
            body = ask_for_usage(body)
    most = None if _BOUNDED.isdisjoint(document) else most_output(document)
    return Prepared(body, named if isinstance(named, str) else None, streaming, injected, most)


def most_output(document: dict[str, Any]) -> int | None:
    """Tokens that the caller asks for at most, of all choices."""
    for name in _BOUNDS:
        bound = document.get(name)
        if type(bound) is int and bound >= 0:
            choices = document.get("n")
            return bound * choices if type(choices) is int and choices > 0 else bound
    return None


class Opened(NamedTuple):
    """An answer to pass on."""

    attempt: Attempt
    head: Head
    injected: bool
    streaming: bool


class Attempts:
    """`since`: seconds since the call began."""

    def __init__(
        self,
        client: Client,
        health: Health,
        without_usage: set[str],
        admission: Admission,
        purse: Purse,
    ) -> None:
        """`purse` reserves for an attempt before it is sent and settles it when another one follows."""
        self._client, self._health, self._without_usage = client, health, without_usage
        self._admission, self._purse = admission, purse
        self._asked, self._route, self._places = admission.asked, admission.route, admission.places
        self._care = admission.route.handling.resilience
        self.made: list[Attempt] = []
        self.head: Head | None = None  # the answer under way
        self._again = 0  # how often the present upstream was asked again

    async def open(self, body: bytes, since: Callable[[], float]) -> Opened:
        """Raises Refusal when no upstream gave an answer. An upstream that does not know `stream_options` is asked once
        more without, and not again."""
        waiting = self._ready() if len(self._places) > 1 else [*self._places]
        place = waiting.pop(0)
        while True:
            upstream, said = place.target.upstream.name, b""
            inject = self._route.inject_usage and upstream not in self._without_usage
            cheaper = self._purse.cheaper() if self._purse.counted is not None else None
            prepared = prepare(self._asked, body, cheaper[0] if cheaper else place.model, inject)
            number, size = len(self.made) + 1, len(prepared.body)
            attempt = Attempt(number, place.target, since(), prepared.model, sent_bytes=size)
            attempt.fallback = place is not self._places[0]
            if cheaper is not None:
                attempt.downgraded = cheaper[1]
            try:
                answer = await self._ask(attempt, prepared, since)
                if isinstance(answer, Head):
                    if answer.status in _WORDED:
                        said = await self._complaint(answer)
                    if answer.status < 400:
                        self._health.well(upstream)
                        return Opened(attempt, answer, prepared.injected, prepared.streaming)
            except BaseException:  # the caller left, or a budget refused: nothing was learned of the upstream
                self._health.left(upstream)
                raise
            if prepared.injected and b"stream_options" in said and attempt.status == 400:
                self._without_usage.add(upstream)
                self._end(attempt, answer, since())
                continue
            failure = _failure(answer, said)
            self._health.failed(upstream, self._route.name, failure, asyncio.get_running_loop().time())
            step = self._step(failure, waiting, upstream, since())
            if step.do is Do.GIVE:
                return Opened(attempt, _given(attempt, answer), False, prepared.streaming)
            self._end(attempt, answer, since())
            await asyncio.sleep(step.wait)
            self._again = self._again + 1 if step.do is Do.AGAIN else 0
            if step.do is Do.NEXT:
                place = self._next(waiting, failure)

    def _ready(self) -> list[Place]:
        now, health = asyncio.get_running_loop().time(), self._health
        ready = [one for one in self._places if health.ready(one.target.upstream.name, self._route.name, now)]
        if any(not one.larger_context for one in ready):
            return ready
        return sorted(self._places, key=lambda one: (one.larger_context, health.failed_at(one.target.upstream.name)))

    def _step(self, failure: Failure, waiting: list[Place], upstream: str, gone: float) -> Step:
        care = self._care
        standing = Standing(
            left=care.attempts - len(self.made),
            again=self._again,
            others=any(not one.larger_context for one in waiting),
            larger=any(one.larger_context for one in waiting),
            spare=self._health.spare(upstream),
            seconds=float("inf") if care.deadline is None else care.deadline - gone,
            longest_wait=care.longest_wait,
        )
        return decide(failure, standing, _RANDOM.random())

    @staticmethod
    def _next(waiting: list[Place], failure: Failure) -> Place:
        larger = failure.kind == failures.CONTEXT
        return waiting.pop(next(at for at, one in enumerate(waiting) if one.larger_context == larger))

    async def _ask(self, attempt: Attempt, prepared: Prepared, since: Callable[[], float]) -> Head | Broken:
        if self._purse.counted is not None:
            hold = self._purse.reserve_now(attempt, prepared.most_output)
            attempt.hold = hold or await self._purse.reserve(attempt, prepared.most_output)
        self.made.append(attempt)
        client, target = self._client, attempt.target
        upstream = target.upstream
        self._health.asks(upstream.name, client.now(), self._again > 0)
        care, patience = self._care, upstream.timeout_seconds
        seconds = self._seconds(patience, since) if care.first_byte or care.deadline else patience
        try:
            head = await client.ask(
                target.origin, self._asked.method, self._admission.head(target), prepared.body, seconds
            )
        except Broken as problem:
            log.warning("upstream %s: %s: %s", upstream.name, problem.kind, problem)
            _, _, attempt.error = BROKEN[problem.kind]
            attempt.state, attempt.ended = "upstream-error", since()
            return problem
        if seconds < patience:
            client.patience(head, patience)
        self.head, attempt.status = head, head.status
        return head

    def _seconds(self, patience: float, since: Callable[[], float]) -> float:
        """Until the head must have come."""
        care, seconds = self._care, patience
        if care.first_byte:
            seconds = min(seconds, care.first_byte)
        if care.deadline:
            seconds = min(seconds, max(care.deadline - since(), 0.001))
        return seconds

    async def _complaint(self, head: Head) -> bytes:
        """The beginning of an error's body; it stays to be read by whoever passes it on to the caller."""
        parts, size = [], 0
        try:
            while size < COMPLAINT and (read := await self._client.read(head)):
                parts.append(read)
                size += len(read)
        except Broken:
            pass  # whoever reads on meets the same end again and reports it
        said = b"".join(parts)
        if said:
            self._client.unread(head, said)
        return said

    def _end(self, attempt: Attempt, answer: Head | Broken, now: float) -> None:
        """Another one follows it."""
        if isinstance(answer, Head):
            attempt.ended, attempt.state, attempt.error = now, "upstream-error", str(answer.status)
            if not answer.ended:
                self._client.abort(answer)
        self.head = None
        if attempt.hold is not None:
            self._purse.settle(attempt)


def _failure(answer: Head | Broken, said: bytes) -> Failure:
    if isinstance(answer, Broken):
        return of_broken(answer.kind)
    failure = of_answer(answer.status, answer.headers, said)
    assert failure is not None  # below 400 it is an answer
    return failure


def _given(attempt: Attempt, answer: Head | Broken) -> Head:
    """What failed goes to the caller. Raises Refusal where nothing came."""
    if isinstance(answer, Head):
        return answer
    status, reason, _ = BROKEN[answer.kind]
    said = f"The upstream {attempt.target.upstream.name} did not answer: {answer.kind.replace('-', ' ')}."
    raise Refusal(status, reason, said, retry_after=1 if status == 503 else None) from answer
