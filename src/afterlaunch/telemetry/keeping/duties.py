"""What is forgotten, and how large the store is, by the clock."""

from __future__ import annotations

import logging
from datetime import datetime

from afterlaunch.telemetry.keeping.actions import rules
from afterlaunch.telemetry.keeping.erasures import work
from afterlaunch.telemetry.keeping.forgetting import forget
from afterlaunch.telemetry.keeping.storage import note_size
from afterlaunch.telemetry.store import current

log = logging.getLogger(__name__)


def forget_old(now: datetime) -> None:
    """What is older than it may be goes; what was begun goes on at the next run."""
    if gone := forget(current(), rules(), now):
        log.info("forgotten: %s", gone)


def erase_asked(now: datetime) -> None:
    """Who is to be erased goes; what was begun goes on at the next run."""
    work(now)


def weigh(now: datetime) -> None:
    note_size(now)
