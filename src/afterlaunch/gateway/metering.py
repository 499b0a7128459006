"""Reads what a response says of itself while its bytes pass: usage, model, id, finish reasons, its end.

A meter never alters or delays a byte. What it cannot read stays unknown, with the reason why.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from afterlaunch.gateway import sse
from afterlaunch.gateway.protocols import MESSAGES, RESPONSES
from afterlaunch.gateway.protocols import Protocol as Wire
from afterlaunch.gateway.usage import Tokens, known, lay_over, tokens_of

KEEP_JSON = 256 << 10
KEEP_TAIL = 64 << 10
INFLATED = 32 << 20  # at most so much of a compressed answer is read
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_TELLING = re.compile(
    rb'"(?:usage|error)"' + sse.GAP + rb":" + sse.GAP + rb"\{"
    rb'|"error"' + sse.GAP + rb":" + sse.GAP + rb'"|"object"' + sse.GAP + rb":" + sse.GAP + rb'"error"'
    rb'|"finish_reason"' + sse.GAP + rb":" + sse.GAP + rb'"'
    rb"|message_stop|\[DONE\]|response\.(?:completed|incomplete|failed)"
)


def _tells(block: bytes) -> bool:
    """Whether _TELLING is found. Plain words first: searching for them costs a tenth of it, and few events have any.
    `in` would try each of them as a number before it searches."""
    find = block.find
    if (
        find(b'"usage"') >= 0
        or find(b'"error"') >= 0
        or find(b"message_stop") >= 0
        or find(b"[DONE]") >= 0
        or find(b"response.") >= 0
        or block.count(b'"finish_reason"') != block.count(b'"finish_reason":null')
    ):
        return _TELLING.search(block) is not None
    return False


@dataclass(slots=True)
class Reading:
    """What was read. `ended`: the protocol's own end was seen (JSON: the document was whole)."""

    usage: dict[str, Any] | None = None
    model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    finish_reasons: list[str] = field(default_factory=list)
    error: str | None = None
    events: int = 0
    ended: bool = False
    usage_ended: bool = False  # the usage is final, not Anthropic's early count
    unknown: str | None = None  # why the usage is not known

    def tokens(self, wire: Wire) -> Tokens | None:
        """Exact counts, or None when they are unknown."""
        if self.usage is None or not self.usage_ended:
            return None
        tokens = tokens_of(wire, self.usage)
        return tokens if known(wire, tokens) else None

    @property
    def why_unknown(self) -> str | None:
        """Of an answer whose tokens are not known."""
        if self.usage is None or self.unknown:
            return self.unknown
        return "no count on one side" if self.usage_ended else "no final usage"


class Meter(Protocol):
    @property
    def reading(self) -> Reading: ...

    def feed(self, read: bytes) -> None: ...

    def finish(self) -> Reading: ...


def last_usage(text: bytes) -> dict[str, Any] | None:
    """The last complete usage object, by a scan that knows strings and counts braces."""
    for match in reversed(list(_USAGE.finditer(text))):
        end = _closing(text, match.end() - 1)
        if end:
            try:
                found = orjson.loads(text[match.end() - 1 : end])
            except orjson.JSONDecodeError:
                continue
            return found if isinstance(found, dict) else None
    return None


_BRACES = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]', re.DOTALL)


def _closing(text: bytes, at: int) -> int | None:
    depth = 0
    for token in _BRACES.finditer(text, at):
        depth += {b"{": 1, b"}": -1}.get(token.group(), 0)
        if depth == 0:
            return token.end()
    return None


def note_document(reading: Reading, wire: Wire, document: Any) -> None:
    """A whole answer: of a JSON body, or inside `response` of a Responses event."""
    if not isinstance(document, dict):
        return
    _note_head(reading, document)
    usage, error = document.get("usage"), document.get("error")
    if isinstance(usage, dict):
        reading.usage, reading.usage_ended = usage, True
        if "service_tier" in usage:
            _note_tier(reading, usage)
    if isinstance(error, dict):
        _note_error(reading, error)
    elif document.get("object") == "error" or (error and isinstance(error, str)):  # older vLLM; Ollama's own paths
        _note_error(reading, document)
    if wire is MESSAGES and isinstance(document.get("stop_reason"), str):
        reading.finish_reasons = [document["stop_reason"]]
    if wire is RESPONSES and isinstance(document.get("status"), str):
        reading.finish_reasons = [document["status"]]
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(reason := choice.get("finish_reason"), str):
            reading.finish_reasons.append(reason)


def _note_head(reading: Reading, document: dict[str, Any]) -> None:
    model, told, tier = document.get("model"), document.get("id"), document.get("service_tier")
    if model and isinstance(model, str):
        reading.model = model
    if told and isinstance(told, str):
        reading.response_id = told
    if tier and isinstance(tier, str):
        reading.service_tier = tier


def _note_tier(reading: Reading, usage: dict[str, Any]) -> None:
    if isinstance(usage.get("service_tier"), str):
        reading.service_tier = usage["service_tier"]


def _note_error(reading: Reading, error: dict[str, Any]) -> None:
    names = (error.get("code"), error.get("type"))
    reading.error = next((name for name in names if isinstance(name, str) and name), "error")


class JsonMeter:
    """Keeps a copy of at most 256 KiB and parses it once at the end; above that only the last 64 KiB are scanned."""

    def __init__(self, wire: Wire) -> None:
        self.reading = Reading()
        self._wire = wire
        self._copy: bytes | bytearray = b""  # of a body that comes in one read the read itself
        self._whole = True

    def feed(self, read: bytes) -> None:
        if not self._copy:
            self._copy = read
        elif isinstance(self._copy, bytearray):
            self._copy += read
        else:
            self._copy = bytearray(self._copy + read)
        if len(self._copy) > KEEP_JSON:
            self._whole = False
            self._copy = bytearray(self._copy[-KEEP_TAIL:])

    def finish(self) -> Reading:
        if self._whole:
            try:
                note_document(self.reading, self._wire, orjson.loads(self._copy))
                self.reading.ended = True
            except orjson.JSONDecodeError:
                self.reading.unknown = "body does not parse"
        else:
            self.reading.usage = last_usage(bytes(self._copy[-KEEP_TAIL:]))
            self.reading.usage_ended = self.reading.ended = self.reading.usage is not None
        if self.reading.usage is None and self.reading.unknown is None:
            self.reading.unknown = "no usage in the body" if self._whole else "no usage at the end of a long body"
        return self.reading


class SseMeter:
    """Parses an event only if it can tell something; a `"usage":null` on every chunk costs one search per read."""

    def __init__(self, wire: Wire) -> None:
        self.reading = Reading()
        self._wire, self._longest = wire, wire.longest_event
        self._events = sse.Assembler(wire.longest_event)
        self._first = True

    def feed(self, read: bytes) -> None:
        events = self._events
        block = events.feed(read)
        if block:
            self.reading.events += block.count(b"data:")
            if self._first or events.cut or len(block) > self._longest or _tells(block):
                self._block(block)
        if block is not read and events.overflow():
            events.shorten()

    def finish(self) -> Reading:
        left = self._events.rest()
        if left:
            self.reading.events += left.count(b"data:")
            self._block(left)
        if self.reading.usage is None and self.reading.unknown is None:
            self.reading.unknown = "no usage event in the stream"
        return self.reading

    def _block(self, block: bytes) -> None:
        for event in sse.split(block):
            if self._events.cut or len(event) > self._longest:
                self._events.cut = False
                self._overlong(event[-KEEP_TAIL:])
            elif self._first or _TELLING.search(event):
                self._event(event)

    def _overlong(self, end: bytes) -> None:
        """Of an event above the bound only the end is left: scan it."""
        found = last_usage(end)
        if found is not None:
            self.reading.usage, self.reading.usage_ended = found, True
            self.reading.ended = self.reading.ended or self._wire is RESPONSES
        else:
            self.reading.unknown = "an event was longer than the bound"

    def _event(self, event: bytes) -> None:
        data = sse.data_of(event)
        if not data:
            return
        self._first = False
        if data.strip() == b"[DONE]":
            self.reading.ended = True
            return
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            self.reading.unknown = "an event does not parse"
            return
        if isinstance(document, dict):
            note = {"messages": self._anthropic, "responses": self._response}.get(self._wire.name, self._chat)
            note(document)

    def _chat(self, chunk: dict[str, Any]) -> None:
        """A usage beside words that still come is that of now: vLLM tells one with every chunk where it is asked to."""
        reading = self.reading
        note_document(reading, self._wire, chunk)
        if reading.usage is not None and chunk.get("choices") and not reading.finish_reasons:
            reading.usage_ended = False

    def _response(self, event: dict[str, Any]) -> None:
        kind, answer = event.get("type"), event.get("response")
        if isinstance(answer, dict):
            note_document(self.reading, self._wire, answer)
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self.reading.ended = True
        if kind == "error":
            _note_error(self.reading, event)

    def _anthropic(self, event: dict[str, Any]) -> None:
        reading, kind = self.reading, event.get("type")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            _note_head(reading, event["message"])
            self._merge(event["message"].get("usage"))
        elif kind == "message_delta":
            self._merge(event.get("usage"))
            reading.usage_ended = reading.usage is not None
            delta = event.get("delta")
            if isinstance(delta, dict) and isinstance(delta.get("stop_reason"), str):
                reading.finish_reasons = [delta["stop_reason"]]
        elif kind == "message_stop":
            reading.ended = True
        elif kind == "error" and isinstance(event.get("error"), dict):
            _note_error(reading, event["error"])

    def _merge(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self.reading.usage = lay_over(self.reading.usage or {}, usage)
            _note_tier(self.reading, usage)


class NoMeter:
    """For paths and encodings that are passed through unread."""

    def __init__(self, why: str) -> None:
        self.reading = Reading(ended=True, unknown=why)

    def feed(self, read: bytes) -> None:
        pass

    def finish(self) -> Reading:
        return self.reading


class Inflated:
    """Feeds another meter with a decompressed copy, within a bound; the bytes on the wire stay as they are."""

    def __init__(self, inner: Meter) -> None:
        self._inner = inner
        self._inflate = zlib.decompressobj(wbits=47)
        self._left = INFLATED
        self._problem: str | None = None

    @property
    def reading(self) -> Reading:
        return self._inner.reading

    def feed(self, read: bytes) -> None:
        if self._problem:
            return
        try:
            plain = self._inflate.decompress(read, self._left)
        except zlib.error:
            self._problem = "the compressed body does not inflate"
            return
        self._left -= len(plain)
        if self._left <= 0:
            self._problem = "the inflated body is too long"
        self._inner.feed(plain)

    def finish(self) -> Reading:
        reading = self._inner.finish()
        if self._problem:
            reading.usage, reading.unknown = None, self._problem
        return reading


def meter_for(wire: Wire, content_type: str, content_encoding: str) -> Meter:
    if wire.operation is None:
        return NoMeter("not metered")
    meter: Meter = SseMeter(wire) if content_type.startswith("text/event-stream") else JsonMeter(wire)
    if content_encoding in ("", "identity"):
        return meter
    if content_encoding in ("gzip", "x-gzip", "deflate"):
        return Inflated(meter)
    return NoMeter(f"content encoding {content_encoding[:20]}")
