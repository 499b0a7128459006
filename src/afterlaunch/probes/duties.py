from __future__ import annotations

from datetime import datetime
from functools import cache

from afterlaunch.ground.settings import settings
from afterlaunch.probes import heartbeats, judging, presence, settling
from afterlaunch.probes.runner import Runner


@cache
def _runner() -> Runner:
    """The process's own."""
    return Runner(settings().text("LOCATION"))


def running() -> str:
    """The name of the duty that tries: one for each location, so that each has a lock of its own."""
    location = settings().text("LOCATION")
    return "probes.run" if location == "home" else f"probes.run.{location}"


def run_probes(now: datetime) -> None:
    """Try what is due here; settle what has ended."""
    _runner().run(now)


def judge_probes(now: datetime) -> None:
    """What time alone alters: nobody could try it, its parents are up again, somebody is told again."""
    judging.look(now)


def look_at_heartbeats(now: datetime) -> None:
    """Who is silent past their grace is down, with a page."""
    presence.note(now)
    heartbeats.look(now)


def tidy(now: datetime) -> None:
    """Forget old tries and counts."""
    settling.tidy(now)
