"""The product, in a process of its own: it does what the world tells it, and says when it wants to be woken."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from afterlaunch.accounts.actions import actor_of_user
from afterlaunch.alerts.intake import Incoming, take
from afterlaunch.alerts.matchers import matcher
from afterlaunch.alerts.models import Integration
from afterlaunch.alerts.silences import silence_matching
from afterlaunch.app.duties import DUTIES
from afterlaunch.engine.duties import Duty, cycle, free_locks_of_the_dead, perform_if_due, question_of
from afterlaunch.engine.models import DutyState
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.incidents.actions import acknowledge, resolve
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.signed import acknowledge_by_link, open_link
from afterlaunch.notify.duties import send_pages
from afterlaunch.simulation import faults, house
from afterlaunch.simulation.kills import Killer
from afterlaunch.simulation.plan import Plan
from afterlaunch.simulation.provider import InOrder, Outside
from afterlaunch.simulation.wire import Ended, Line, Wire

ROOMS = ("alerts", "incidents", "sla", "oncall", "notify", "replies", "evidence")
LEFT_OUT = ("alerts.work", "oncall.calendars")  # what judges say, and calendars of others: there are none here
RARE = ("evidence.checkpoint",)  # signing looks at the whole log: once a day is enough
HOLDER = "simulation"


class Product:
    def __init__(self, wire: Line, plan: Plan, broken: Sequence[str]) -> None:
        self._wire, self._plan, self._broken = wire, plan, frozenset(broken)
        self.clock = clock.FixedClock(plan.start)
        clock.use(self.clock)
        self._killer = Killer(lambda where: wire.tell({"dying": where}))
        Outside.ask = self._ask
        listed = [one for one in DUTIES if one.name.partition(".")[0] in ROOMS and one.name not in LEFT_OUT]
        self._duties = [replace(one, run=self._run(one)) for one in listed]
        self._question = question_of(tuple(self._duties))
        self._periods = {one.name: timedelta(seconds=one.period) for one in listed}
        self._systems: dict[str, System] = {}
        self._integrations: dict[str, Integration] = {}
        self._rows: dict[str, datetime] = {}

    def _run(self, duty: Duty) -> Callable[[datetime], object]:
        def run(now: datetime) -> object:
            faults.fails(self._broken, duty.name)
            if duty.name == "notify.send_pages":
                send_pages(now, InOrder(self.clock))
                return None
            return duty.run(now)

        return run

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._killer.message("unsent")
        self._wire.tell({"send": {**message, "at": clock.now().isoformat()}})
        answer = self._wire.hear()
        self._killer.message("answered")
        return answer

    def serve(self) -> None:
        """Until the world hangs up."""
        connection.execute_wrappers.append(self._killer)
        while True:
            self._wire.tell(self.perform(self._wire.hear()))

    def perform(self, told: dict[str, Any]) -> dict[str, Any]:
        """What was done, when it was over, and when the product wants to be woken."""
        self.clock.set(datetime.fromisoformat(told["at"]))
        if kill := told.get("kill"):
            self._killer.arm(kill[0], kill[1])
        done: dict[str, Any] = getattr(self, f"do_{told['do']}")(**told.get("with", {})) or {}
        faults.commit(self._broken)
        return {"done": done, "now": clock.now().isoformat(), "next": self._next()}

    # What the world may ask for

    def do_furnish(self) -> None:
        house.furnish(self._plan)

    def do_wake(self) -> None:
        """After a start: what a dead process held is free again."""
        free_locks_of_the_dead(self._holder)
        faults.at_start(self._broken)

    def do_cycle(self, whole: bool = False, rare: bool = False) -> dict[str, Any]:
        """Perform the duties that are due: all of them (`whole`), or those that have a row that is due."""
        if whole:
            chosen = [one for one in self._duties if rare or one.name not in RARE]
            cycle(chosen, self._holder)
            for duty in chosen:
                if duty.apart:
                    perform_if_due(duty, self._holder, clock.now())
        else:
            first = self._rows  # asked at the end of what it did last: only time has passed since
            for duty in self._duties:
                if duty.name in first and first[duty.name] <= clock.now():
                    perform_if_due(duty, self._holder, clock.now(), first)
        failed = DutyState.objects.exclude(error="") if whole else ()
        return {"failed": [f"{row.name}: {row.error}" for row in failed]}

    def do_take(self, client: str, tellings: list[list[str]]) -> dict[str, Any]:
        """Alerts as a tool tells them: [system, name, instance, status, severity, started at]."""
        integration = self._integrations.get(client) or Integration.objects.get(public_id=f"sim-{client}")
        self._integrations[client] = integration
        incoming = [
            Incoming(
                system=self._system(key),
                environment="prod",
                name=name,
                source="generic",
                status="firing" if status == "firing" else "resolved",
                severity=severity or None,
                labels={"alertname": name, "system": key, "instance": instance},
                summary=f"{name} of {instance}",
                starts_at=datetime.fromisoformat(started),
                ends_at=clock.now() if status == "resolved" else None,
                integration=integration,
            )
            for key, name, instance, status, severity, started in tellings
        ]
        if faults.swallows(self._broken):
            return {"taken": [[None, "opens"] for _ in incoming]}
        taken = take(house.FIRST, incoming, clock.now())
        return {"taken": [[one.alert, one.reason] for one in taken]}

    def do_look(self, token: str) -> dict[str, Any]:
        """A mail scanner or a preview follows a link."""
        try:
            usable = open_link(token).usable
            if "believe-previews" in self._broken and usable == "yes":
                acknowledge_by_link(token, "192.0.2.8", "a preview")
        except AfterlaunchError as problem:
            return {"refused": problem.message}
        return {"usable": usable}

    def do_acknowledge(self, token: str) -> dict[str, Any]:
        try:
            incident = acknowledge_by_link(token, "192.0.2.7", "a phone")
        except AfterlaunchError as problem:
            return {"refused": problem.message}
        return {"incident": incident.pk}

    def do_resolve(self, incident: int, person: str) -> dict[str, Any]:
        actor = actor_of_user(house.person_named(person))
        try:
            resolve(actor, Incident.objects.get(pk=incident), "It works again.")
        except AfterlaunchError as problem:
            return {"refused": problem.message}
        return {"incident": incident}

    def do_round(self, client: str, person: str, since: str) -> dict[str, Any]:
        """In the morning somebody looks at what is open and old: takes what nobody took, ends what is a day old."""
        actor = actor_of_user(house.person_named(person))
        day = datetime.fromisoformat(since)
        open_ = Incident.objects.filter(system__client__slug=client, status="open").order_by("pk")
        taken = [acknowledge(actor, one).pk for one in open_.filter(acknowledged_at=None, detected_at__lt=day)]
        ended = [resolve(actor, one, "Old.").pk for one in open_.filter(detected_at__lt=day - timedelta(days=1))]
        return {"acknowledged": taken, "resolved": ended}

    def do_override(self, number: int) -> None:
        house.override(self._plan.overrides[number])

    def do_silence(self, number: int) -> dict[str, Any]:
        """Refused when it was over before the product was up again."""
        one = self._plan.silences[number]
        wanted = [matcher("system", "=", one.system), matcher("alertname", "=", one.name)]
        try:
            silence_matching(house.FIRST, one.client, wanted, one.until, "planned work")
        except AfterlaunchError as problem:
            return {"refused": problem.message}
        return {}

    # What it answers

    @property
    def _holder(self) -> str:
        return f"{HOLDER}:{os.getpid()}"

    def _system(self, key: str) -> System:
        if key not in self._systems:
            self._systems[key] = System.objects.select_related("client", "owner").get(key=key)
        return self._systems[key]

    def _next(self) -> str | None:
        """When it wants a cycle: the first row that is due, no sooner than its duty's period allows, which can put off
        only what is due within it."""
        self._rows = self._question.ask()
        soon = [name for name, at in self._rows.items() if at <= clock.now() + self._periods[name]]
        states = dict(DutyState.objects.filter(name__in=soon).values_list("name", "next_due"))
        times = [max(at, states.get(name) or at) for name, at in self._rows.items()]
        return min(times).isoformat() if times else None


def run(wire: Wire, plan: Plan, broken: Sequence[str]) -> None:
    """The whole life of the child process."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        Product(wire, plan, broken).serve()
    except Ended:
        os._exit(0)
    except BaseException:  # noqa: BLE001 - told on stderr; the world finds the exit code
        sys.excepthook(*sys.exc_info())
        os._exit(70)
