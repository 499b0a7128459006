"""The policies of a route, asked about one call: what matches, what could not be asked, and what becomes of it.

1. Policies are asked in their order. 2. One that matches is counted; if it only observes, or somebody has an approved
bypass, nothing follows. 3. `allow` ends the asking, `deny` refuses, `redact` edits the bytes and goes on, `flag` goes
on, `hold` asks a person. 4. A check that cannot be made is an exception: counted, and followed by what the policy says.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from afterlaunch.contracts.guard import Policy
from afterlaunch.gateway.guarding.asking import Held, People, Services
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.checks import Seen, redact_of, seen_of_answer, seen_of_request
from afterlaunch.gateway.guarding.placeholders import Placeholders
from afterlaunch.gateway.guarding.reading import Answer, Redact, Request
from afterlaunch.gateway.guarding.rules import Guard, Rule
from afterlaunch.gateway.guarding.tally import Tally
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import Protocol, Refusal
from afterlaunch.gateway.request import Asked
from afterlaunch.ground import clock

log = logging.getLogger(__name__)
INLINE = 256 << 10  # bytes; longer texts are read in a thread, so that other calls go on
SHOWN = 256 << 10  # bytes of a request that the approver is shown
ROOM = 64 << 20  # bytes of answers that are held back in one worker


@dataclass
class Guarding:
    """What all calls of a worker share. `room`: bytes of answers that may still be held back."""

    tally: Tally
    services: Services
    people: People
    metrics: Metrics
    room: int = ROOM


class Facts(NamedTuple):
    """Of one call."""

    route: str
    client: str
    system: str
    environment: str
    path: str
    wire: Protocol
    tenant: str | None
    agent: str | None
    key: str
    user: str | None
    call: str


def facts_of(known: tuple[str | None, ...], asked: Asked, call: str) -> Facts:
    """`known`: in the order of `contracts.budgets.DIMENSIONS`."""
    client, system, environment, route, tenant, agent, key, user, *_ = known
    whose = (str(route), str(client), str(system), str(environment))
    return Facts(*whose, asked.path, asked.protocol, tenant, agent, str(key), user, call)


@dataclass
class Trail:
    """What became of one call. `outcome`: passed, denied, failed, held, cut; `by`: the policy that decided, or the
    first that matched."""

    matched: list[str] = field(default_factory=list)  # POLICY: what was done
    exceptions: list[str] = field(default_factory=list)  # POLICY: why
    outcome: str = "passed"
    by: str = ""
    hold: str = ""
    seconds: float = 0.0
    buffered: bool = False

    def __bool__(self) -> bool:
        return bool(self.matched or self.exceptions)


T = TypeVar("T")
Look = Callable[[Rule], Seen]


class Again(Refusal):
    """An answer that the policy does not allow, before the model has been asked once more."""


class Judge:
    """Of one call. `again`: the model has been asked once more."""

    def __init__(self, guard: Guard, shared: Guarding, facts: Facts) -> None:
        self.guard, self.shared, self.facts = guard, shared, facts
        self.trail, self.again = Trail(), False
        self.placeholders: Placeholders | None = None
        self.answered = tuple(one for one in guard.answered if self._about(one.policy))

    def _about(self, policy: Policy) -> bool:
        facts = self.facts
        return (not policy.tenants or facts.tenant in policy.tenants) and (
            not policy.agents or facts.agent in policy.agents
        )

    # ---- the request

    async def request(self, body: bytes) -> bytes:
        """The body as it may go out. Raises Refusal."""
        original, approved = body, list[Held]()
        reader = _Reader(body)
        for rule in self.guard.asked:
            policy = rule.policy
            if not self._about(policy):
                continue
            try:
                why = await self._why(rule, reader.seen, len(reader.body))
                if why is None or not self.matches(policy, why):
                    continue
                if policy.action == "allow":
                    break
                if policy.action == "deny":
                    raise self.refused(policy, "denied", "guard-denied", "The policy {} does not allow this request.")
                if policy.action == "redact" and rule.redact is not None:
                    reader = await reader.redacted(policy.where, self._redact(rule, rule.redact, reader))
                if policy.action == "hold":
                    approved.append(await self._held(policy, why, original))
            except Unreadable as problem:
                if self.failed(policy, str(problem)):
                    raise self.unchecked(policy, "request") from problem
        if approved:
            await self._take(approved)
        return reader.body

    def _redact(self, rule: Rule, redact: Redact, reader: _Reader) -> Redact:
        if not rule.policy.restore:
            return redact
        if self.placeholders is None:
            self.placeholders = Placeholders(rule.policy, reader.request())
        return redact_of(rule.policy.name, rule.policy.check, self.placeholders.stand)

    async def _held(self, policy: Policy, why: str, body: bytes) -> Held:
        """Approved, or past its time with a fallback that lets it pass. Raises Refusal, Unreadable."""
        assert policy.approval is not None, "Policy.wrong"
        held = await self.shared.people.ask(self._question(policy, why, body))
        if held.state == "waiting" and policy.approval.wait:
            held = await self.shared.people.decision(held, policy.approval.wait)
        self.trail.hold = held.id
        if held.state == "approved" or (held.state == "expired" and held.fallback == "allow"):
            return held
        told = ((b"afterlaunch-hold", held.id.encode()),)
        if held.state == "waiting":
            said = (
                f"The policy {{}} holds this request until somebody of the queue {policy.approval.queue} has decided: "
                f"hold {held.id}. Send it again, unchanged, to learn what was decided."
            )
            raise self.refused(policy, "held", "held", said, 423, told, retry_after=10)
        if held.state == "denied":
            said = "The policy {} held this request, and a person did not approve it" + (
                f": {held.reason}" if held.reason else "."
            )
            raise self.refused(policy, "denied", "guard-denied", said, 403, told)
        said = "The policy {} held this request, and nobody approved it in time."
        raise self.refused(policy, "denied", "hold-expired", said, 403, told)

    def _question(self, policy: Policy, why: str, body: bytes) -> dict[str, Any]:
        facts = self.facts
        parts = (facts.route, policy.id, facts.key, facts.tenant or "", facts.path)
        digest = hashlib.sha256(b"\0".join([*(one.encode() for one in parts), body])).hexdigest()
        return {
            "policy": policy.id,
            "digest": digest,
            "why": why,
            "call": facts.call,
            "tenant": facts.tenant or "",
            "agent": facts.agent or "",
            "key": facts.key,
            "user": facts.user or "",
            "path": facts.path,
            "content": body[:SHOWN].decode("utf-8", "replace"),
            "size": len(body),
        }

    async def _take(self, approved: list[Held]) -> None:
        """An approval is good for one call: of two that come at the same moment one is first."""
        try:
            taken = await self.shared.people.take(approved)
        except Unreadable as problem:
            said = "The approval of this request could not be confirmed."
            raise Refusal(503, "guard-failed", said, retry_after=5) from problem
        if not taken:
            said = "The approval of this request has been used; send it again to ask for another one."
            raise Refusal(423, "held", said, retry_after=1)

    # ---- one policy

    async def _why(self, rule: Rule, look: Look, size: int, where: str = "request") -> str | None:
        """Counted with its time. Raises Unreadable."""
        began = time.perf_counter()
        row = self.shared.tally.row(rule.policy.id)
        row.evaluated += 1
        try:
            return await self._asked(rule, look, size, where)
        except Unreadable:
            raise
        except Exception:
            log.exception("the policy %s failed", rule.policy.name)
            raise Unreadable("error") from None
        finally:
            took = time.perf_counter() - began
            row.micros += int(took * 1e6)
            self.trail.seconds += took

    async def _asked(self, rule: Rule, look: Look, size: int, where: str) -> str | None:
        if rule.policy.check.kind == "always":
            return "every call"
        if rule.test is None:
            seen = await apart(lambda: look(rule), size)
            return await self.shared.services.ask(rule.policy.check, self._for_service(rule.policy, seen))
        test = rule.test
        return await apart(lambda: test(look(rule)), size)

    def _for_service(self, policy: Policy, seen: Seen) -> dict[str, Any]:
        facts = self.facts
        return {
            "policy": policy.name,
            "where": policy.where,
            "client": facts.client,
            "system": facts.system,
            "environment": facts.environment,
            "route": facts.route,
            "tenant": facts.tenant,
            "agent": facts.agent,
            "call": facts.call,
            "texts": list(seen.whole or seen.texts),
            "names": list(seen.names),
        }

    async def answer(self, rule: Rule, answer: Answer, size: int) -> str | None:
        return await self._why(rule, lambda one: seen_of_answer(one.policy.check, one.policy.where, answer), size)

    def matches(self, policy: Policy, why: str) -> bool:
        """Count a match; whether something follows from it."""
        row, trail = self.shared.tally.row(policy.id), self.trail
        row.matched += 1
        trail.by = trail.by or policy.name
        done = self._done(policy)
        setattr(row, _COUNTED[done], getattr(row, _COUNTED[done]) + 1)
        trail.matched.append(f"{policy.name}: {done} ({why})")
        self.shared.metrics.add("guard_matched_total", policy=policy.name, action=done)
        return done not in ("observe", "bypass")

    def _done(self, policy: Policy) -> str:
        if policy.mode == "observe":
            return "observe"
        if self._bypassed(policy):
            return "bypass"
        return "retry" if policy.again and not self.again else policy.action

    def _bypassed(self, policy: Policy) -> bool:
        facts = {"tenant": self.facts.tenant, "agent": self.facts.agent, "key": self.facts.key}
        now = clock.now().timestamp() if policy.bypasses else 0.0
        return any(facts[one.who] == one.value and now < one.until for one in policy.bypasses)

    def failed(self, policy: Policy, why: str) -> bool:
        """Count an exception; whether the call ends with it."""
        self.shared.tally.row(policy.id).exceptions += 1
        self.trail.exceptions.append(f"{policy.name}: {why}")
        self.shared.metrics.add("guard_exceptions_total", policy=policy.name, reason=why)
        return policy.mode == "enforce" and policy.fail == "closed"

    def refused(
        self,
        policy: Policy,
        outcome: str,
        reason: str,
        said: str,
        status: int = 403,
        told: tuple[tuple[bytes, bytes], ...] = (),
        retry_after: int | None = None,
    ) -> Refusal:
        self.trail.outcome, self.trail.by = outcome, policy.name
        words = said.replace("{}", policy.name, 1) + (f" {policy.message}" if policy.message else "")
        named = (b"afterlaunch-policy", quote(policy.name, safe=" ,.:;()").encode())
        return Refusal(status, reason, words, retry_after, (named, *told))

    def not_allowed(self, policy: Policy) -> Refusal:
        """Of an answer."""
        refusal = self.refused(policy, "denied", "guard-denied", "The policy {} does not allow this answer.")
        if policy.again and not self.again:
            return Again(refusal.status, refusal.reason, refusal.message, told=refusal.told)
        return refusal

    def ask_again(self) -> None:
        self.again, self.trail.outcome = True, "passed"

    def unchecked(self, policy: Policy, what: str) -> Refusal:
        """Of an answer nothing more is sent by itself: it has been paid for."""
        said = f"The policy {{}} could not check this {what}, and lets nothing pass unchecked."
        if what == "request":
            return self.refused(policy, "failed", "guard-failed", said, 503, retry_after=5)
        return self.refused(policy, "failed", "guard-failed", said, 503, ((b"x-should-retry", b"false"),))


_COUNTED = {
    "allow": "allowed",
    "deny": "denied",
    "redact": "redacted",
    "hold": "held",
    "flag": "flagged",
    "observe": "observed",
    "bypass": "bypassed",
    "retry": "retried",
}


async def apart(work: Callable[[], T], size: int) -> T:
    """What takes long runs beside the loop."""
    return work() if size <= INLINE else await asyncio.to_thread(work)


class _Reader:
    """A request, read when the first policy asks."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._request: Request | None = None

    def request(self) -> Request:
        if self._request is None:
            self._request = Request(self.body)
        return self._request

    def seen(self, rule: Rule) -> Seen:
        return seen_of_request(rule.policy.check, rule.policy.where, self.request())

    async def redacted(self, where: str, redact: Redact) -> _Reader:
        return _Reader(await apart(lambda: self.request().redacted(where, redact), len(self.body)))
