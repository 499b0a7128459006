"""50,000 schedules: what a cycle pays where nothing is due, where some are, and to compute every next shift.

    PYTHONPATH=src python benchmarks/schedules.py [SCHEDULES]

On SQLite in a folder of its own. A cycle may take 5 s on two cores.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

os.environ["AFTERLAUNCH_DATA"] = tempfile.mkdtemp(prefix="schedules-")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")

import django

django.setup()

from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.ground import clock
from afterlaunch.oncall import final, history
from afterlaunch.oncall.models import Schedule, ScheduleVersion
from afterlaunch.oncall.schedule import loaded

AT = datetime(2026, 3, 3, 12, 30, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
KINDS = (("weekly", 1), ("daily", 1), ("hourly", 12), ("monthly", 1))


def fill(many: int) -> None:
    call_command("migrate", verbosity=0)
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    people = [User.objects.create_user(f"p{n}@acme.example", f"Person {n}") for n in range(6)]
    for person in people:
        Grant.objects.create(user=person, role="responder", client=client)
    keys = [person.pk for person in people]
    with transaction.atomic():
        rows = Schedule.objects.bulk_create(
            [
                Schedule(client=client, name=f"s{n}", zone=ZONES[n % 5], created_at=AT, recorded_until=AT, next_at=AT,
                         gaps_at=AT + timedelta(days=1))
                for n in range(many)
            ],
            batch_size=2000,
        )  # fmt: skip
        ScheduleVersion.objects.bulk_create(
            [
                ScheduleVersion(schedule=row, number=1, valid_from=AT, created_at=AT, created_by="x", layers=[
                    {"name": "main", "priority": 0, "timeZone": ZONES[n % 5], "windows": [], "rotation": {
                        "type": KINDS[n % 4][0], "length": KINDS[n % 4][1], "start": "2026-01-05T09:00",
                        "advanceOn": "calendar", "members": [[keys[(n + k) % 6]] for k in range(3)]}}])
                for n, row in enumerate(rows)
            ],
            batch_size=2000,
        )  # fmt: skip


def timed(what: str, run: object) -> float:
    began, used = time.monotonic(), time.process_time()
    run()  # type: ignore[operator]
    took, used = time.monotonic() - began, time.process_time() - used
    print(f"{what}: {took:.3f} s, {used:.3f} s of CPU", flush=True)
    return took


def next_shifts(many: int) -> None:
    """Load every schedule and compute when it turns next, and who has it then."""
    done = 0
    for first in range(0, many, 2000):
        rows = list(Schedule.objects.order_by("pk")[first : first + 2000])
        for rules in loaded(rows, AT).values():
            cut = final.next_cut(rules, AT)
            assert cut is not None and final.on_call_at(rules, cut)
            done += 1
    assert done == many


def main(many: int) -> None:
    timed(f"filling {many:,} schedules", lambda: fill(many))
    with clock.frozen(AT):
        timed("every next shift, computed from the store", lambda: next_shifts(many))
        began, used, cycles = time.monotonic(), time.process_time(), 0
        while Schedule.objects.filter(next_at__lte=AT).exists():
            cycle = time.monotonic()
            history.hand_over(AT)
            cycles += 1
            if cycles == 1:
                print(f"all due at once, the first cycle: {time.monotonic() - cycle:.3f} s", flush=True)
        took, used = time.monotonic() - began, time.process_time() - used
        print(f"all due at once, until the last: {took:.3f} s, {used:.3f} s of CPU in {cycles} cycles", flush=True)
        later = AT + timedelta(seconds=5)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            timed("a cycle in which nothing is due", lambda: history.hand_over(later))
        print(f"  {len(asked)} statements")
        some = AT + timedelta(minutes=1)
        Schedule.objects.filter(pk__lte=100).update(next_at=some)
        timed("a cycle in which 100 are due", lambda: history.hand_over(some))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
