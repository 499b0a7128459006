"""Like `kill_everywhere`, for handover and breach: each round an incident of a system with an escalation tier is open,
and the duty is killed before one of its statements; a second one, a minute later, does what the engine does after a
restart. Prints one JSON line with what the store then holds."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from afterlaunch.incidents.tests.kill_everywhere import AT, in_child, prepare, taken  # isort: skip  # sets Django up

from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import open_incident
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.notify.models import Page
from afterlaunch.sla.duties import take_over, watch_clocks
from afterlaunch.sla.models import Clock, Handover
from afterlaunch.sla.postures import set_support

HALF, MINUTE = timedelta(minutes=30), timedelta(minutes=1)
RULE = {"after": "30m", "counting": "elapsed", "unless": "resolved"}


def begin(number: int, at: datetime) -> None:
    clock.use(clock.FixedClock(at))
    system = System.objects.get(key="helpdesk")
    set_support(automation("local"), system, {"posture": "escalation", "handover": RULE})
    open_incident(
        automation("engine"),
        system=system,
        environment="prod",
        title=f"round {number}",
        severity="P1",
        summary="",
        fingerprint=f"round-{number}",
        detected_at=at,
        occurred_at=None,
    )


def hand_over(number: int, at: datetime) -> None:
    clock.use(clock.FixedClock(at))
    take_over(at)


def breach(number: int, at: datetime) -> None:
    clock.use(clock.FixedClock(at))
    watch_clocks(at)


def main() -> None:
    prepare()
    number, alive = 0, {"handover": False, "breach": False}
    while not all(alive.values()):
        number += 1
        at = AT + timedelta(hours=12 * number)
        in_child(number, at, None, begin)
        in_child(number, at + MINUTE, None, breach)
        for name, act, when in (("handover", hand_over, at + HALF), ("breach", breach, at + 6 * HALF)):
            alive[name] |= in_child(number, when, number, act)
            in_child(number, when + MINUTE, None, act)
        taken(at + 7 * HALF)
        Clock.objects.filter(met_at=None).update(next_at=None)
    print(json.dumps({"rounds": number, "incidents": [_told(one) for one in Incident.objects.order_by("pk")]}))


def _told(incident: Incident) -> dict[str, object]:
    internal, tier = (
        Clock.objects.filter(topic=incident.topic, kind="response", party=p) for p in ("internal", "tier")
    )
    own, handover = internal.get(), Handover.objects.get(topic=incident.topic)
    return {
        "tier_clocks": tier.count(),
        "tier_started_with_the_handover": tier.get().started_at == handover.done_at,
        "state": handover.state,
        "handed_over": Entry.objects.filter(subject=incident.topic, deed="handover.done").count(),
        "pages": Page.objects.filter(topic=incident.topic, purpose="page").count(),
        "breached_at_the_deadline": own.breached_at == own.deadline,
        "breaches": TimelineEntry.objects.filter(incident=incident, kind="clock.breached").count(),
    }


if __name__ == "__main__":
    main()
