"""What an answer goes through before it reaches the caller: held back until it is checked, watched, or only copied.

`Whole` reads the whole answer. While a policy may stop or change it, nothing is passed on before that; otherwise bytes
pass at once and what is found is counted. `Watch` reads a stream as it comes and cuts it at a match: what was sent
before stays sent, but for the last `window` characters, which are held back. `Restoring` puts back what the request's
redaction took, behind them.
"""

from __future__ import annotations

from afterlaunch.gateway.guarding.gate import Gate
from afterlaunch.gateway.guarding.judging import Judge
from afterlaunch.gateway.guarding.restoring import Restoring
from afterlaunch.gateway.guarding.watching import Watch
from afterlaunch.gateway.guarding.whole import Whole
from afterlaunch.gateway.protocols import Protocol as Wire
from afterlaunch.gateway.request import Asked


def gate_of(judge: Judge, asked: Asked, status: int, kind: str, encoding: str) -> Gate | None:
    """None where nothing is checked: errors of the provider and what a GET looks up are no answers of a model."""
    if status >= 300 or asked.method != "POST":
        return None
    streamed = kind.startswith("text/event-stream")
    gate = _checking(judge, asked.protocol, streamed, encoding) if judge.answered else None
    return Restoring(judge, asked.protocol, streamed, encoding, gate) if judge.placeholders else gate


def _checking(judge: Judge, wire: Wire, streamed: bool, encoding: str) -> Gate:
    rules = judge.answered
    stopping = [one for one in rules if one.policy.stops]
    if not stopping or not streamed or any(one.policy.stream == "buffer" for one in stopping):
        judge.trail.buffered = bool(stopping)
        return Whole(judge, rules, wire, streamed, encoding, bool(stopping))
    others = tuple(one for one in rules if one not in stopping)
    return Watch(judge, tuple(stopping), others, wire, encoding)
