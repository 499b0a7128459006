"""What an answer goes through before it reaches the caller: held back until it is checked, watched, or only copied.

`Whole` reads the whole answer. While a policy may stop or change it, nothing is passed on before that; otherwise bytes
pass at once and what is found is counted. `Watch` reads a stream as it comes and cuts it at a match: what was sent
before stays sent, but for the last `window` characters, which are held back.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from afterlaunch.contracts.guard import Policy
from afterlaunch.gateway import sse
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.checks import Seen
from afterlaunch.gateway.guarding.judging import Guarding, Judge, apart
from afterlaunch.gateway.guarding.reading import (
    LARGEST_ANSWER,
    Answer,
    Fragment,
    Group,
    events_of,
    fragments_of,
    inflated,
    read_json,
    read_stream,
)
from afterlaunch.gateway.guarding.rules import Rule
from afterlaunch.gateway.protocols import Protocol as Wire
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.request import Asked

REMEMBERED = 1_024  # characters of a text that a pattern may reach back


class Cut(Exception):
    """The stream ends here, with `event` as its last words."""

    def __init__(self, refusal: Refusal, wire: Wire) -> None:
        super().__init__(refusal.reason)
        self.event = refusal.event(wire)


class Gate(Protocol):
    @property
    def holds(self) -> bool:
        """Whether nothing of the answer may be sent yet."""

    @property
    def edits(self) -> bool:
        """Whether the length that the provider told may not hold."""

    @property
    def later(self) -> bool:
        """Whether something is still to be looked at when the answer has passed."""

    def feed(self, read: bytes) -> bytes:
        """What may go to the caller now. Raises Cut, Refusal while it holds."""

    async def finish(self) -> bytes:
        """What may go at the end. Raises Refusal while it holds, Cut."""

    async def after(self) -> None:
        """When the caller has had everything."""

    def close(self) -> None:
        """However it ended."""


def gate_of(judge: Judge, asked: Asked, status: int, kind: str, encoding: str) -> Gate | None:
    """None where nothing is checked: errors of the provider and what a GET looks up are no answers of a model."""
    rules, wire = judge.answered, asked.protocol
    if not rules or status >= 300 or asked.method != "POST":
        return None
    stopping = [one for one in rules if one.policy.stops]
    streamed = kind.startswith("text/event-stream")
    if not stopping or not streamed or any(one.policy.stream == "buffer" for one in stopping):
        judge.trail.buffered = bool(stopping)
        return Whole(judge, rules, wire, streamed, encoding, bool(stopping))
    others = tuple(one for one in rules if one not in stopping)
    return Watch(judge, tuple(stopping), others, wire, encoding)


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


class Watch:
    """Of an uncompressed stream. `others` only count: they read a copy when it has passed."""

    holds, edits = False, True

    def __init__(
        self, judge: Judge, rules: tuple[Rule, ...], others: tuple[Rule, ...], wire: Wire, encoding: str
    ) -> None:
        self._judge, self._rules, self._wire, self._encoding = judge, rules, wire, encoding
        self._events = sse.Assembler(wire.longest_event)
        self._copy = Whole(judge, others, wire, True, encoding, False) if others else None
        self._texts: dict[Group, str] = {}  # their ends
        self._lengths: dict[Group, int] = {}
        self._waiting: deque[tuple[bytes, int]] = deque()  # events, and characters told up to them
        self._told = 0
        self._window = max(one.policy.window for one in rules)
        self._matched: set[str] = set()
        self._open = False  # it cannot be read, and passes
        for rule in rules:
            judge.shared.tally.row(rule.policy.id).evaluated += 1

    @property
    def later(self) -> bool:
        return self._copy is not None

    def feed(self, read: bytes) -> bytes:
        if self._copy is not None:
            self._copy.feed(read)
        if self._open:
            return read
        if self._encoding:
            return self._unreadable("encoding") + read
        block = self._events.feed(read)
        out = self._pass(block) if block else b""
        if self._events.overflow():
            return out + self._unreadable("too-large")
        return out

    async def finish(self) -> bytes:
        out = self._pass(self._events.rest())
        return out + self._released(0)

    async def after(self) -> None:
        if self._copy is not None:
            await self._copy.after()

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()

    def _unreadable(self, why: str) -> bytes:
        """Raises Cut; returns what was held back where the stream may pass unchecked."""
        for rule in self._rules:
            if self._judge.failed(rule.policy, why):
                raise self._cut(self._judge.unchecked(rule.policy, "answer"))
        self._open = True
        return self._released(0) + self._events.rest()

    def _pass(self, block: bytes) -> bytes:
        for _, event in events_of(block):
            try:
                _, fragments, _ = fragments_of(event, self._wire)
            except Unreadable as problem:
                self._waiting.append((event, self._told))
                return self._unreadable(str(problem)) if not self._open else event
            before = self._told
            try:
                self._look(fragments)
            except Cut as cut:  # what came in the same read is sent as if it had come alone
                self._told = before
                cut.event = self._released(self._window) + cut.event
                raise
            self._waiting.append((event, self._told))
        return self._released(self._window)

    def _released(self, window: int) -> bytes:
        """The events behind which enough has been told."""
        out = []
        while self._waiting and self._waiting[0][1] <= self._told - window:
            out.append(self._waiting.popleft()[0])
        return b"".join(out)

    def _look(self, fragments: list[Fragment]) -> None:
        """Raises Cut."""
        for where in ("response", "tool-call"):
            mine = [one for one in fragments if (one.part == "tool") == (where == "tool-call")]
            if not mine:
                continue
            seen = self._seen(mine)
            names = [one.string.text for one in mine if where == "tool-call" and one.string.path[-1] == "name"]
            for rule in self._rules:
                if rule.policy.where == where and rule.policy.name not in self._matched:
                    kind = rule.policy.check.kind
                    self._ask(rule, Seen(seen.texts, seen.whole, names if kind == "tools" else (), ()))

    def _seen(self, fragments: list[Fragment]) -> Seen:
        """The end of each text with what came just now; strings that grow to the length that they have."""
        texts, whole = [], []
        for one in fragments:
            if one.group is None:
                texts.append(one.string.text)
                continue
            text = self._texts.get(one.group, "") + one.string.text
            self._texts[one.group] = text[-REMEMBERED:]
            self._lengths[one.group] = self._lengths.get(one.group, 0) + len(one.string.text)
            self._told += len(one.string.text)
            texts.append(text)
            if one.part in ("text", "tool"):
                whole.append("·" * self._lengths[one.group])
        return Seen(texts, whole)

    def _ask(self, rule: Rule, seen: Seen) -> None:
        policy: Policy = rule.policy
        assert rule.test is not None, "Policy.wrong"
        try:
            why = rule.test(seen)
        except Unreadable as problem:
            if self._judge.failed(policy, str(problem)):
                raise self._cut(self._judge.unchecked(policy, "answer")) from problem
            return
        if why is None:
            return
        self._matched.add(policy.name)
        if self._judge.matches(policy, why) and policy.action == "deny":
            raise self._cut(self._judge.refused(policy, "cut", "guard-denied", "The policy {} ended this answer."))

    def _cut(self, refusal: Refusal) -> Cut:
        self._judge.trail.outcome = "cut"
        return Cut(refusal, self._wire)
