"""A finished call as two spans: the server span of the call and a client span for each attempt."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import getitem
from typing import Any, NamedTuple

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.configuration import Target
from afterlaunch.gateway.guarding.judging import Trail
from afterlaunch.gateway.metering import Reading
from afterlaunch.gateway.otlp import (
    CLIENT,
    SERVER,
    Counts,
    Told,
    Value,
    attribute,
    ids_of,
    named,
    resource,
    span,
    status_of,
    words,
)
from afterlaunch.gateway.protocols import Protocol
from afterlaunch.gateway.remembered import Remembered
from afterlaunch.gateway.request import Asked, Assignment, trace_of
from afterlaunch.gateway.spending.budgets import Hold
from afterlaunch.gateway.usage import Tokens, beyond, cost_of

INSTANCE = os.urandom(8).hex()
_RANDOM = random.Random()  # noqa: S311 - seeded by the system; see new_id


def _anew() -> None:
    """A worker that was forked off is an instance of its own and draws ids of its own."""
    global INSTANCE
    INSTANCE = os.urandom(8).hex()
    _RANDOM.seed()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_anew)
_SAID = (("session.id", "session"), ("user.id", "user"), ("afterlaunch.transaction", "transaction"))
# In the order of the fields of Tokens.
_TOKENS = (
    Counts("gen_ai.usage.input_tokens"),
    Counts("gen_ai.usage.output_tokens"),
    Counts("gen_ai.usage.cache_read.input_tokens"),
    Counts("gen_ai.usage.cache_write.input_tokens"),
    Counts("anthropic.usage.cache_creation.ephemeral_5m_input_tokens"),
    Counts("anthropic.usage.cache_creation.ephemeral_1h_input_tokens"),
    Counts("gen_ai.usage.reasoning.output_tokens"),
    Counts("gen_ai.usage.audio.input_tokens"),
    Counts("gen_ai.usage.audio.output_tokens"),
)
_MOST_ALIKE = 256  # kinds of attempts whose words are kept for a head


@dataclass(slots=True)
class Attempt:
    """One request to one upstream. `state`: complete, caller-gone, upstream-cut, upstream-error; refused: a policy of
    the guard ended its answer. `fallback`: the upstream is not the arm's own. `estimate`: tokens and how they were
    estimated, where the usage is not known. Offsets are real seconds since the call began."""

    number: int
    target: Target
    began: float
    model: str | None
    ended: float = 0.0
    first_byte: float | None = None
    status: int | None = None
    state: str = "complete"
    error: str | None = None
    reading: Reading | None = None
    tokens: Tokens | None = None
    sent_bytes: int = 0
    fallback: bool = False
    sse: bool = False  # its answer is a stream of events
    estimate: tuple[Tokens, str] | None = None
    hold: Hold | None = None
    downgraded: str | None = None  # the budget that chose its model


class Alike(NamedTuple):
    """What an attempt says in the same words as many others: its own span, and the server span of a call that it ended;
    both up to the call's id."""

    client: bytes
    server: bytes


class About:
    """What the head of a request and the configuration say of a call: the same for every call that repeats the head,
    so that it is encoded once for all of them."""

    __slots__ = ("_alike", "_common", "asked", "assignment", "epoch", "key", "name", "resource", "route", "tenant")

    def __init__(
        self, asked: Asked, key: Key, route: Route, assignment: Assignment, tenant: str | None, epoch: int
    ) -> None:
        self.asked, self.key, self.route, self.assignment = asked, key, route, assignment
        self.tenant, self.epoch = tenant, epoch
        self.resource = _resource(route.client, route.system, route.environment)
        self.name = named(f"{asked.method} {asked.path}", SERVER)
        self._common: dict[bool, bytes] = {}
        self._alike: dict[tuple[object, ...], Alike] = {}

    def alike(self, attempt: Attempt, streaming: bool) -> Alike:
        model, usage = attempt.model or None, _usage(attempt)
        told = (attempt.number, attempt.state, attempt.status, attempt.error, attempt.downgraded, attempt.fallback)
        key = (attempt.target.upstream.name, model, streaming, usage, told)
        found = self._alike.get(key)
        if found is None:
            if len(self._alike) >= _MOST_ALIKE:
                self._alike.clear()
            failed = attempt.error if attempt.state in _FAILED else None
            wire, upstream, origin = self.asked.protocol, attempt.target.upstream, attempt.target.origin
            name = f"{wire.operation or self.asked.method} {model or self.asked.path}"
            at = (origin.host, origin.port, upstream.name, upstream.provider)
            client = _sent(name, wire.operation, model, at, told[:-1], streaming, usage)
            server = self.served(attempt.status, attempt.state, failed)
            found = self._alike[key] = Alike(client + self._common_of(attempt.fallback), server)
        return found

    def _common_of(self, fallback: bool) -> bytes:
        """Attributes of both kinds of spans, up to the call's id. An attempt that a fallback served says nothing of the
        arm: its judges leave it out."""
        found = self._common.get(fallback)
        if found is None:
            arm, said = self.assignment.arm, self.asked.said
            decided = _encoded(
                ("afterlaunch.gateway", True),
                ("afterlaunch.route", self.route.name),
                ("afterlaunch.arm_assigned" if fallback else "afterlaunch.arm", arm.name),
                ("afterlaunch.fallback", fallback or None),
                ("afterlaunch.epoch", self.epoch),
                ("afterlaunch.assignment", self.assignment.reason),
                ("afterlaunch.key", self.key.id),
                ("afterlaunch.change", None if arm.change is None else str(arm.change)),
                ("gen_ai.prompt.version", arm.prompt_version or None),
                ("tenant.id", self.tenant or None),
                ("gen_ai.agent.name", self.key.agent or said.get("agent") or self.route.agent or None),
            )
            who = _encoded(*((name, said.get(header) or None) for name, header in _SAID))
            found = self._common[fallback] = decided + who + _CALL_ID
        return found

    def served(self, status: int | None, state: str, error: str | None) -> bytes:
        """The server span, up to the call's id."""
        return self.name + _served(self.asked.method, self.asked.path, status, state, error) + self._common_of(False)


@dataclass(slots=True)
class CallReport:
    """All that the spans are made of."""

    about: About
    call_id: str
    start_ns: int
    ended: float
    streaming: bool
    attempts: list[Attempt]
    hit: Remembered | None = None  # the answer was remembered: no upstream was asked
    trail: Trail | None = None  # where a policy of the guard matched or could not be asked
    repeats: bytes = b""  # where the cache is only observed: the attribute that tells what it would have given
    shadow: bool = False  # a copy that was answered for nobody: a span alone, in a trace of its own

    @property
    def spans(self) -> int:
        return len(self.attempts) + (not self.shadow)


def new_id(size: int) -> bytes:
    """Random, but no secret: of a generator in this process, since each one from the system costs a call of it."""
    return _RANDOM.getrandbits(8 * size).to_bytes(size, "big")


def told_of(report: CallReport) -> Told:
    about, start_ns, attempts = report.about, report.start_ns, report.attempts
    fresh = new_id(24 + 8 * len(attempts))  # ids of the trace, of the call and of its attempts, in one draw
    trace_id, parent, state = trace_of(about.asked) or (fresh[:16], b"", "")
    root = fresh[16:24]
    if report.shadow:
        trace_id, root, state = fresh[:16], b"", ""
    own = report.call_id.encode()
    if report.trail:
        own += _trail(report.trail)
    if report.repeats:
        own += report.repeats
    spans, alike = b"", None
    for at, attempt in enumerate(attempts):
        alike = about.alike(attempt, report.streaming)
        ids = ids_of(trace_id, fresh[24 + 8 * at : 32 + 8 * at], root, state)
        began, ended = start_ns + int(attempt.began * 1e9), start_ns + int(attempt.ended * 1e9)
        spans += span(ids, began, ended, alike.client, own + _answered(about.asked.protocol, attempt, report.streaming))
    if not report.shadow:
        if report.trail and report.trail.outcome != "passed":
            server, own = about.served(None, "refused", "guardrail_block"), own + _BLOCKED
        elif alike is None:
            server, own = about.served(200, "complete", None), own + _HIT
        else:
            server = alike.server
        ended = start_ns + int(report.ended * 1e9)
        spans = span(ids_of(trace_id, root, parent, state), start_ns, ended, server, own) + spans
    return Told(about.resource, spans, report.spans)


@lru_cache(maxsize=1024)
def _resource(client: str, system: str, environment: str) -> bytes:
    return resource(
        (
            ("service.name", "afterlaunch-gateway"),
            ("service.instance.id", INSTANCE),
            ("afterlaunch.client", client),
            ("afterlaunch.system", system),
            ("deployment.environment.name", environment),
        )
    )


def _encoded(*pairs: tuple[str, Value | None]) -> bytes:
    """What is None is not told."""
    return b"".join(attribute(key, value) for key, value in pairs if value is not None)


_CALL_ID = attribute("afterlaunch.call_id", "0" * 32)[:-32]  # before the id
_HIT = _encoded(("afterlaunch.response_cache", "hit"))
_BLOCKED = _encoded(("error.type", "guardrail_block"))
_FAILED = ("upstream-error", "upstream-cut")


def _trail(trail: Trail) -> bytes:
    """Names of policies and what was done; nothing of what was found."""
    return _encoded(
        ("afterlaunch.guard.outcome", trail.outcome),
        ("afterlaunch.guard.policy", trail.by or None),
        ("afterlaunch.guard.matched", tuple(trail.matched) or None),
        ("afterlaunch.guard.exceptions", tuple(trail.exceptions) or None),
        ("afterlaunch.guard.hold", trail.hold or None),
        ("afterlaunch.guard.buffered", trail.buffered or None),
        ("afterlaunch.guard.seconds", round(trail.seconds, 6)),
    )


def _usage(attempt: Attempt) -> str:
    return "exact" if attempt.tokens is not None else "estimated" if attempt.estimate else "unknown"


@lru_cache(maxsize=4096)
def _served(method: str, path: str, status: int | None, state: str, error: str | None) -> bytes:
    """Attributes and status of the server span alone."""
    said = _encoded(
        ("http.request.method", method),
        ("http.route", path),
        ("http.response.status_code", status),
        ("afterlaunch.call_state", state),
    )
    return said + status_of(error)


@lru_cache(maxsize=4096)
def _sent(
    name: str,
    operation: str | None,
    model: str | None,
    at: tuple[str, int, str, str],
    told: tuple[int, str, int | None, str | None, str | None],
    streaming: bool,
    usage: str,
) -> bytes:
    """Name, attributes and status of a client span alone. `at`: host, port, upstream, provider; `told`: number, state,
    status, error, the budget that chose its model."""
    (host, port, upstream, provider), (number, state, status, error, downgraded) = at, told
    done = _encoded(
        ("server.address", host),
        ("server.port", port),
        ("afterlaunch.upstream", upstream),
        ("afterlaunch.attempt", number),
        ("afterlaunch.call_state", state),
        ("http.response.status_code", status),
        ("error.type", error),
    )
    if operation is not None:
        done += _encoded(
            ("gen_ai.operation.name", operation),
            ("gen_ai.provider.name", provider),
            ("gen_ai.request.stream", streaming),
            ("afterlaunch.usage_state", usage),
            ("gen_ai.request.model", model),
            ("afterlaunch.downgraded_by", downgraded or None),
        )
    return named(name, CLIENT) + done + status_of(error)


def _answered(wire: Protocol, attempt: Attempt, streaming: bool) -> bytes:
    """What its answer told."""
    if wire.operation is None:
        return b""
    parts, reading, tokens = [], attempt.reading, attempt.tokens
    if streaming and attempt.first_byte is not None:
        parts.append(attribute("gen_ai.response.time_to_first_chunk", attempt.first_byte - attempt.began))
    if tokens:
        parts += map(getitem, _TOKENS, tokens)
        if reading and reading.usage:
            parts += _besides(reading.usage)
    elif attempt.estimate:
        estimated, method = attempt.estimate
        parts.append(
            _encoded(
                ("afterlaunch.estimate.input_tokens", estimated.input),
                ("afterlaunch.estimate.output_tokens", estimated.output),
                ("afterlaunch.estimate.method", method),
            )
        )
    if reading:
        if reading.response_id:
            parts.append(words("gen_ai.response.id", reading.response_id))
        tier = reading.service_tier
        unknown = None if tokens else reading.why_unknown
        parts.append(_read(wire.family, reading.model, tuple(reading.finish_reasons[:8]), tier, unknown))
    return b"".join(parts)


def _besides(usage: dict[str, Any]) -> Iterator[bytes]:
    """What a usage object tells beside counts."""
    if raw := beyond(usage):
        yield words("gen_ai.usage.raw", raw)
    if (cost := cost_of(usage)) is not None:
        yield attribute("gen_ai.usage.cost", cost)


@lru_cache(maxsize=4096)
def _read(family: str, model: str | None, reasons: tuple[str, ...], tier: str | None, unknown: str | None) -> bytes:
    """Of its answer, what repeats from call to call."""
    return _encoded(
        ("gen_ai.response.model", model or None),
        ("gen_ai.response.finish_reasons", reasons or None),
        ("openai.response.service_tier" if family == "openai" else "gen_ai.response.service_tier", tier or None),
        ("afterlaunch.usage_unknown", unknown or None),
    )
