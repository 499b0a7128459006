"""`doctor`: checks set-up, stores, clocks and what is running, and says what to do."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import typer
from rich.table import Table

from afterlaunch.cli.output import answer, messages, plainly, with_data


@dataclass(frozen=True)
class Check:
    """`state`: ok, warning, failed or not assessed."""

    name: str
    state: str
    said: str
    mend: str = ""


def _data() -> Check:
    from afterlaunch.ground.settings import settings

    folder = settings().data
    free = shutil.disk_usage(folder).free / 2**30
    open_to_others = folder.stat().st_mode & 0o077
    if free < 1:
        return Check("data folder", "failed", f"{folder}: {free:.1f} GiB free", "Free some space or move --data.")
    if open_to_others:
        return Check("data folder", "warning", f"{folder} can be read by others", f"chmod 700 {folder}")
    return Check("data folder", "ok", f"{folder}, {free:.0f} GiB free")


def _database() -> Check:
    from django.db import connection

    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    return Check(
        "control plane", "ok", f"{connection.vendor}, answers in {(time.perf_counter() - began) * 1000:.1f} ms"
    )


def _duties() -> Check:
    from afterlaunch.engine.models import DutyState

    failing = list(DutyState.objects.filter(failures__gt=0))
    if failing:
        first = failing[0]
        return Check("duties", "failed", f"{first.name} fails: {first.error[:200]}", "See the server's log.")
    known = DutyState.objects.count()
    return (
        Check("duties", "ok", f"{known} known, none failing") if known else Check("duties", "not assessed", "never ran")
    )


def _reach(name: str, url: str, start: str) -> Check:
    try:
        with urllib.request.urlopen(url, timeout=3) as response:  # noqa: S310 - our own address from our settings
            body = orjson.loads(response.read() or b"{}")
        return Check(name, "ok", f"{url} {body.get('status', 'answers')}")
    except urllib.error.HTTPError as problem:
        return Check(name, "failed", f"{url} answers {problem.code}", "See its log.")
    except OSError as problem:
        return Check(name, "not assessed", f"{url}: {getattr(problem, 'reason', problem)}", start)


def _people() -> Check:
    from afterlaunch.accounts.models import User

    people = User.objects.filter(is_active=True).count()
    if people:
        return Check("people", "ok", f"{people} can sign in")
    return Check("people", "warning", "nobody has signed in yet", "afterlaunch sign-in")


def _growth() -> Check:
    """The store belongs to the running server: what it noted last is asked, and the file looked at."""
    from afterlaunch.ground import clock
    from afterlaunch.ground.settings import settings
    from afterlaunch.telemetry.keeping.disk import LOOK_BACK, forecast, room_of
    from afterlaunch.telemetry.keeping.models import StoreSize

    rows = list(StoreSize.objects.filter(at__gte=clock.now() - LOOK_BACK).values_list("at", "used"))
    if not rows:
        return Check("telemetry disk", "not assessed", "no size was noted yet", "Start it: afterlaunch up")
    chosen, free = settings(), shutil.disk_usage(settings().data).free
    budget, reserve = int(chosen.number("DISK_BUDGET_GB") * 2**30), int(chosen.number("DISK_RESERVE_MB") * 2**20)
    told = forecast(room_of(rows[-1][1], 0, budget, free, reserve), rows)
    state = {"breach": "failed", "not_assessed": "not assessed"}.get(told.state, told.state)
    mend = "" if state == "ok" else "Keep less (docs/keeping.md), or give it more room."
    return Check("telemetry disk", state, told.reason, mend)


def _paging() -> Check:
    """Whether what should have been sent was sent, and whether somebody outside would notice if not."""
    from afterlaunch.ground import clock
    from afterlaunch.notify.audit import health

    told = health(clock.now())
    if told.clean_age is None:
        return Check("paging", "not assessed", "no clean audit yet", "Start it: afterlaunch up")
    said = f"last clean audit {told.clean_age:.0f} s ago, {told.repairs_today} repairs in 24 hours"
    if told.state == "breach":
        return Check("paging", "failed", said, "See Settings, Deliveries, and the duty incidents.audit_paging.")
    if not told.watched:
        return Check("paging", "warning", f"{said}; nobody outside watches", "Set AFTERLAUNCH_DEADMAN_URL.")
    if told.state == "warning":
        last = told.newest.ping if told.newest else ""
        return Check("paging", "warning", f"{said}; the watch outside: {last or 'not called yet'}", "Mend its address.")
    return Check("paging", "ok", said)


def _server() -> Check:
    from afterlaunch.ground.settings import settings

    return _reach("server", f"http://{settings().text('HOST')}:{settings()['PORT']}/readyz", "Start it: afterlaunch up")


def _gateway() -> Check:
    from afterlaunch.ground.settings import settings

    where = f"http://{settings().text('GATEWAY_HOST')}:{settings()['GATEWAY_PORT']}/healthz"
    return _reach("gateway", where, "Start it: afterlaunch up")


CHECKS: tuple[Callable[[], Check], ...] = (_data, _database, _people, _duties, _paging, _growth, _server, _gateway)
COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "not assessed": "dim"}


@plainly
def doctor(
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
) -> None:
    """Check the installation and say what to do. Exit 1 when something fails."""
    with_data(data)
    checks = [check() for check in CHECKS]
    if json:
        answer([vars(check) for check in checks])
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("check", "state", "found", "to do"):
            table.add_column(heading)
        for check in checks:
            state = f"[{COLOURS[check.state]}]{check.state}[/]"
            table.add_row(check.name, state, check.said, check.mend)
        messages.print(table)
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)
