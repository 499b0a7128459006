"""Kinds of notification whose provider is the outside world. What it took and answered is kept there, so that it
outlives the product."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from afterlaunch.ground import clock
from afterlaunch.notify.kinds import Kind, Message
from afterlaunch.notify.rules import Outcome, judge_status

P = ParamSpec("P")
T = TypeVar("T")
Ask = Callable[[dict[str, Any]], dict[str, Any]]


class Outside(Kind):
    """`ask` is set in the product's process: it hands a message out and returns the provider's answer. `thought`: for
    how long the provider thought about its last one."""

    for_people = True
    ask: Ask
    thought = timedelta()

    def __init__(self, name: str) -> None:
        self.name = self.label = name

    def medium(self, address: str) -> str:
        return self.name

    def check(self, address: str) -> str:
        return address

    def send(self, message: Message) -> Outcome:
        answer = Outside.ask(
            {
                "kind": self.name,
                "to": message.to,
                "key": message.key,
                "topic": message.topic,
                "purpose": message.purpose,
                "severity": message.severity,
                "link": message.acknowledge_url,
                "more": [{"topic": _number(one.url), "link": one.acknowledge_url} for one in message.more],
            }
        )
        Outside.thought = timedelta(seconds=answer["took"])
        if answer["status"] is None:
            return Outcome("temporary", "no answer within 10 s")
        return judge_status(answer["status"], answer["body"], answer["retry_after"])


class Answered(Future[T]):
    """Time passes when its answer is looked at."""

    def __init__(self, at: datetime, fixed: clock.FixedClock) -> None:
        super().__init__()
        self._at, self._fixed = at, fixed

    def result(self, timeout: float | None = None) -> T:
        if self._at > self._fixed.now():
            self._fixed.set(self._at)
        return super().result(timeout)


class InOrder(Executor):
    """Performs at once what is submitted, so that the same seed plays the same. What is submitted together begins at
    one moment of virtual time, and each answer comes at its own."""

    def __init__(self, fixed: clock.FixedClock) -> None:
        self._fixed = fixed

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        Outside.thought = timedelta()
        value = fn(*args, **kwargs)
        done: Answered[T] = Answered(self._fixed.now() + Outside.thought, self._fixed)
        done.set_result(value)
        return done


KINDS: tuple[Kind, ...] = tuple(Outside(name) for name in ("email", "sms", "chat"))


def _number(url: str) -> str:
    """Of the incident behind an address."""
    return url.partition("/incidents/")[2].partition("#")[0]
