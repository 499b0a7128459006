"""One whole run: a database of its own, the days, the checks."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from afterlaunch.simulation.plan import Plan, make

if TYPE_CHECKING:
    from afterlaunch.simulation.checks import Check
    from afterlaunch.simulation.facts import Facts

OURS = ("DATA", "DATABASE_URL", "TELEMETRY_URL", "SECRET_KEY", "CLOCK", "PUBLIC_URL")
FAST = (  # the machine does not lose power, and one process at a time has the file
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536; "
    "PRAGMA foreign_keys=ON;"
)


@dataclass
class Result:
    plan: Plan
    facts: Facts
    checks: list[Check]

    @property
    def good(self) -> bool:
        return all(one.good for one in self.checks)


def simulate(
    seed: int,
    days: int,
    alerts: int,
    kills: int,
    broken: Sequence[str] = (),
    progress: Callable[[datetime], None] = lambda at: None,
) -> Result:
    """Play and check. To be called in a process that has used no database yet: the product is forked off it."""
    plan = make(seed, days, alerts, kills)
    with tempfile.TemporaryDirectory(prefix="afterlaunch-simulation-", dir=_memory()) as folder:
        _set_up(Path(folder))
        from afterlaunch.ground import clock
        from afterlaunch.simulation.checks import all_checks
        from afterlaunch.simulation.facts import Facts
        from afterlaunch.simulation.rehearsal import rehearse
        from afterlaunch.simulation.world import World

        _apart(_make_tables)
        rehearse(seed)
        world = World(plan, broken, progress)
        record = world.play()
        facts = Facts(plan, record, world.providers)
        with clock.frozen(facts.ended_at):
            result = Result(plan, facts, all_checks(facts))
        _close()
    return result


def _memory() -> str | None:
    """A file system in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def _set_up(folder: Path) -> None:
    """Django on a data folder of its own, with our providers in the place of the real ones."""
    for name in OURS:
        os.environ.pop(f"AFTERLAUNCH_{name}", None)
    os.environ["AFTERLAUNCH_DATA"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "afterlaunch.app.django_settings"
    from afterlaunch.ground.settings import reload

    reload()
    import django
    from django.conf import settings

    settings.DATABASES["default"]["OPTIONS"]["init_command"] = FAST
    settings.NOTIFICATION_KINDS = "afterlaunch.simulation.provider.KINDS"
    django.setup()
    import_module("holidays.countries")  # hundreds of files, which every start of the product would read anew
    logging.getLogger().setLevel(logging.ERROR)


def _make_tables() -> None:
    """As the models say, in one go: a new database needs none of the steps that older ones took to them."""
    from django.apps import apps
    from django.conf import settings
    from django.core.management import call_command

    settings.MIGRATION_MODULES = {one.label: None for one in apps.get_app_configs()}
    call_command("migrate", interactive=False, verbosity=0, run_syncdb=True)


def _apart(deed: Callable[[], None]) -> None:
    """In a process of its own, so that this one opens no database."""
    pid = os.fork()
    if pid == 0:
        deed()
        _close()  # the file is whole
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the database could not be made")


def _close() -> None:
    from django.db import connection

    connection.close()
