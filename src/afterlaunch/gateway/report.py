"""A finished call as two spans: the server span of the call and a client span for each attempt."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.configuration import Target
from afterlaunch.gateway.guarding.judging import Trail
from afterlaunch.gateway.metering import Reading
from afterlaunch.gateway.otlp import CLIENT, SERVER, Value, attribute, constant, ids, named, resource, span
from afterlaunch.gateway.protocols import Protocol
from afterlaunch.gateway.remembered import Remembered
from afterlaunch.gateway.request import Asked, Assignment, trace_of
from afterlaunch.gateway.spending.budgets import Hold
from afterlaunch.gateway.usage import Tokens

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
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.audio.output_tokens",
)


@dataclass
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


@dataclass
class CallReport:
    """All that the spans are made of."""

    asked: Asked
    key: Key
    route: Route
    assignment: Assignment
    tenant: str | None
    epoch: int
    call_id: str
    start_ns: int
    ended: float
    streaming: bool
    attempts: list[Attempt]
    hit: Remembered | None = None  # the answer was remembered: no upstream was asked
    trail: Trail | None = None  # where a policy of the guard matched or could not be asked
    shadow: bool = False  # a copy that was answered for nobody: a span alone, in a trace of its own

    @property
    def spans(self) -> int:
        return len(self.attempts) + (not self.shadow)


def new_id(size: int) -> bytes:
    """Random, but no secret: of a generator in this process, since each one from the system costs a call of it."""
    return _RANDOM.getrandbits(8 * size).to_bytes(size, "big")


class Told(NamedTuple):
    """Spans of one call, encoded, and how many they are."""

    resource: bytes
    encoded: bytes
    spans: int


def told_of(report: CallReport) -> Told:
    route, asked = report.route, report.asked
    where = _resource(route.client, route.system, route.environment)
    fresh = new_id(24 + 8 * len(report.attempts))  # ids of the trace, of the call and of its attempts, in one draw
    trace_id, parent, state = trace_of(asked) or (fresh[:16], b"", "")
    root = fresh[16:24]
    if report.shadow:
        trace_id, root, state = fresh[:16], b"", ""
    common, start_ns = _common(report), report.start_ns
    if report.trail:
        common += _trail(report.trail)
    parts = []
    if not report.shadow:
        parts.append(_call(report, common, ids(trace_id, root), parent, state))
    for at, attempt in enumerate(report.attempts):
        name = named(f"{asked.protocol.operation or asked.method} {attempt.model or asked.path}", CLIENT)
        began, ended = start_ns + int(attempt.began * 1e9), start_ns + int(attempt.ended * 1e9)
        mine = (_common(report, True) if attempt.fallback else common) + _attempt(report, attempt)
        parts.append(
            span(ids(trace_id, fresh[24 + 8 * at : 32 + 8 * at]), state, root, name, began, ended, mine, attempt.error)
        )
    return Told(where, b"".join(parts), report.spans)


def _call(report: CallReport, common: bytes, both: bytes, parent: bytes, state: str) -> bytes:
    """The server span."""
    asked, last = report.asked, report.attempts[-1] if report.attempts else None
    method, path, failed = asked.method, asked.path, None
    if report.trail and report.trail.outcome != "passed":
        server, failed = _server(method, path, None, "refused") + _BLOCKED, "guardrail_block"
    elif last is None:
        server = _server(method, path, 200, "complete") + _HIT
    else:
        server = _server(method, path, last.status, last.state)
        failed = last.error if last.state in ("upstream-error", "upstream-cut") else None
    end_ns = report.start_ns + int(report.ended * 1e9)
    name = named(f"{method} {path}", SERVER)
    return span(both, state, parent, name, report.start_ns, end_ns, common + server, failed)


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


@lru_cache(maxsize=4096)
def _server(method: str, path: str, status: int | None, state: str) -> bytes:
    return _encoded(
        ("http.request.method", method),
        ("http.route", path),
        ("http.response.status_code", status),
        ("afterlaunch.call_state", state),
    )


def _encoded(*pairs: tuple[str, Value | None]) -> bytes:
    """What is None is not told."""
    return b"".join(attribute(key, value) for key, value in pairs if value is not None)


_CALL_ID = attribute("afterlaunch.call_id", "0" * 32)[:-32]  # before the id
_HIT = _encoded(("afterlaunch.response_cache", "hit"))
_BLOCKED = _encoded(("error.type", "guardrail_block"))


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


@lru_cache(maxsize=4096)
def _decided(
    route: str,
    arm: str,
    epoch: int,
    reason: str,
    key: str,
    change: int | None,
    prompt: str | None,
    tenant: str | None,
    agent: str | None,
    fallback: bool,
) -> bytes:
    """What the configuration and the key decided: the same for many calls."""
    return _encoded(
        ("afterlaunch.gateway", True),
        ("afterlaunch.route", route),
        ("afterlaunch.arm_assigned" if fallback else "afterlaunch.arm", arm),
        ("afterlaunch.fallback", fallback or None),
        ("afterlaunch.epoch", epoch),
        ("afterlaunch.assignment", reason),
        ("afterlaunch.key", key),
        ("afterlaunch.change", None if change is None else str(change)),
        ("gen_ai.prompt.version", prompt or None),
        ("tenant.id", tenant or None),
        ("gen_ai.agent.name", agent or None),
    )


def _common(report: CallReport, fallback: bool = False) -> bytes:
    """An attempt that a fallback served says nothing of the arm: its judges leave it out."""
    arm, key, said = report.assignment.arm, report.key, report.asked.said
    agent = key.agent or said.get("agent") or report.route.agent
    decided = _decided(
        report.route.name,
        arm.name,
        report.epoch,
        report.assignment.reason,
        key.id,
        arm.change,
        arm.prompt_version,
        report.tenant,
        agent,
        fallback,
    )
    parts = [decided, _CALL_ID, report.call_id.encode()]
    if said:
        parts += [constant(name, said[header]) for name, header in _SAID if said.get(header)]
    return b"".join(parts)


def _attempt(report: CallReport, attempt: Attempt) -> bytes:
    wire, upstream, origin = report.asked.protocol, attempt.target.upstream, attempt.target.origin
    done = _done(origin.host, origin.port, upstream.name, attempt.number, attempt.state, attempt.status, attempt.error)
    return done if wire.operation is None else done + _gen_ai(report, attempt, wire, wire.operation)


@lru_cache(maxsize=4096)
def _done(host: str, port: int, upstream: str, number: int, state: str, status: int | None, error: str | None) -> bytes:
    return _encoded(
        ("server.address", host),
        ("server.port", port),
        ("afterlaunch.upstream", upstream),
        ("afterlaunch.attempt", number),
        ("afterlaunch.call_state", state),
        ("http.response.status_code", status),
        ("error.type", error),
    )


def _gen_ai(report: CallReport, attempt: Attempt, wire: Protocol, operation: str) -> bytes:
    tokens, reading = attempt.tokens, attempt.reading
    moved = (attribute("afterlaunch.downgraded_by", attempt.downgraded),) if attempt.downgraded else ()
    told = _asked_for(
        operation,
        attempt.target.upstream.provider,
        report.streaming,
        "exact" if tokens is not None else "estimated" if attempt.estimate else "unknown",
        attempt.model or None,
    )
    parts = [told, *moved]
    if attempt.first_byte is not None and report.streaming:
        parts.append(attribute("gen_ai.response.time_to_first_chunk", attempt.first_byte - attempt.began))
    if tokens:
        parts += [constant(key, count) for key, count in zip(_TOKENS, tokens, strict=True) if count is not None]
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
            parts.append(attribute("gen_ai.response.id", reading.response_id))
        parts += [constant(key, value) for key, value in _reading(reading, wire)]
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _asked_for(operation: str, provider: str, streaming: bool, usage: str, model: str | None) -> bytes:
    return _encoded(
        ("gen_ai.operation.name", operation),
        ("gen_ai.provider.name", provider),
        ("gen_ai.request.stream", streaming),
        ("afterlaunch.usage_state", usage),
        ("gen_ai.request.model", model),
    )


def _reading(reading: Reading, wire: Protocol) -> list[tuple[str, Value]]:
    """What repeats from call to call."""
    found: list[tuple[str, Value]] = []
    if reading.model:
        found.append(("gen_ai.response.model", reading.model))
    if reading.finish_reasons:
        found.append(("gen_ai.response.finish_reasons", tuple(reading.finish_reasons[:8])))
    if reading.service_tier:
        key = "openai.response.service_tier" if wire.family == "openai" else "gen_ai.response.service_tier"
        found.append((key, reading.service_tier))
    if reading.unknown and reading.usage is None:
        found.append(("afterlaunch.usage_unknown", reading.unknown))
    return found
