"""Placeholders stand for what was redacted on the way to the provider, and are put back in the answer.

1. What stands for what is known to one call alone, in its memory, and gone with it. 2. The same text has the same
placeholder, numbered as the request tells them, so that a conversation that is sent again reads the same to a prompt
cache. 3. Whatever an answer is cut into, a placeholder is found: events wait while what they end with may be one.
4. Thoughts stay as the model wrote them: providers sign them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import orjson

from afterlaunch.contracts.guard import Policy
from afterlaunch.gateway.guarding.calls import Unreadable, object_of
from afterlaunch.gateway.guarding.reading import Fragment, Group, Request, events_of, fragments_of, parsed, read_json
from afterlaunch.gateway.guarding.strings import Edit, String, is_thought, spliced
from afterlaunch.gateway.protocols import Protocol

MOST_WAITING = 1_024  # events; then what waits passes as it is
_NESTED = ("arguments", "partial_json")  # members that hold JSON as a text


class Placeholders:
    """Of one call. `policy`: the first that asked for them."""

    def __init__(self, policy: Policy, request: Request) -> None:
        self.policy, self._in_json = policy, wants_json(request.body)
        texts = [one.text for one in request.strings("request") if "[" in one.text and not is_thought(one)]
        self._salt = ""
        while any(re.search(rf"\[[a-z-]{{1,40}}-{self._salt}\d", one) for one in texts):  # it has some of its own
            self._salt += "x"
        self._of: dict[str, str] = {}
        self._originals: dict[str, str] = {}
        self._begins: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._of)

    def stand(self, kind: str, original: str) -> str:
        """The placeholder of a text, which may hold others."""
        original = self.restored(original)
        found = self._of.get(original)
        if found is None:
            found = f"[{kind.replace(' ', '-')}-{self._salt}{len(self._of) + 1}]"
            self._of[original], self._originals[found] = found, original
            self._begins |= {found[:size] for size in range(1, len(found))}
            self._pattern = None
        return found

    def pattern(self) -> re.Pattern[str]:
        if self._pattern is None:
            self._pattern = re.compile("|".join(map(re.escape, self._originals)) or r"(?!)")
        return self._pattern

    def original(self, placeholder: str, nested: bool = False) -> str:
        """`nested`: as a part of a text of JSON that is itself in a text."""
        found = self._originals[placeholder]
        return orjson.dumps(found).decode()[1:-1] if nested else found

    def restored(self, text: str, nested: bool = False) -> str:
        if "[" not in text or not self._originals:
            return text
        return self.pattern().sub(lambda found: self.original(found.group(), nested), text)

    def unfinished(self, text: str) -> int:
        """How many characters at its end may be the beginning of a placeholder."""
        at = text.rfind("[")
        return len(text) - at if at >= 0 and text[at:] in self._begins else 0

    def of_json(self, body: bytes, wire: Protocol) -> bytes:
        """A whole answer with the originals. Raises Unreadable."""
        edits = [edit for one in read_json(body, wire).fragments if (edit := self.alone(one)) is not None]
        return spliced(body, edits)

    def alone(self, one: Fragment) -> Edit | None:
        """Of a string that is a whole text."""
        if one.part == "thought":
            return None
        new = self.restored(one.string.text, self.nested(one))
        return None if new == one.string.text else Edit(one.string.start, one.string.end, orjson.dumps(new))

    def nested(self, one: Fragment) -> bool:
        """Whether its text is JSON that the caller will read as such."""
        path = one.string.path
        if one.part == "text":
            return self._in_json
        if one.group is not None and str(one.group[0]).startswith("response."):
            return "arguments" in str(one.group[0])
        return bool(path) and path[-1] in _NESTED and "input" not in path[:-1]


def wants_json(body: bytes) -> bool:
    """Whether the request asks for an answer in JSON, in one of the protocols' ways."""
    document = parsed(body) if body else None
    if not isinstance(document, dict):
        return False
    asked = [document.get(name) for name in ("response_format", "output_format")]
    asked += [object_of(document, name).get("format") for name in ("text", "output_config")]
    return any(isinstance(one, dict) and str(one.get("type", "")).startswith("json") for one in asked)


@dataclass
class _Event:
    """`open`: how many of its texts may still change."""

    raw: bytes
    edits: list[Edit] = field(default_factory=list)
    open: int = 0


@dataclass
class _Piece:
    """The text of one event: what is settled, and what may be a part of a placeholder."""

    event: _Event
    string: String
    left: str
    done: str = ""

    def settle(self) -> None:
        new = self.done + self.left
        self.event.open -= 1
        if new != self.string.text:
            self.event.edits.append(Edit(self.string.start, self.string.end, orjson.dumps(new)))


class Stream:
    """Whole events in, the same events with the originals out."""

    def __init__(self, known: Placeholders, wire: Protocol) -> None:
        self._known, self._wire = known, wire
        self.unread = ""  # why an event passed as it is, that may hold placeholders
        self._waiting: list[_Event] = []
        self._tails: dict[Group, list[_Piece]] = {}

    def feed(self, block: bytes) -> bytes:
        for _, raw in events_of(block):
            event = _Event(raw)
            self._waiting.append(event)
            try:
                _, fragments, known = fragments_of(raw, self._wire)
            except Unreadable as problem:  # what nobody can read passes as it is
                self.unread = str(problem)
                continue
            if not known and any("[" in one.string.text for one in fragments):
                self.unread = "cannot-edit"
            for one in fragments if known else ():
                self._look(event, one)
        if len(self._waiting) > MOST_WAITING:
            self._settle()
        return self._released()

    def finish(self) -> bytes:
        self._settle()
        return self._released()

    def _look(self, event: _Event, one: Fragment) -> None:
        if one.part == "thought":
            return
        if one.group is None or one.again:
            if (edit := self._known.alone(one)) is not None:
                event.edits.append(edit)
            return
        event.open += 1
        pieces = [*self._tails.pop(one.group, ()), _Piece(event, one.string, one.string.text)]
        left = self._restore(pieces, self._known.nested(one))
        if left:
            self._tails[one.group] = left

    def _restore(self, pieces: list[_Piece], is_nested: bool) -> list[_Piece]:
        """An original stands where its placeholder began. Returns those that may still change."""
        whole = "".join(one.left for one in pieces)
        matches = list(self._known.pattern().finditer(whole))
        behind = matches[-1].end() if matches else 0
        settled = len(whole) - self._known.unfinished(whole[behind:])
        begin, still = 0, []
        for piece in pieces:
            end = at = begin
            end += len(piece.left)
            for found in matches:
                if found.end() <= begin or found.start() >= end:
                    continue
                piece.done += whole[at : max(at, found.start())]
                if found.start() >= begin:
                    piece.done += self._known.original(found.group(), is_nested)
                at = min(end, found.end())
            piece.done += whole[at : max(at, min(end, settled))]
            piece.left = whole[max(at, settled) : end]
            begin = end
            if piece.left:
                still.append(piece)
            else:
                piece.settle()
        return still

    def _settle(self) -> None:
        for pieces in self._tails.values():
            for piece in pieces:
                piece.settle()
        self._tails = {}

    def _released(self) -> bytes:
        """Those in front of which nothing waits."""
        count = next((number for number, one in enumerate(self._waiting) if one.open), len(self._waiting))
        out, self._waiting = self._waiting[:count], self._waiting[count:]
        return b"".join(spliced(one.raw, one.edits) if one.edits else one.raw for one in out)
