"""Label matchers, as Prometheus' Alertmanager writes them: `{alertname="Down", instance=~"db-.*"}`. Pure.

The text form is that of its classic parser. Regular expressions are RE2: linear time, anchored at both ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from afterlaunch.ground.errors import Invalid

OPERATORS = ("=~", "!~", "!=", "=")
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.S)
LONGEST = 1000  # characters of a value
MOST = 50


@dataclass(frozen=True, order=True)
class Matcher:
    """A missing label equals an empty one."""

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{value}"'

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.name, "")
        if self.op in ("=", "!="):
            return (found == self.value) == (self.op == "=")
        return bool(_compiled(self.value).fullmatch(found)) == (self.op == "=~")


@lru_cache(maxsize=2000)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as problem:
        why = problem.args[0] if problem.args else problem
        why = why.decode() if isinstance(why, bytes) else why
        raise Invalid(f"{pattern!r} is no regular expression: {why}.", "RE2 syntax is taken.") from None


def matcher(name: str, op: str, value: str) -> Matcher:
    """Checked. Raises Invalid."""
    if op not in OPERATORS:
        raise Invalid(f"{op!r} is no operator of a matcher.", f"Use one of: {' '.join(OPERATORS)}")
    if not name or len(name) > 200 or len(value) > LONGEST:
        raise Invalid(f"A matcher needs a label's name, and a value of up to {LONGEST} characters.")
    if op in ("=~", "!~"):
        _compiled(value)
    return Matcher(name, op, value)


def parse(text: str) -> list[Matcher]:
    """All matchers of a text, with or without its braces. Raises Invalid."""
    inner = text.removeprefix("{").removesuffix("}")
    return [_parse_one(token) for token in _tokens(inner)]


def _tokens(text: str) -> list[str]:
    """Split at commas outside quotes. An empty one within is kept, since it is an error; one at the end is not."""
    tokens, quoted, escaped, begin = [], False, False, 0
    for place, char in enumerate(text):
        if char == "," and not quoted:
            tokens.append(text[begin:place])
            begin = place + 1
            continue  # a comma leaves a backslash before it in force, as the classic parser does
        if char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
    rest = text[begin:]
    return [*tokens, rest] if rest.strip() else tokens


def _parse_one(token: str) -> Matcher:
    found = _MATCHER.fullmatch(token)
    if found is None:
        raise Invalid(f"{token.strip()!r} is no matcher.", 'Write NAME="VALUE", with =, !=, =~ or !~.')
    name, op, raw = found.groups()
    return matcher(name, op, _value(raw))


ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


def _value(raw: str) -> str:
    """Without its quotes and escapes. An unknown escape stays as it is; so does a backslash at the very end."""
    quoted = raw.startswith('"')
    body, out, at = raw[1:] if quoted else raw, [], 0
    closed = not quoted
    while at < len(body):
        char = body[at]
        if char == "\\" and at + 1 < len(body):
            following = body[at + 1]
            out.append(ESCAPES.get(following, char + following))
            at += 2
            continue
        if char == '"':
            if closed or at + 1 < len(body):
                raise Invalid(f"The value {raw!r} holds a quote that is not escaped.", 'Write \\" for it.')
            closed = True
        else:
            out.append(char)
        at += 1
    if not closed:
        raise Invalid(f"The value {raw!r} has no closing quote.")
    return "".join(out)


def all_match(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    return all(one.matches(labels) for one in matchers)


def selective(matchers: Sequence[Matcher]) -> bool:
    """Whether at least one does not match an absent label: else everything would match."""
    return any(not one.matches({}) for one in matchers)


def as_rows(matchers: Sequence[Matcher]) -> list[dict[str, str]]:
    """How they are kept."""
    return [{"name": one.name, "op": one.op, "value": one.value} for one in matchers]


def from_rows(rows: Sequence[Mapping[str, str]]) -> list[Matcher]:
    return [Matcher(row["name"], row["op"], row["value"]) for row in rows]


def written(matchers: Sequence[Matcher]) -> str:
    return "{" + ", ".join(str(one) for one in matchers) + "}"


def equals(matchers: Sequence[Matcher], name: str) -> str:
    """The value that a label must have by `=`; empty when none is named."""
    return next((one.value for one in matchers if one.name == name and one.op == "="), "")
