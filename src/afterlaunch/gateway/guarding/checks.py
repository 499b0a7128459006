"""Checks made ready: what each looks for, and how it is replaced. Pure; the one that asks a service is in `asking`.

Texts are read by RE2 and by what `ground.sensitive` knows, both in time linear in their length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

from afterlaunch.contracts.guard_checks import PII, Check, compiled, validator
from afterlaunch.gateway.guarding import arguments
from afterlaunch.gateway.guarding.calls import ToolCall, Unreadable
from afterlaunch.gateway.guarding.links import Hosts, end_of
from afterlaunch.gateway.guarding.reading import Answer, Redact, Request

_MARK = re.compile(r"\[masked: ([a-z -]{1,40})\]")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
MOST_REPLACED = 10_000  # in one text
_EDGE = r"[^\pL\pN]"


@dataclass(frozen=True)
class Seen:
    """`texts` are searched; `whole`: the request's text, or the text of each choice; `names`: models or tools; `calls`:
    those that the model makes, or made last."""

    texts: Sequence[str]
    whole: Sequence[str] = ()
    names: Sequence[str] = ()
    calls: Sequence[ToolCall] = ()


Test = Callable[[Seen], str | None]
Stand = Callable[[str, str], str]
Said = Callable[[str], str]


def seen_of_request(check: Check, where: str, request: Request) -> Seen:
    names = request.models if check.kind == "models" else request.tools if check.kind == "tools" else ()
    texts = [one.text for one in request.strings(where)]
    calls = request.calls if check.kind == "arguments" else ()
    return Seen(texts, ["".join(texts)] if check.kind == "length" else (), names, calls)


def seen_of_answer(check: Check, where: str, answer: Answer) -> Seen:
    if where == "tool-call":
        whole, names = [one.arguments for one in answer.calls], [one.name for one in answer.calls]
        return Seen(answer.texts(where), whole, names, answer.calls)
    return Seen(answer.texts(where), answer.choices)


def test_of(check: Check, every: bool = False) -> Test:
    """What a check says of what it sees: in a few words that hold nothing of the text, why it matches; None: it does
    not. It raises Unreadable when it cannot be made. `every`, of calls: one that does not match is enough for a no."""
    made: dict[str, Callable[[Check], Test]] = {
        "length": _length,
        "pattern": _pattern,
        "terms": _terms,
        "pii": _pii,
        "urls": _urls,
        "models": lambda check: _names(check, "model"),
        "tools": lambda check: _names(check, "tool"),
        "arguments": lambda check: _arguments(check, every),
        "schema": _schema,
    }
    return _always if check.kind == "always" else made[check.kind](check)


def _always(_: Seen) -> str | None:
    return "every call"


def _length(check: Check) -> Test:
    def test(seen: Seen) -> str | None:
        for text in seen.whole:
            if check.most and len(text) > check.most:
                return f"longer than {check.most:,} characters"
            if len(text) < check.least:
                return f"shorter than {check.least:,} characters"
        return None

    return test


def _ready(pattern: str) -> Any:
    found = compiled(pattern)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _pattern(check: Check) -> Test:
    ready = [_ready(one) for one in check.patterns]

    def test(seen: Seen) -> str | None:
        texts = [text.encode() for text in (seen.whole if check.must_match and seen.whole else seen.texts)]
        for number, pattern in enumerate(ready, 1):
            if any(pattern.search(text) for text in texts):
                return None if check.must_match else f"pattern {number}"
        return "no pattern matches" if check.must_match else None

    return test


def _alternatives(terms: Sequence[str]) -> str:
    longest_first = sorted((one.strip() for one in terms), key=len, reverse=True)
    return "|".join(_PUNCTUATION.sub(r"\\\g<0>", one) for one in longest_first)


def _term_pattern(terms: Sequence[str]) -> Any:
    """Whole words, in any case; group 2 is the term."""
    return _ready(rf"(?i)(^|{_EDGE})({_alternatives(terms)})($|{_EDGE})")


def _terms(check: Check) -> Test:
    ready = _term_pattern(check.terms)
    return lambda seen: "a blocked term" if any(ready.search(text.encode()) for text in seen.texts) else None


def _pii(check: Check) -> Test:
    from afterlaunch.ground.sensitive.patterns import masked

    kinds = check.kinds or PII

    def test(seen: Seen) -> str | None:
        found: set[str] = set()
        for text in seen.texts:
            new = masked(text, kinds)
            if new != text:
                before, after = _MARK.findall(text), _MARK.findall(new)
                found |= {kind for kind in PII if after.count(kind) > before.count(kind)} or {"personal data"}
        return ", ".join(sorted(found)) or None

    return test


def _urls(check: Check) -> Test:
    hosts = Hosts(check.names)

    def test(seen: Seen) -> str | None:
        bad = any(hosts.others(text) or hosts.hidden(text) for text in seen.texts)
        return "a link to a host that is not allowed" if bad else None

    return test


def _named(names: Sequence[str]) -> Callable[[str], bool]:
    exact = frozenset(one for one in names if not one.endswith("*"))
    begins = tuple(one for one in names if one.endswith("*"))
    return lambda name: name in exact or any(fnmatchcase(name, _escaped(one)) for one in begins)


def _names(check: Check, what: str) -> Test:
    allowed = _named(check.names)
    return lambda seen: f"a {what} that is not allowed" if not all(map(allowed, seen.names)) else None


def _escaped(name: str) -> str:
    """Only the star at the end stands for anything."""
    return re.sub(r"([*?\[])", r"[\1]", name[:-1]) + "*"


def _arguments(check: Check, every: bool) -> Test:
    about, fits = _named(check.names) if check.names else lambda _: True, arguments.matching(check)

    def test(seen: Seen) -> str | None:
        if every:
            found = bool(seen.calls) and not arguments.some(lambda one: not (about(one.name) and fits(one)), seen.calls)
        else:
            found = arguments.some(lambda one: about(one.name) and fits(one), seen.calls)
        return "arguments of a call" if found else None

    return test


def _schema(check: Check) -> Test:
    ready = validator(check.schema)
    if isinstance(ready, str):
        raise ValueError(ready)

    def test(seen: Seen) -> str | None:
        if not seen.whole:
            return None
        for text in seen.whole:
            try:
                document = orjson.loads(text)
            except orjson.JSONDecodeError:
                return "no JSON"
            try:
                if not ready.is_valid(document):
                    return "it does not fit the schema"
            except ValueError:
                raise Unreadable("schema") from None
        return None

    return test


def redact_of(name: str, check: Check, stand: Stand | None = None) -> Redact:
    """What stands for what was found: its kind, or the policy's name; or what `stand` makes of a kind and it."""
    if check.kind == "pii":
        from afterlaunch.ground.sensitive.patterns import masked

        kinds = check.kinds or PII
        return (lambda text: masked(text, kinds)) if stand is None else (lambda text: masked(text, kinds, stand))
    said: Said = (lambda _: f"[redacted: {name}]") if stand is None else (lambda found: stand("text", found))
    if check.kind == "terms":
        ready = _term_pattern(check.terms)
        return lambda text: _without(ready, text, said, 2)
    if check.kind == "urls":
        hosts = Hosts(check.names)
        return lambda text: _without_links(hosts, text, said)
    patterns = [_ready(one) for one in check.patterns]

    def redact(text: str) -> str:
        for pattern in patterns:
            text = _without(pattern, text, said, 0)
        return text

    return redact


def _without_links(hosts: Hosts, text: str, said: Said) -> str:
    """Raises Unreadable where a link shows only to who reads characters by their numbers: where it stands is not
    known."""
    parts: list[str] = []
    at = 0
    for one in hosts.others(text):
        if one.start < at:  # within one that is gone
            continue
        end = end_of(text, one)
        parts += [text[at : one.start], said(text[one.start : end])]
        at = end
        if len(parts) > 2 * MOST_REPLACED:
            raise Unreadable("too-many")
    new = "".join([*parts, text[at:]])
    if hosts.others(new) or hosts.hidden(new):
        raise Unreadable("hidden-link")
    return new


def _without(pattern: Any, text: str, said: Said, group: int) -> str:
    """The search goes on right behind what was replaced: terms next to each other share the edge between them. Raises
    Unreadable where there is more to replace than anybody would read."""
    data = text.encode()
    parts: list[bytes] = []
    at = kept = 0
    while at <= len(data) and (found := pattern.search(data, at)) is not None:
        start, end = found.span(group)
        at = max(end, at + 1)
        if start == end:
            continue
        parts += [data[kept:start], said(data[start:end].decode("utf-8", "replace")).encode()]
        kept = end
        if len(parts) > 2 * MOST_REPLACED:
            raise Unreadable("too-many")
    return b"".join([*parts, data[kept:]]).decode("utf-8", "replace") if parts else text
