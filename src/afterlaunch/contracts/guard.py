"""Guard policies: what of a route's calls is let through, held back, changed or counted. Part of the snapshot; made
from rows, where a policy is JSON of the same names.

The policies of a route are asked in their order. `allow`, `deny` and `hold` end the asking where they match, `redact`
and `flag` go on. Regular expressions are those of RE2, which takes time linear in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from afterlaunch.contracts.guard_checks import SPANS, Check

WHERE = ("request", "tool-result", "response", "tool-call")
ASKED = WHERE[:2]  # before anything is sent
ACTIONS = ("allow", "deny", "redact", "hold", "flag")
MODES = ("enforce", "observe")
FAIL = ("closed", "open")
STREAMS = ("", "buffer", "watch")
FALLBACKS = ("deny", "allow")
BYPASSED = ("tenant", "agent", "key")
MOST_POLICIES = 50
WIDEST_WINDOW = 4_096


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
    `restore`, of one that redacts what is asked: placeholders stand for it, and are put back in the answer.
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
    restore: bool = False
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
        if check.kind == "arguments" and self.where not in ("request", "tool-call"):
            return "arguments are those of a tool-call, or, in the request, of the model's last calls that it tells"
        if check.kind == "schema" and self.where not in ("response", "tool-call"):
            return "a schema is of the answer or of the arguments of a tool-call"
        if self.action == "redact" and (check.kind not in SPANS or check.must_match):
            return f"redact goes with {', '.join(SPANS)}: the others do not say what to replace"
        if self.restore and (self.action != "redact" or self.where not in ASKED):
            return "restore goes with redact of a request or a tool-result: an answer is not sent to be put back"
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
