"""Tokens of a call whose usage its provider never told, from what passed: always marked as an estimate.

Input: bytes of the request times tokens per byte. Output: events with content times tokens per event, else bytes of the
answer. Both ratios are learned, for each model and tenant, from calls whose usage is exact; until then they begin with
START.
"""

from __future__ import annotations

from collections import OrderedDict

from afterlaunch.gateway.usage import Tokens

START_INPUT = 1 / 4.0  # tokens per byte of a request's JSON
START_OUTPUT = 1.0  # tokens per event of a stream
DECAY = 0.98  # of what was learned, with each call
MOST = 4096  # pairs of model and tenant
LEARNED = 5  # calls before what is learned is used

Who = tuple[str, str]


class _Ratio:
    __slots__ = ("calls", "of", "tokens")

    def __init__(self) -> None:
        self.calls, self.tokens, self.of = 0, 0.0, 0.0

    def learn(self, tokens: int, of: int) -> None:
        self.calls += 1
        self.tokens = self.tokens * DECAY + tokens
        self.of = self.of * DECAY + of

    def value(self, start: float) -> float:
        return self.tokens / self.of if self.calls >= LEARNED and self.of else start


class Estimator:
    def __init__(self) -> None:
        self._of: OrderedDict[Who, tuple[_Ratio, _Ratio]] = OrderedDict()
        self._last: Who | None = None  # asked for most recently
        self._found = (_Ratio(), _Ratio())

    def learn(self, model: str, tenant: str, sent: int, events: int, tokens: Tokens) -> None:
        """From an exact call; `sent`: bytes of the request, `events`: of the stream, 0 when it was none."""
        who = (model, tenant)
        asked, answered = self._found if who == self._last else self._ratios(who)
        if tokens.input and sent:
            asked.learn(tokens.input, sent)
        if tokens.output and events:
            answered.learn(tokens.output, events)

    def estimate(self, model: str, tenant: str, sent: int, events: int) -> tuple[Tokens, str]:
        """Tokens, and how: "learned" or "start"."""
        asked, answered = self._ratios((model, tenant))
        method = "learned" if asked.calls >= LEARNED and answered.calls >= LEARNED else "start"
        given = round(sent * asked.value(START_INPUT))
        return Tokens(given, output=round(events * answered.value(START_OUTPUT))), method

    def asked(self, model: str, tenant: str, sent: int) -> int:
        """Tokens of a request."""
        who = (model, tenant)
        found = self._found if who == self._last else self._ratios(who)
        return round(sent * found[0].value(START_INPUT))

    def _ratios(self, who: Who) -> tuple[_Ratio, _Ratio]:
        found = self._of.get(who)
        if found is None:
            found = self._of[who] = _Ratio(), _Ratio()
            if len(self._of) > MOST:
                self._of.popitem(last=False)
        else:
            self._of.move_to_end(who)
        self._last, self._found = who, found
        return found
