"""A finished call as two spans: the server span of the call and a client span for each attempt."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from functools import lru_cache

from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.configuration import Target
from afterlaunch.gateway.guarding.judging import Trail
from afterlaunch.gateway.metering import Reading
from afterlaunch.gateway.otlp import CLIENT, SERVER, Told, Value, attribute, constant, named, resource, span
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


class About:
    """What the head of a request and the configuration say of a call: the same for every call that repeats the head,
    so that it is encoded once for all of them."""

    __slots__ = ("_common", "_served", "asked", "assignment", "epoch", "key", "name", "resource", "route", "tenant")

    def __init__(
        self, asked: Asked, key: Key, route: Route, assignment: Assignment, tenant: str | None, epoch: int
    ) -> None:
        self.asked, self.key, self.route, self.assignment = asked, key, route, assignment
        self.tenant, self.epoch = tenant, epoch
        self.resource = _resource(route.client, route.system, route.environment)
        self.name = named(f"{asked.method} {asked.path}", SERVER)
        self._common: dict[bool, bytes] = {}
        self._served: dict[tuple[int | None, str], bytes] = {}

    def common(self, fallback: bool) -> bytes:
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

    def served(self, status: int | None, state: str) -> bytes:
        """Attributes of the server span alone."""
        found = self._served.get((status, state))
        if found is None:
            found = self._served[status, state] = _encoded(
                ("http.request.method", self.asked.method),
                ("http.route", self.asked.path),
                ("http.response.status_code", status),
                ("afterlaunch.call_state", state),
            )
        return found


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
    parts = []
    if not report.shadow:
        server, failed = _served(report, about)
        end_ns = start_ns + int(report.ended * 1e9)
        attributes = about.common(False) + own + server
        parts.append(span(trace_id, root, state, parent, about.name, start_ns, end_ns, attributes, failed))
    for at, attempt in enumerate(attempts):
        name, done = _attempted(report, about, attempt)
        began, ended = start_ns + int(attempt.began * 1e9), start_ns + int(attempt.ended * 1e9)
        attributes, mine = about.common(attempt.fallback) + own + done, fresh[24 + 8 * at : 32 + 8 * at]
        parts.append(span(trace_id, mine, state, root, name, began, ended, attributes, attempt.error))
    return Told(about.resource, b"".join(parts), report.spans)


def _served(report: CallReport, about: About) -> tuple[bytes, str | None]:
    """Of the server span: how it ended."""
    last = report.attempts[-1] if report.attempts else None
    if report.trail and report.trail.outcome != "passed":
        return about.served(None, "refused") + _BLOCKED, "guardrail_block"
    if last is None:
        return about.served(200, "complete") + _HIT, None
    return about.served(last.status, last.state), last.error if last.state in _FAILED else None


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


def _attempted(report: CallReport, about: About, attempt: Attempt) -> tuple[bytes, bytes]:
    """Name and attributes of a client span of its own."""
    wire, upstream, origin = about.asked.protocol, attempt.target.upstream, attempt.target.origin
    tokens, reading, model, operation = attempt.tokens, attempt.reading, attempt.model or None, wire.operation
    usage = "exact" if tokens is not None else "estimated" if attempt.estimate else "unknown"
    name, *parts = _sent(
        operation,
        operation or about.asked.method,
        model or about.asked.path,
        model,
        origin.host,
        origin.port,
        upstream.name,
        upstream.provider,
        attempt.number,
        attempt.state,
        attempt.status,
        attempt.error,
        report.streaming,
        usage,
        attempt.downgraded,
    )
    if operation is None:
        return name, parts[0]
    if attempt.first_byte is not None and report.streaming:
        parts.append(attribute("gen_ai.response.time_to_first_chunk", attempt.first_byte - attempt.began))
    if tokens:
        parts += map(constant, _TOKENS, tokens)
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
        tier = reading.service_tier
        unknown = reading.unknown if reading.usage is None else None
        parts.append(_read(wire.family, reading.model, tuple(reading.finish_reasons[:8]), tier, unknown))
    return name, b"".join(parts)


@lru_cache(maxsize=4096)
def _sent(
    operation: str | None,
    kind: str,
    about: str,
    model: str | None,
    host: str,
    port: int,
    upstream: str,
    provider: str,
    number: int,
    state: str,
    status: int | None,
    error: str | None,
    streaming: bool,
    usage: str,
    downgraded: str | None,
) -> tuple[bytes, bytes]:
    """Name, and what an attempt says in the same words as many others."""
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
    return named(f"{kind} {about}", CLIENT), done


@lru_cache(maxsize=4096)
def _read(family: str, model: str | None, reasons: tuple[str, ...], tier: str | None, unknown: str | None) -> bytes:
    """Of its answer, what repeats from call to call."""
    return _encoded(
        ("gen_ai.response.model", model or None),
        ("gen_ai.response.finish_reasons", reasons or None),
        ("openai.response.service_tier" if family == "openai" else "gen_ai.response.service_tier", tier or None),
        ("afterlaunch.usage_unknown", unknown or None),
    )
