"""A gate that reads a stream as it passes, and cuts it at a match."""

from __future__ import annotations

from collections import deque

from afterlaunch.contracts.guard import Policy
from afterlaunch.gateway import sse
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.checks import Seen
from afterlaunch.gateway.guarding.gate import Cut
from afterlaunch.gateway.guarding.judging import Judge
from afterlaunch.gateway.guarding.reading import Fragment, Group, events_of, fragments_of
from afterlaunch.gateway.guarding.rules import Rule
from afterlaunch.gateway.guarding.whole import Whole
from afterlaunch.gateway.protocols import Protocol as Wire
from afterlaunch.gateway.protocols import Refusal

REMEMBERED = 1_024  # characters of a text that a pattern may reach back


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

    def cut_off(self) -> bytes:
        return self._released(0)

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
