"""Starting the product as a fork of this process, speaking with it, and finding out how it ended."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from afterlaunch.simulation import product
from afterlaunch.simulation.plan import Plan
from afterlaunch.simulation.wire import Ended, Wire

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Killed(Exception):
    """The product died in the middle of it. `where`: its last words."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


class Broken(Exception):
    """The product ended with an error of its own: nothing that was planned."""


class Product(Protocol):
    """A life of it, as the world sees it."""

    def ask(self, do: str, at: datetime, kill: tuple[str, int] | None = None, **given: Any) -> dict[str, Any]: ...

    def stop(self) -> None: ...


class Child:
    """`answer` speaks for the providers."""

    def __init__(self, plan: Plan, broken: Sequence[str], answer: Answer) -> None:
        self._answer = answer
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            product.run(Wire(theirs), plan, broken)
        theirs.close()
        self._wire = Wire(ours)

    def ask(self, do: str, at: datetime, kill: tuple[str, int] | None = None, **given: Any) -> dict[str, Any]:
        """Raises Killed, Broken."""
        where = ""
        try:
            self._wire.tell({"do": do, "at": at.isoformat(), "kill": kill, "with": given})
            while True:
                told = self._wire.hear()
                if "done" in told:
                    return told
                if "dying" in told:
                    where = told["dying"]
                else:
                    self._wire.tell(self._answer(told["send"]))
        except Ended:
            self._bury(do, where)
            raise Killed(where) from None

    def stop(self) -> None:
        self._wire.close()
        _, status = os.waitpid(self._pid, 0)
        if status:
            raise Broken(f"the product ended with status {status}")

    def _bury(self, do: str, where: str) -> None:
        self._wire.close()
        _, status = os.waitpid(self._pid, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL or not where:
            raise Broken(f"the product ended by itself during {do!r}: status {status}; see above")
