"""An engine cycle over many open incidents and schedules, and the way from a breach to a page.

    python benchmarks/engine.py [--incidents 10000] [--schedules 50000] [--due 1000] [--postgres]

A database of its own with open incidents (each with its clock, its escalation, its group and its alert that fires) and
schedules with a layer each. Then, with the real duties of paging: a cycle in which nothing is due, one in which so many
things are due (escalations, clocks, groups, handoffs, a quarter each), and the floor: one question that counts the same
tables. At last a breach is written as a judge writes it, and the real engine runs until a webhook on loopback has the
page. Prints one JSON line each, with seconds of the wall clock and of this process's CPU; `of_bar` is the share of the
bar that the wall clock took, `cpu_of_bar` the CPU: on a machine that others use only the latter says something of the
product. Exit 1 when a cycle took more than 5 s or the page more than 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
CYCLE_BAR, PAGE_BAR = 5.0, 10.0
ROOMS = ("alerts", "incidents", "sla", "oncall", "notify", "replies", "evidence")
TABLES = (
    "incidents_incident", "sla_clock", "oncall_escalation", "oncall_schedule", "oncall_scheduleversion",
    "alerts_group", "alerts_alert",
)  # fmt: skip
SYSTEMS, PEOPLE = 200, 50
FAR = timedelta(hours=8)


class Provider:
    """A webhook that says when it was called."""

    def __init__(self) -> None:
        outer = self
        self.called = threading.Event()

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()
                outer.called.set()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/page"


class Watch:
    """Wall clock and CPU since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        return time.perf_counter() - self._wall

    def told(self, what: str, bar: float, **figures: Any) -> float:
        """The share of the bar that the wall clock took."""
        wall, cpu = self.wall, time.process_time() - self._cpu
        told(what, seconds=round(wall, 3), cpu=round(cpu, 3), of_bar=round(wall / bar, 3),
             cpu_of_bar=round(cpu / bar, 3), **figures)  # fmt: skip
        return wall / bar


def told(what: str, **figures: Any) -> None:
    print(json.dumps({"what": what, **figures}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--schedules", type=int, default=50_000)
    parser.add_argument("--due", type=int, default=1000)
    parser.add_argument("--postgres", action="store_true", help="On a real PostgreSQL instead of SQLite.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, database(given.postgres) as url:
        os.environ |= {"AFTERLAUNCH_DATA": folder, "AFTERLAUNCH_DATABASE_URL": url, "AFTERLAUNCH_LOG_LEVEL": "ERROR"}
        os.environ |= {"AFTERLAUNCH_OUTBOUND_ALLOW": "127.0.0.0/8"}
        from afterlaunch.app.server import prepare

        prepare(lambda text: None)
        return measure(given)


@contextmanager
def database(postgres: bool) -> Iterator[str]:
    from tests.tools import postgres as tool

    with tool.running() if postgres else nullcontext("") as url:
        yield url


def measure(given: argparse.Namespace) -> int:
    from afterlaunch.app.duties import DUTIES
    from afterlaunch.engine.duties import cycle

    duties = [one for one in DUTIES if one.name.partition(".")[0] in ROOMS and not one.apart]
    provider = Provider()
    began = time.perf_counter()
    fill(given.incidents, given.schedules, provider.url)
    told("filled", seconds=round(time.perf_counter() - began, 1))
    rewind()
    watch = Watch()
    cycle(duties, "benchmark:1")  # what every first cycle does once
    watch.told("cycle, the first", CYCLE_BAR, **slowest(duties))
    shares = []
    for name in ("nothing due", f"{given.due} due"):
        rewind()
        if name != "nothing due":
            make_due(given.due)
        watch = Watch()
        cycle(duties, "benchmark:1")
        shares.append(watch.told(f"cycle, {name}", CYCLE_BAR, **slowest(duties)))
    shares.append(worked_off(duties))
    floor = counted()
    told("floor: one question that counts the tables", seconds=round(floor, 4))
    shares.append(breach_to_page(provider))
    told("bars", cycle=CYCLE_BAR, page=PAGE_BAR, met=max(shares) <= 1)
    return 0 if max(shares) <= 1 else 1


def fill(incidents: int, schedules: int, url: str) -> None:
    from django.db import transaction

    from afterlaunch.accounts.models import Client, Grant, User
    from afterlaunch.estate.models import System
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.notify.models import ContactMethod
    from afterlaunch.oncall.actions import make_schedule
    from afterlaunch.oncall.models import Schedule, ScheduleVersion

    now = clock.now()
    with transaction.atomic():
        client = Client.objects.create(slug="acme", name="Acme", created_at=now)
        people = User.objects.bulk_create(User(email=f"p{n}@acme.test", name=f"Person {n}") for n in range(PEOPLE))
        people = list(User.objects.filter(email__endswith="@acme.test").order_by("pk"))
        Grant.objects.bulk_create(Grant(user=one, role="responder", client=client) for one in people)
        ContactMethod.objects.bulk_create(
            ContactMethod(
                user=one, kind="webhook", address=f"{url}/{one.pk}", secret="whsec_" + "c2VjcmV0" * 4,
                created_at=now, verified_at=now,
            )
            for one in people
        )  # fmt: skip
        System.objects.bulk_create(System(client=client, key=f"s{n}", name=f"System {n}") for n in range(SYSTEMS))
        systems = list(System.objects.filter(client=client).order_by("pk"))
        turning = {
            "type": "weekly", "length": 1, "start": "2026-01-05T09:00", "members": [one.pk for one in people[:4]],
        }  # fmt: skip
        layers = [{"name": "weekly", "timeZone": "Europe/Berlin", "rotation": turning}]
        first = make_schedule(automation("benchmark"), client, "schedule 0", "Europe/Berlin", layers)
        stored = first.versions.get().layers
        Schedule.objects.bulk_create(
            (
                Schedule(
                    client=client, name=f"schedule {n}", zone="Europe/Berlin", created_at=now, recorded_until=now,
                    next_at=now + FAR, gaps_at=now + FAR,
                )
                for n in range(1, schedules)
            ),
            batch_size=2000,
        )  # fmt: skip
        keys = Schedule.objects.exclude(pk=first.pk).values_list("pk", flat=True)
        ScheduleVersion.objects.bulk_create(
            (
                ScheduleVersion(
                    schedule_id=pk,
                    number=1,
                    valid_from=now - FAR,
                    layers=stored,
                    created_at=now,
                    created_by="benchmark",
                )
                for pk in keys
            ),
            batch_size=2000,
        )
        open_incidents(incidents, systems)


def open_incidents(count: int, systems: list[Any]) -> None:
    """As the product leaves them: a third acknowledged, the others between two steps of their policy."""
    from afterlaunch.alerts.models import Alert, Group
    from afterlaunch.calendars.actions import calendar_of
    from afterlaunch.calendars.documents import frozen
    from afterlaunch.ground import clock
    from afterlaunch.incidents.models import Incident, TimelineEntry
    from afterlaunch.oncall.models import Escalation
    from afterlaunch.sla.models import Clock
    from afterlaunch.sla.targets import MATRIX, SHIPPED

    now = clock.now()
    began = now - timedelta(minutes=3)
    hours, target = frozen(calendar_of(systems[0].client)), MATRIX["standard"]["P3"].document()
    Incident.objects.bulk_create(
        (
            Incident(
                system=systems[n % SYSTEMS], environment="prod", title=f"Trouble {n}", severity="P3",
                peak_severity="P3", phase="triage", fingerprint=f"benchmark/{n}", detected_at=began,
                acknowledged_at=now if n % 3 == 0 else None,
            )
            for n in range(count)
        ),
        batch_size=2000,
    )  # fmt: skip
    rows = list(Incident.objects.select_related("system").order_by("pk"))
    TimelineEntry.objects.bulk_create(
        (
            TimelineEntry(
                incident=one, sequence=1, at=began, kind="detection", text=one.title, actor="alerts",
                actor_kind="automation", hash="0" * 64,
            )
            for one in rows
        ),
        batch_size=2000,
    )  # fmt: skip
    Clock.objects.bulk_create(
        (
            Clock(
                topic=one.topic, client_id=one.system.client_id, system=one.system, kind="response", tier="standard",
                severity="P3", policy=SHIPPED, target=target, calendar=hours, started_at=began, promised=now + FAR,
                deadline=now + FAR, reason="batch_slot", met_at=one.acknowledged_at,
                next_at=None if one.acknowledged_at else now + FAR,
            )
            for one in rows
        ),
        batch_size=1000,
    )  # fmt: skip
    facts = {"type": "incident.opened", "title": "Trouble", "severity": "P3", "lines": []}
    Escalation.objects.bulk_create(
        (
            Escalation(
                topic=one.topic, system=one.system, facts=facts,
                state="acknowledged" if one.acknowledged_at else "live", step=1, turn=1, paged=1, started_at=began,
                next_at=None if one.acknowledged_at else now + FAR,
            )
            for one in rows
        ),
        batch_size=2000,
    )  # fmt: skip
    Group.objects.bulk_create(
        (
            Group(
                system=one.system, environment="prod", source="benchmark", key=f"benchmark-{one.pk}", created_at=began,
                next_at=now + FAR, sent_at=now, incident=one,
            )
            for one in rows
        ),
        batch_size=2000,
    )  # fmt: skip
    groups = dict(Group.objects.values_list("incident_id", "pk"))
    Alert.objects.bulk_create(
        (
            Alert(
                system=one.system, environment="prod", group_id=groups[one.pk], incident=one, source="benchmark",
                fingerprint=f"benchmark-{one.pk}", name="Down", explanation="It is down.", severity="P3",
                started_at=began, fired_at=began, told_at=began,
            )
            for one in rows
        ),
        batch_size=2000,
    )  # fmt: skip


def worked_off(duties: list[Any]) -> float:
    """Cycles until nothing is due any more. Returns the share of the bar that the longest of them took."""
    from afterlaunch.engine.duties import cycle, question_of
    from afterlaunch.ground import clock

    whole, longest, cycles = Watch(), 0.0, 0
    waits = question_of(tuple(one for one in duties if one.rows))
    while min(waits.ask().values()) <= clock.now() and cycles < 200:
        rewind()
        watch = Watch()
        cycle(duties, "benchmark:1")
        longest, cycles = max(longest, watch.wall), cycles + 1
    whole.told("the rest, until nothing is due", CYCLE_BAR * max(cycles, 1), cycles=cycles, longest=round(longest, 3))
    return longest / CYCLE_BAR


def rewind() -> None:
    """Every duty is due again."""
    from afterlaunch.engine.models import DutyState

    DutyState.objects.update(next_due=None, seconds=0.0, runs=0)


def make_due(count: int) -> None:
    """A quarter each: escalations, clocks, groups, handoffs."""
    from afterlaunch.alerts.models import Group
    from afterlaunch.ground import clock
    from afterlaunch.oncall.models import Escalation, Schedule
    from afterlaunch.sla.models import Clock

    now = clock.now()
    for rows in (
        Escalation.objects.filter(state="live"),
        Clock.objects.filter(next_at__isnull=False),
        Group.objects.all(),
        Schedule.objects.all(),
    ):
        some = list(rows.order_by("pk").values_list("pk", flat=True)[: count // 4])
        rows.model._default_manager.filter(pk__in=some).update(next_at=now)


def slowest(duties: list[Any]) -> dict[str, Any]:
    """The three duties that took longest, and those that failed."""
    from afterlaunch.engine.models import DutyState

    rows = list(DutyState.objects.filter(name__in=[one.name for one in duties]))
    rows.sort(key=lambda row: -row.seconds)
    return {
        "slowest": {row.name: round(row.seconds, 3) for row in rows[:3]},
        "failed": [row.name for row in rows if row.error],
    }


def counted() -> float:
    from django.db import connection

    question = "select " + ", ".join(f"(select count(*) from {name})" for name in TABLES)
    with connection.cursor() as cursor:
        best = 60.0
        for _ in range(3):
            began = time.perf_counter()
            cursor.execute(question)
            cursor.fetchone()
            best = min(best, time.perf_counter() - began)
    return best


def breach_to_page(provider: Provider) -> float:
    """From the judge's cycle, in which the breach has held long enough, until the provider has the page; the judge
    looks every half minute, which is not counted. Returns the share of the bar."""
    from dataclasses import replace

    from afterlaunch.accounts.models import User
    from afterlaunch.app.duties import DUTIES
    from afterlaunch.app.judges import JUDGES
    from afterlaunch.engine.duties import Engine
    from afterlaunch.ground import clock
    from afterlaunch.notify.models import Page
    from afterlaunch.verdicts.models import Verdict
    from afterlaunch.verdicts.watch import write
    from afterlaunch.verdicts.words import Finding, Scope, Status

    Page.objects.filter(state="pending").update(state="withdrawn")  # of the cycle before
    judge, scope = JUDGES[0], Scope("acme", "s7", "prod")
    finding = Finding(judge.name, Status.BREACH, "above_threshold", "31 % of calls failed.", 0.31, 0.05, "share", 100)
    began: list[Watch] = []

    def watch(now: Any) -> None:
        if not began:
            began.append(Watch())
            write([(scope, judge, finding)], now - timedelta(minutes=3), [])

    assert User.objects.exists() and not Verdict.objects.exists()
    chosen = [one for one in DUTIES if one.name.partition(".")[0] in (*ROOMS, "verdicts")]
    engine = Engine(
        [replace(one, run=watch) if one.name == "verdicts.watch" else one for one in chosen], "benchmark:2", 5.0
    )
    provider.called.clear()
    rewind()
    engine.start()
    arrived = provider.called.wait(60)
    share = began[0].told("breach to page at the provider", PAGE_BAR, arrived=arrived) if began else 60.0
    engine.stop()
    assert clock.now() and Verdict.objects.count() == 1
    return share if arrived else 60.0


if __name__ == "__main__":
    raise SystemExit(main())
