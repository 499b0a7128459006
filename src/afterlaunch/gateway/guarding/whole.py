"""A gate that reads whole answers: held back until they are checked, or copied as they pass."""

from __future__ import annotations

from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.judging import Guarding, Judge, apart
from afterlaunch.gateway.guarding.reading import LARGEST_ANSWER, Answer, inflated, read_json, read_stream
from afterlaunch.gateway.guarding.rules import Rule
from afterlaunch.gateway.protocols import Protocol as Wire
from afterlaunch.gateway.protocols import Refusal


class Whole:
    """`blocking`: the answer waits for what is found."""

    def __init__(
        self, judge: Judge, rules: tuple[Rule, ...], wire: Wire, streamed: bool, encoding: str, blocking: bool
    ) -> None:
        self._judge, self._rules, self._wire = judge, rules, wire
        self._streamed, self._encoding = streamed, encoding
        self._parts: list[bytes] = []
        self._size = 0
        self._over = ""  # why it is not read to its end
        self.holds = self.edits = blocking

    @property
    def later(self) -> bool:
        return not self.edits

    def feed(self, read: bytes) -> bytes:
        if self._over:
            return read
        shared: Guarding = self._judge.shared
        self._parts.append(read)
        self._size += len(read)
        shared.room -= len(read)
        if self._size > LARGEST_ANSWER or shared.room < 0:
            return self._given_up("too-large" if self._size > LARGEST_ANSWER else "no-room", read)
        return b"" if self.holds else read

    def _given_up(self, why: str, read: bytes) -> bytes:
        """It is not read to its end: a policy that lets nothing pass unchecked refuses, without one it passes. Raises
        Refusal."""
        self._over = why
        held = self._parts
        self.close()
        if not self.holds:
            return read
        refusal = self._exceptions(why)
        if refusal is not None:
            raise refusal
        self.holds = False
        return b"".join(held)

    def _exceptions(self, why: str) -> Refusal | None:
        first: Refusal | None = None
        for rule in self._rules:
            self._judge.shared.tally.row(rule.policy.id).evaluated += 1
            if self._judge.failed(rule.policy, why) and first is None:
                first = self._judge.unchecked(rule.policy, "answer")
        return first

    async def finish(self) -> bytes:
        if not self.holds:
            return b""
        body = b"".join(self._parts)
        checked = await self._checked(body)
        self.holds = False
        return checked

    def cut_off(self) -> bytes:
        return b""  # it holds everything, or nothing

    async def after(self) -> None:
        """Of an answer that has passed already, what is found is counted."""
        if self._over:
            self._exceptions(self._over)
        elif self._parts:
            await self._checked(b"".join(self._parts))

    def close(self) -> None:
        self._judge.shared.room += self._size
        self._size, self._parts = 0, []

    async def _checked(self, body: bytes) -> bytes:
        """Raises Refusal, if it may."""
        try:
            answer = await apart(lambda: self._read(body), len(body))
        except Unreadable as problem:
            refusal = self._exceptions(str(problem))
            if refusal is not None and self.holds:
                raise refusal from problem
            return body
        for rule in self._rules:
            after = await self._asked(rule, answer)
            if after is None:
                break
            answer = after
        return body if self._encoding else answer.body

    def _read(self, body: bytes) -> Answer:
        plain = inflated(body, self._encoding) if self._encoding else body
        answer = read_stream(plain, self._wire) if self._streamed else read_json(plain, self._wire)
        answer.edits_allowed &= not self._encoding
        return answer

    async def _asked(self, rule: Rule, answer: Answer) -> Answer | None:
        """The answer as it is after this policy; None: it passes, and no other is asked."""
        judge, policy = self._judge, rule.policy
        try:
            why = await judge.answer(rule, answer, len(answer.body))
            if why is None or not judge.matches(policy, why):
                return answer
            if policy.action == "allow":
                return None
            if policy.action == "deny" and self.holds:
                raise judge.not_allowed(policy)
            if policy.action == "redact" and rule.redact is not None:
                redact = rule.redact
                return self._read(await apart(lambda: answer.redacted(policy.where, redact), len(answer.body)))
        except Unreadable as problem:
            if judge.failed(policy, str(problem)) and self.holds:
                raise judge.unchecked(policy, "answer") from problem
        return answer
