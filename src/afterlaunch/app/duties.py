"""The list of duties, by name, in the order in which a cycle runs them."""

from __future__ import annotations

from afterlaunch.engine.duties import Duty

DUTIES: tuple[Duty, ...] = ()
