"""What a guard policy looks for, and whether it can be looked for. Expressions, schemas and JSON paths are read here as
gateways read them: in time linear in the text, or refused."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

CHECKS = ("always", "length", "pattern", "terms", "pii", "urls", "models", "tools", "arguments", "schema", "http")
SPANS = ("pattern", "terms", "pii", "urls")  # checks that say where something stands, so that it can be replaced
PII = ("private key", "password", "token", "e-mail", "card", "phone")
MOST_PATTERNS, MOST_TERMS = 100, 1_000
LONGEST_PATTERN, LONGEST_TERM, LONGEST_SCHEMA = 1_000, 200, 64 << 10
LONGEST_PATH, MOST_STEPS, DEEPEST = 300, 20, 100
PATTERN_MEMORY = 8 << 20
HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,62}\.?){0,127}")


@dataclass(frozen=True)
class Check:
    """What a policy looks for. It matches where something is wrong: a pattern that is found (with `must_match`: none is
    found), a term, personal data of `kinds`, a text outside `least` to `most` characters, a link to a host, or a model
    or tool, that `names` does not allow, an answer that does not fit `schema`, a no of the service at `url` within
    `deadline` seconds. `always` matches every call. `credential` of that service: "env:NAME" or "file:/path".

    `arguments` looks at what stands at the JSON `path` of the arguments of calls of the tools that `names` tells (all
    without): something `above` or `below` a number, in which one of `patterns` is found, equal to one of `values`, or,
    where none of these is told, anything. With `must_match`: a call at whose path nothing is, or something else."""

    kind: str
    patterns: tuple[str, ...] = ()
    must_match: bool = False
    terms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    names: tuple[str, ...] = ()
    path: str = ""
    above: float | None = None
    below: float | None = None
    values: tuple[Any, ...] = ()
    schema: Any = None
    url: str = ""
    credential: str = ""
    deadline: float = 2.0

    @property
    def whole(self) -> bool:
        """Whether it can only be made of a whole answer."""
        return self.kind in ("arguments", "schema", "http", "urls") or bool(self.least) or self.must_match

    def wrong(self) -> str | None:
        if self.kind not in CHECKS:
            return f"check.kind is one of {', '.join(CHECKS)}, not {self.kind!r}"
        problem = {
            "length": self._length,
            "pattern": self._patterns,
            "terms": self._terms,
            "pii": self._pii,
            "urls": self._hosts,
            "models": self._names,
            "tools": self._names,
            "arguments": self._arguments,
            "schema": self._schema,
            "http": self._http,
        }.get(self.kind)
        return problem() if problem else None

    def _length(self) -> str | None:
        if self.least < 0 or self.most < 0 or not (self.least or self.most):
            return "check.least or check.most is a number of characters above 0"
        return "check.least is above check.most" if self.most and self.least > self.most else None

    def _patterns(self) -> str | None:
        if not 0 < len(self.patterns) <= MOST_PATTERNS:
            return f"check.patterns holds 1 to {MOST_PATTERNS} regular expressions"
        return self._expressions()

    def _expressions(self) -> str | None:
        for one in self.patterns:
            if not 0 < len(one) <= LONGEST_PATTERN:
                return f"a pattern has 1 to {LONGEST_PATTERN} characters"
            found = compiled(one)
            if isinstance(found, str):
                return f"{one!r} is no regular expression of RE2: {found}"
            if not self.must_match and found.search(b"") is not None:
                return f"{one!r} matches where nothing is: it would match every call"
        return None

    def _terms(self) -> str | None:
        if not 0 < len(self.terms) <= MOST_TERMS:
            return f"check.terms holds 1 to {MOST_TERMS} terms"
        if any(not one.strip() or len(one) > LONGEST_TERM for one in self.terms):
            return f"a term has 1 to {LONGEST_TERM} characters"
        return None

    def _pii(self) -> str | None:
        unknown = sorted(set(self.kinds) - set(PII))
        return f"check.kinds names {', '.join(PII)}, not {unknown[0]!r}" if unknown else None

    def _names(self) -> str | None:
        if not 0 < len(self.names) <= MOST_TERMS or not all(self.names):
            return "check.names tells what is allowed; a * at its end stands for any end"
        return None

    def _hosts(self) -> str | None:
        if not 0 < len(self.names) <= MOST_TERMS:
            return f"check.names tells the hosts that links may lead to, 1 to {MOST_TERMS:,}"
        wrong = [one for one in self.names if not HOST.fullmatch(one.lower())]
        return f"{wrong[0]!r} is no host: example.com, or *.example.com for what is below it" if wrong else None

    def _arguments(self) -> str | None:
        if not 0 < len(self.path) <= LONGEST_PATH:
            return f"check.path is a JSON path of at most {LONGEST_PATH} characters: $.amount, $.items[*].price"
        found = steps_of(self.path)
        if isinstance(found, str):
            return f"check.path: {self.path!r}: {found}"
        for name in ("above", "below"):
            told = getattr(self, name)
            if told is not None and (isinstance(told, bool) or not math.isfinite(told)):
                return f"check.{name} is a number"
        if len(self.values) > MOST_TERMS:
            return f"check.values holds at most {MOST_TERMS:,} values"
        if any(not (one is None or isinstance(one, str | int | float)) for one in self.values):
            return "check.values holds texts, numbers, true, false and null"
        if len(self.names) > MOST_TERMS or not all(self.names):
            return "check.names tells the tools it is about; a * at its end stands for any end"
        if len(self.patterns) > MOST_PATTERNS:
            return f"check.patterns holds at most {MOST_PATTERNS} regular expressions"
        return self._expressions()

    def _schema(self) -> str | None:
        if not isinstance(self.schema, dict):
            return "check.schema is a JSON schema, an object"
        if len(orjson.dumps(self.schema)) > LONGEST_SCHEMA:
            return f"check.schema is longer than {LONGEST_SCHEMA >> 10} KiB"
        found = validator(self.schema)
        return f"check.schema is no JSON schema: {found}" if isinstance(found, str) else None

    def _http(self) -> str | None:
        try:
            parts = urlsplit(self.url)
            parts.port  # noqa: B018 - raises
        except ValueError:
            return "check.url is no web address"
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            return "check.url is a web address without a user name"
        if self.credential and not self.credential.startswith(("env:", "file:/")):
            return "check.credential is env:NAME or file:/path, never the secret itself"
        return None if 0.05 <= self.deadline <= 30 else "check.deadline lies between 0.05 and 30 seconds"


def compiled(pattern: str) -> Any:
    """Of RE2, for UTF-8 as bytes, or what is wrong with it. It is loaded when a pattern is first met: most gateways
    have none."""
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = PATTERN_MEMORY, False
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as problem:
        told = problem.args[0] if problem.args else ""
        return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


def steps_of(path: str) -> Any:
    """The steps of a JSON path of RFC 9535, or what is wrong with it. What could take longer than a walk through the
    document is: filters, lists of other than names and numbers, more than one `..`."""
    import jsonpath

    environment = jsonpath.JSONPathEnvironment(strict=True)
    environment.max_recursion_depth = DEEPEST
    try:
        query = environment.compile(path)
    except (jsonpath.JSONPathError, RecursionError) as problem:
        return f"{str(problem).splitlines()[0]} (a JSON path begins with $, as $.amount or $.items[*].price)"
    if not isinstance(query, jsonpath.JSONPath):
        return "one path, without | and &"
    steps = list(query.segments)
    if len(steps) > MOST_STEPS:
        return f"at most {MOST_STEPS} steps"
    for step in steps:
        kinds = [type(one).__name__ for one in step.selectors]
        if "Filter" in kinds:
            return "filters ([?…]) are not taken: above, below, patterns and values say what to look for"
        if len(set(map(str, step.selectors))) < len(kinds):
            return "a list names nothing twice"
        if len(kinds) > 1 and not set(kinds) <= {"NameSelector", "IndexSelector"}:
            return "a list holds names and numbers only"
    if sum(type(one).__name__ == "JSONPathRecursiveDescentSegment" for one in steps) > 1:
        return "at most one .."
    return steps


def validator(schema: Any) -> Any:
    """Of a JSON schema, with patterns of linear time and nothing fetched, or what is wrong with it."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_MEMORY), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as problem:
        return str(problem).splitlines()[0][:200]
