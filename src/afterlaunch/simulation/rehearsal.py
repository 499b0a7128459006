"""Some hours played in this process, on a database of their own, before the product is forked off it.

Each life of the product so begins with its modules read and its statements composed. It has no row of this play, and
opens a connection of its own; what is killed is a process as ever.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection

from afterlaunch.ground import clock
from afterlaunch.simulation.child import Answer
from afterlaunch.simulation.plan import Plan, make
from afterlaunch.simulation.product import Product
from afterlaunch.simulation.world import World

ALERTS = 40  # of one day


class Here:
    """The product in this process. `answer` speaks for the providers."""

    def __init__(self, plan: Plan, broken: Sequence[str], answer: Answer) -> None:
        self._answer = answer
        self._answered: dict[str, Any] = {}
        self._product = Product(self, plan, broken)

    def ask(self, do: str, at: datetime, kill: tuple[str, int] | None = None, **given: Any) -> dict[str, Any]:
        if "rare" in given:
            given["rare"] = False  # what is kept outside of the database, too
        return self._product.perform({"do": do, "at": at.isoformat(), "kill": kill, "with": given})

    def stop(self) -> None:
        connection.close()

    # The product's line to the world

    def tell(self, document: dict[str, Any]) -> None:
        self._answered = self._answer(document["send"])

    def hear(self) -> dict[str, Any]:
        return self._answered


def rehearse(seed: int) -> None:
    """The database has its tables, and is left as it is."""
    real = Path(str(connection.settings_dict["NAME"]))
    scratch = real.with_name("rehearsal.sqlite3")
    shutil.copy(real, scratch)
    connection.settings_dict["NAME"] = str(scratch)
    plan = make(seed, 1, ALERTS, 0)
    try:
        with clock.frozen(plan.start):
            World(plan, begin=Here).play()
    finally:
        connection.close()
        connection.settings_dict["NAME"] = str(real)
        scratch.unlink()
    gc.collect()
