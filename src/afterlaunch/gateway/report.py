"""A finished call as two spans: the server span of the call and a client span for each attempt."""

from __future__ import annotations

import os
from dataclasses import dataclass

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.configuration import Target
from afterlaunch.gateway.metering import Reading
from afterlaunch.gateway.otlp import CLIENT, SERVER, Span, Value, attribute, constant, resource
from afterlaunch.gateway.protocols import Protocol
from afterlaunch.gateway.request import Asked, Assignment, trace_of
from afterlaunch.gateway.usage import Tokens

INSTANCE = os.urandom(8).hex()
_TRUE = attribute("afterlaunch.gateway", True)
_STREAMED, _WHOLE = (attribute("gen_ai.request.stream", streamed) for streamed in (True, False))
_TOKENS = (
    ("input", "gen_ai.usage.input_tokens"),
    ("output", "gen_ai.usage.output_tokens"),
    ("cache_read", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_write", "gen_ai.usage.cache_write.input_tokens"),
    ("cache_write_5m", "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"),
    ("cache_write_1h", "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"),
    ("reasoning", "gen_ai.usage.reasoning.output_tokens"),
    ("audio_input", "gen_ai.usage.audio.input_tokens"),
    ("audio_output", "gen_ai.usage.audio.output_tokens"),
)


@dataclass
class Attempt:
    """One request to one upstream. `state`: complete, caller-gone, upstream-cut, upstream-error.
    Offsets are real seconds since the call began."""

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


@dataclass
class CallReport:
    """All that the spans are made of; kept as it is until the exporter encodes it, off the data path."""

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


def _trace(report: CallReport) -> tuple[bytes, bytes, str]:
    return trace_of(report.asked) or (os.urandom(16), b"", "")


def spans_of(report: CallReport) -> list[Span]:
    route, asked = report.route, report.asked
    trace_id, parent, state = _trace(report)
    root = os.urandom(8)
    where = resource(
        (
            ("service.name", "afterlaunch-gateway"),
            ("service.instance.id", INSTANCE),
            ("afterlaunch.client", route.client),
            ("afterlaunch.system", route.system),
            ("deployment.environment.name", route.environment),
        )
    )
    common = _common(report)
    last = report.attempts[-1]
    end_ns = report.start_ns + int(report.ended * 1e9)
    server = [common, constant("http.request.method", asked.method), constant("http.route", asked.path)]
    if last.status is not None:
        server.append(constant("http.response.status_code", last.status))
    server.append(constant("afterlaunch.call_state", last.state))
    failed = last.error if last.state in ("upstream-error", "upstream-cut") else None
    name = f"{asked.method} {asked.path}"
    made = [Span(where, trace_id, root, parent, state, name, SERVER, report.start_ns, end_ns, b"".join(server), failed)]
    for attempt in report.attempts:
        made.append(  # noqa: PERF401 - a comprehension would bury thirteen arguments
            Span(
                where,
                trace_id,
                os.urandom(8),
                root,
                state,
                f"{asked.protocol.operation or asked.method} {attempt.model or asked.path}",
                CLIENT,
                report.start_ns + int(attempt.began * 1e9),
                report.start_ns + int(attempt.ended * 1e9),
                common + _attempt(report, attempt),
                attempt.error,
            )
        )
    return made


def _common(report: CallReport) -> bytes:
    arm = report.assignment.arm
    parts = [
        _TRUE,
        constant("afterlaunch.route", report.route.name),
        constant("afterlaunch.arm", arm.name),
        attribute("afterlaunch.call_id", report.call_id),
        constant("afterlaunch.epoch", report.epoch),
        constant("afterlaunch.assignment", report.assignment.reason),
        constant("afterlaunch.key", report.key.id),
    ]
    if arm.change is not None:
        parts.append(constant("afterlaunch.change", str(arm.change)))
    if arm.prompt_version:
        parts.append(constant("gen_ai.prompt.version", arm.prompt_version))
    said = report.asked.said
    agent = report.key.agent or said.get("agent") or report.route.agent
    for key, value in (("tenant.id", report.tenant), ("gen_ai.agent.name", agent)):
        if value:
            parts.append(constant(key, value))
    for key, name in (("session.id", "session"), ("user.id", "user"), ("afterlaunch.transaction", "transaction")):
        if said.get(name):
            parts.append(attribute(key, said[name]))
    return b"".join(parts)


def _attempt(report: CallReport, attempt: Attempt) -> bytes:
    wire, upstream = report.asked.protocol, attempt.target.upstream
    parts = [
        constant("server.address", attempt.target.host),
        constant("server.port", attempt.target.port),
        constant("afterlaunch.upstream", upstream.name),
        constant("afterlaunch.attempt", attempt.number),
        constant("afterlaunch.call_state", attempt.state),
    ]
    if attempt.status is not None:
        parts.append(constant("http.response.status_code", attempt.status))
    if attempt.error is not None:
        parts.append(constant("error.type", attempt.error))
    if wire.operation is not None:
        parts += _gen_ai(report, attempt, wire)
    return b"".join(parts)


def _gen_ai(report: CallReport, attempt: Attempt, wire: Protocol) -> list[bytes]:
    parts = [
        constant("gen_ai.operation.name", wire.operation or ""),
        constant("gen_ai.provider.name", attempt.target.upstream.provider),
        _STREAMED if report.streaming else _WHOLE,
        constant("afterlaunch.usage_state", "exact" if attempt.tokens else "unknown"),
    ]
    if attempt.model:
        parts.append(constant("gen_ai.request.model", attempt.model))
    if attempt.first_byte is not None and report.streaming:
        parts.append(attribute("gen_ai.response.time_to_first_chunk", attempt.first_byte - attempt.began))
    if attempt.tokens:
        for name, key in _TOKENS:
            count = getattr(attempt.tokens, name)
            if count is not None:
                parts.append(constant(key, count))
    if attempt.reading:
        parts += [attribute(key, value) for key, value in _reading(attempt.reading, wire)]
    return parts


def _reading(reading: Reading, wire: Protocol) -> list[tuple[str, Value]]:
    found: list[tuple[str, Value]] = []
    if reading.model:
        found.append(("gen_ai.response.model", reading.model))
    if reading.response_id:
        found.append(("gen_ai.response.id", reading.response_id))
    if reading.finish_reasons:
        found.append(("gen_ai.response.finish_reasons", reading.finish_reasons[:8]))
    if reading.service_tier:
        key = "openai.response.service_tier" if wire.family == "openai" else "gen_ai.response.service_tier"
        found.append((key, reading.service_tier))
    if reading.unknown and reading.usage is None:
        found.append(("afterlaunch.usage_unknown", reading.unknown))
    return found
