"""Guard policies: what of a route's calls is let through, held back, changed or counted. Part of the snapshot; made
from rows, where a policy is JSON of the same names.

The policies of a route are asked in their order. `allow`, `deny` and `hold` end the asking where they match, `redact`
and `flag` go on. Regular expressions are those of RE2, which takes time linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

WHERE = ("request", "tool-result", "response", "tool-call")
ASKED = WHERE[:2]  # before anything is sent
ACTIONS = ("allow", "deny", "redact", "hold", "flag")
CHECKS = ("always", "length", "pattern", "terms", "pii", "urls", "models", "tools", "schema", "http")
SPANS = ("pattern", "terms", "pii", "urls")  # checks that say where something stands, so that it can be replaced
MODES = ("enforce", "observe")
FAIL = ("closed", "open")
STREAMS = ("", "buffer", "watch")
FALLBACKS = ("deny", "allow")
BYPASSED = ("tenant", "agent", "key")
PII = ("private key", "password", "token", "e-mail", "card", "phone")
MOST_POLICIES, MOST_PATTERNS, MOST_TERMS = 50, 100, 1_000
LONGEST_PATTERN, LONGEST_TERM, LONGEST_SCHEMA = 1_000, 200, 64 << 10
PATTERN_MEMORY = 8 << 20
WIDEST_WINDOW = 4_096
HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,62}\.?){0,127}")


@dataclass(frozen=True)
class Check:
    """What a policy looks for. It matches where something is wrong: a pattern that is found (with `must_match`: none is
    found), a term, personal data of `kinds`, a text outside `least` to `most` characters, a link to a host, or a model
    or tool, that `names` does not allow, an answer that does not fit `schema`, a no of the service at `url` within
    `deadline` seconds. `always` matches every call. `credential` of that service: "env:NAME" or "file:/path"."""

    kind: str
    patterns: tuple[str, ...] = ()
    must_match: bool = False
    terms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    names: tuple[str, ...] = ()
    schema: Any = None
    url: str = ""
    credential: str = ""
    deadline: float = 2.0

    @property
    def whole(self) -> bool:
        """Whether it can only be made of a whole answer."""
        return self.kind in ("schema", "http", "urls") or bool(self.least) or self.must_match

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


@dataclass(frozen=True)
class Approval:
    """Who is asked, and what follows when nobody answers within `timeout` seconds. `wait`: so many seconds the call
    itself waits; without, it is answered at once and the caller sends it again. A decision stands for `stands`
    seconds."""

    queue: str
    fallback: str
    timeout: float = 3_600.0
    wait: float = 0.0
    stands: float = 900.0

    def wrong(self) -> str | None:
        if not self.queue:
            return "approval.queue names a queue"
        if self.fallback not in FALLBACKS:
            return f"approval.fallback is {' or '.join(FALLBACKS)}, not {self.fallback!r}"
        for name, low, high in (("timeout", 5, 604_800), ("wait", 0, 300), ("stands", 5, 86_400)):
            if not low <= getattr(self, name) <= high:
                return f"approval.{name} lies between {low:,} and {high:,} seconds"
        return None


@dataclass(frozen=True)
class Bypass:
    """Whom the policy does not stop, until when (seconds since 1970); each match is still counted, as an override."""

    who: str
    value: str
    until: float


@dataclass(frozen=True)
class Policy:
    """`fail`: what follows when the check cannot be made: `closed` refuses, `open` lets pass; both are counted.
    `stream`, of a policy that stops or changes answers: `buffer` holds a stream back until it is checked, `watch`
    passes it on and cuts it at a match; `window`: so many characters a watched stream is held back. `again`, of one
    that denies answers: the model is asked once more before. `tenants`, `agents`: whom it is about; empty: all.
    `message` is told to the caller."""

    id: str
    name: str
    where: str
    check: Check
    action: str
    fail: str
    mode: str = "enforce"
    stream: str = ""
    window: int = 0
    again: bool = False
    tenants: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    message: str = ""
    approval: Approval | None = None
    bypasses: tuple[Bypass, ...] = field(default=())

    @property
    def stops(self) -> bool:
        """Whether it may keep an answer from the caller, or change it."""
        return self.mode == "enforce" and (self.action in ("deny", "redact") or self.fail == "closed")

    def wrong(self) -> str | None:
        """What is wrong with it."""
        for name, value, known in (
            ("where", self.where, WHERE),
            ("action", self.action, ACTIONS),
            ("fail", self.fail, FAIL),
            ("mode", self.mode, MODES),
            ("stream", self.stream, STREAMS),
        ):
            if value not in known:
                return f"{name} is one of {', '.join(one or 'nothing' for one in known)}, not {value!r}"
        if len(self.message) > 300:
            return "message has at most 300 characters"
        if any(one.who not in BYPASSED or not one.value for one in self.bypasses):
            return f"a bypass is of a {', '.join(BYPASSED)}"
        return self.check.wrong() or self._fitting() or self._streaming() or self._approved()

    def _fitting(self) -> str | None:
        """Whether where, check and action go together."""
        check = self.check
        if check.kind == "models" and self.where != "request":
            return "models are checked where the request is"
        if check.kind == "tools" and self.where not in ("request", "tool-call"):
            return "tools are checked in the request (what is offered) or as tool-call (what the model calls)"
        if check.kind == "schema" and self.where not in ("response", "tool-call"):
            return "a schema is of the answer or of the arguments of a tool-call"
        if self.action == "redact" and (check.kind not in SPANS or check.must_match):
            return f"redact goes with {', '.join(SPANS)}: the others do not say what to replace"
        return None

    def _streaming(self) -> str | None:
        if self.where in ASKED:
            return "stream, window and again are of answers" if self.stream or self.window or self.again else None
        if self.again and (self.action != "deny" or self.stream != "buffer"):
            return "again goes with the action deny and stream buffer: nothing has been sent then"
        if self.stops and not self.stream:
            return "stream tells what becomes of streams: buffer (held back until checked) or watch (cut at a match)"
        if self.stream == "watch" and self.action == "redact":
            return "an answer that is redacted is held back: stream is buffer"
        if self.stream == "watch" and self.stops and self.check.whole:
            return "this check needs the whole answer: stream is buffer, or the action is flag with fail open"
        if not 0 <= self.window <= WIDEST_WINDOW or (self.window and self.stream != "watch"):
            return f"window, of a watched stream, is at most {WIDEST_WINDOW:,} characters"
        return None

    def _approved(self) -> str | None:
        if self.action != "hold":
            return "approval goes with the action hold" if self.approval else None
        if self.where not in ASKED:
            return "what is held for approval is a request or a tool-result: an answer has been paid for"
        return self.approval.wrong() if self.approval else "approval tells the queue and what follows without an answer"


def wrong(policies: tuple[Policy, ...]) -> str | None:
    """What is wrong with the policies of one route."""
    if len(policies) > MOST_POLICIES:
        return f"at most {MOST_POLICIES} policies"
    if len({one.id for one in policies}) < len(policies):
        return "two policies have one id"
    return next((f"policy {one.name}: {why}" for one in policies if (why := one.wrong())), None)


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


def validator(schema: Any) -> Any:
    """Of a JSON schema, with patterns of linear time and nothing fetched, or what is wrong with it."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_MEMORY), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as problem:
        return str(problem).splitlines()[0][:200]
