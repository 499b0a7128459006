"""Escalation policies: ordered steps, and where paging goes when nobody acknowledges. Pure.

1. A step that reaches nobody, or does not hold now, falls through to the next at once. 2. One that reached somebody
waits its delay. 3. After the last step the policy begins again, `repeat` times, -1 for ever. 4. A whole round that
reached nobody ends it; so does the end of the last round. Then the catch-all is paged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.documents import choice, list_in, members_of, whole

TARGETS = ("schedule", "person", "team", "channel", "owner")
SHORTEST, LONGEST = 60, 86_400
STEPS, TARGETS_OF_A_STEP = 20, 20
SEVERITIES = ("P1", "P2", "P3")
MODES = ("one", "all_targets")
REACHED, NOBODY, SKIPPED = "reached", "nobody", "skipped"
Document = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """Whom a step pages. `id` names the schedule (None: the client's first), person, team or channel; "owner" is the
    system's owner, else the administrators."""

    kind: str
    id: Any = None


@dataclass(frozen=True)
class Moment:
    """What conditions ask of an instant, in the client's business calendar, and of what is paged about."""

    severity: str = ""
    type: str = ""
    open: bool = True
    weekday: int = 1
    holiday: bool = False


@dataclass(frozen=True)
class Conditions:
    """A step holds when all that is said here is so; what is left empty does not matter. Weekdays are ISO numbers."""

    severities: tuple[str, ...] = ()
    calendar: str = ""
    weekdays: tuple[int, ...] = ()
    holiday: bool | None = None
    types: tuple[str, ...] = ()

    def why_not(self, at: Moment) -> str | None:
        """Why the step does not hold, or None."""
        if self.severities and at.severity not in self.severities:
            return "other_severity"
        if self.types and at.type not in self.types:
            return "other_type"
        if self.calendar and (self.calendar == "open") != at.open:
            return "calendar_closed" if self.calendar == "open" else "calendar_open"
        if self.weekdays and at.weekday not in self.weekdays:
            return "other_weekday"
        if self.holiday is not None and self.holiday != at.holiday:
            return "no_holiday" if self.holiday else "holiday"
        return None


@dataclass(frozen=True)
class Step:
    """`delay`: seconds that pass unacknowledged before the next step."""

    delay: int
    targets: tuple[Target, ...]
    conditions: Conditions = Conditions()


@dataclass(frozen=True)
class Policy:
    """`again`: minutes after which an acknowledged page comes again while the trouble lasts, by severity."""

    steps: tuple[Step, ...]
    repeat: int = 1
    ack_mode: str = "one"
    again: Mapping[str, int] = field(default_factory=lambda: {"P1": 30})
    catch_all: tuple[Target, ...] = (Target("owner"),)


BUILT_IN = Policy((Step(300, (Target("schedule"),)), Step(900, (Target("owner"),))))


@dataclass(frozen=True)
class Stop:
    """Where a walk through the steps came to rest: `step` and `loop` are performed next, after `delay` seconds. Any
    other reason than "waits" is the end."""

    reason: str
    step: int = 0
    loop: int = 0
    delay: int = 0


def walk(policy: Policy, step: int, loop: int, reach: Callable[[int, int], str]) -> Stop:
    """Perform steps until one reaches somebody. `reach` pages the step of that number in that loop and tells REACHED,
    NOBODY or SKIPPED. A step that is gone is the first; to begin beyond the last loop is the end."""
    steps = policy.steps
    step = step if step < len(steps) else 0
    reached, held = step > 0, False  # a walk rests only behind a step that reached somebody
    while True:
        if 0 <= policy.repeat < loop:
            return Stop("nobody_acknowledged", 0, loop)
        told = reach(step, loop)
        held = held or told != SKIPPED
        last = step + 1 == len(steps)
        if told == REACHED:
            return Stop("waits", 0 if last else step + 1, loop + last, steps[step].delay)
        if last and not reached:
            return Stop("nobody_reachable" if held else "no_step_holds", 0, loop)
        if last:
            step, loop, reached, held = 0, loop + 1, False, False
        else:
            step += 1


@dataclass(frozen=True)
class Planned:
    """What a step will do at `at`. `number` is the step's, from 0; None: the catch-all. `told`: REACHED, NOBODY or a
    named reason why the step does not hold."""

    at: datetime
    number: int | None
    loop: int
    told: str
    people: tuple[Any, ...] = ()


Look = Callable[[Step, datetime], tuple[str, tuple[Any, ...]]]


def timeline(
    policy: Policy, at: datetime, look: Look, step: int = 0, loop: int = 0, most: int = 50
) -> Iterator[Planned]:
    """What happens from `at` on if nobody acknowledges: `look` tells for a step at an instant REACHED, NOBODY or why it
    does not hold, and whom it pages. The catch-all comes last, with the reason; `most` steps for policies that never
    end."""
    performed = 0
    while performed < most:
        seen: list[Planned] = []

        def reach(number: int, in_loop: int, now: datetime = at, into: list[Planned] = seen) -> str:
            told, people = look(policy.steps[number], now)
            into.append(Planned(now, number, in_loop, told, people))
            return told if told in (REACHED, NOBODY) else SKIPPED

        stop = walk(policy, step, loop, reach)
        yield from seen
        performed += len(seen)
        if stop.reason != "waits":
            _, people = look(Step(0, policy.catch_all), at)
            yield Planned(at, None, loop, stop.reason, people)
            return
        step, loop, at = stop.step, stop.loop, at + timedelta(seconds=stop.delay)


# -- documents ------------------------------------------------------------------------------------------------------


def normal_steps(given: object, target: Callable[[str, Any], Any]) -> list[Document]:
    """Checked and complete steps; every target as `target(where, given)` returns it. Raises Invalid with the place."""
    rows = list_in("steps", given, STEPS, 1)
    return [_step(f"steps[{number}]", one, target) for number, one in enumerate(rows)]


def _step(where: str, given: object, target: Callable[[str, Any], Any]) -> Document:
    told = members_of(where, given, ("delay", "targets"), ("conditions",))
    targets = list_in(f"{where}.targets", told["targets"], TARGETS_OF_A_STEP, 1)
    return {
        "delay": whole(f"{where}.delay", told["delay"], SHORTEST, LONGEST),
        "targets": normal_targets(f"{where}.targets", targets, target),
        "conditions": _conditions(f"{where}.conditions", told.get("conditions") or {}),
    }


def normal_targets(where: str, given: Iterable[Any], target: Callable[[str, Any], Any]) -> list[Any]:
    found: list[Any] = []
    for number, one in enumerate(given):
        made = target(f"{where}[{number}]", one)
        if made in found:
            raise Invalid(f"{where}[{number}] stands there twice.")
        found.append(made)
    return found


def _conditions(where: str, given: object) -> Document:
    told = members_of(where, given, (), ("severities", "calendar", "weekdays", "holiday", "types"))
    made: Document = {}
    if told.get("severities"):
        rows = list_in(f"{where}.severities", told["severities"], 3)
        made["severities"] = sorted({choice(f"{where}.severities", one, SEVERITIES) for one in rows})
    if told.get("calendar"):
        made["calendar"] = choice(f"{where}.calendar", told["calendar"], ("open", "closed"))
    if told.get("weekdays"):
        rows = list_in(f"{where}.weekdays", told["weekdays"], 7)
        made["weekdays"] = sorted({whole(f"{where}.weekdays", one, 1, 7) for one in rows})
    if told.get("holiday") is not None:
        if not isinstance(told["holiday"], bool):
            raise Invalid(f"{where}.holiday must be true or false.")
        made["holiday"] = told["holiday"]
    if told.get("types"):
        rows = list_in(f"{where}.types", told["types"], 50)
        if not all(isinstance(one, str) and 0 < len(one) <= 60 for one in rows):
            raise Invalid(f"{where}.types must be names of types of incidents.")
        made["types"] = sorted(set(rows))
    return made


def check_repeat(given: object) -> int:
    return whole("repeat", given, -1, 100)


def normal_again(given: object) -> dict[str, int]:
    told = members_of("again", given, (), SEVERITIES)
    return {name: whole(f"again.{name}", told[name], 1, 1440) for name in SEVERITIES if told.get(name)}


def policy_of_document(
    steps: Iterable[Document], repeat: int, ack_mode: str, again: Mapping[str, int], catch_all: Iterable[Document]
) -> Policy:
    """A checked policy as the rules take it."""
    return Policy(tuple(_step_of(one) for one in steps), repeat, ack_mode, dict(again), _targets(catch_all))


def _targets(given: Iterable[Document]) -> tuple[Target, ...]:
    return tuple(Target(one["kind"], one.get("id")) for one in given)


def _step_of(given: Document) -> Step:
    told = given.get("conditions", {})
    conditions = Conditions(
        tuple(told.get("severities", ())),
        told.get("calendar", ""),
        tuple(told.get("weekdays", ())),
        told.get("holiday"),
        tuple(told.get("types", ())),
    )
    return Step(given["delay"], _targets(given["targets"]), conditions)
