"""Whether an occasion fires, with a named reason and a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from afterlaunch.datasets.rules import CONTRACT, QUALITY
from afterlaunch.labels.rules import SOURCES
from afterlaunch.performance.noise import LOOP, MODELS
from afterlaunch.performance.sources import ECHO_KIND
from afterlaunch.retraining.definition import Condition, Trigger, Values

WORSE = {"warning": ("warning", "breach"), "breach": ("breach",)}


@dataclass(frozen=True)
class Told:
    """The latest word of a judge."""

    status: str
    since: datetime
    why: str
    reason: str = ""


@dataclass(frozen=True)
class Facts:
    """`verdicts`: the worst of each judge of the place. `labels`, `predictions`: how many since the last run; None:
    none are kept, which is not the same as none came. `last_run`: its number, 0 before the first."""

    verdicts: Mapping[str, Told]
    labels: int | None
    predictions: int | None
    last_run: int = 0


@dataclass(frozen=True)
class Occasion:
    """`key`: the same as long as it is the same occasion."""

    key: str
    trigger: str
    why: str


@dataclass(frozen=True)
class History:
    """`last_at`: when the last run was started. `month`: runs of this calendar month, with those that wait."""

    in_flight: int = 0
    last_at: datetime | None = None
    month: int = 0
    month_cost: Decimal = Decimal(0)


@dataclass(frozen=True)
class Decision:
    state: str  # queued, waiting, held
    reason: str
    why: str


def occasion(trigger: Trigger, facts: Facts) -> Occasion | None:
    """None: not all of its conditions hold."""
    parts, whys = [], []
    for one in trigger.when:
        found = _holds(one, facts)
        if found is None:
            return None
        parts.append(found[0])
        whys.append(found[1])
    return Occasion(f"{trigger.name}:{'|'.join(parts)}"[:400], trigger.name, " ".join(whys))


def _holds(one: Condition, facts: Facts) -> tuple[str, str] | None:
    if one.judge:
        told = facts.verdicts.get(one.judge)
        if told is None or told.status not in WORSE[one.status]:
            return None
        return f"{one.judge}@{told.since.isoformat()}", told.why
    name, wanted = ("labels", one.labels) if one.labels else ("predictions", one.predictions)
    count = facts.labels if one.labels else facts.predictions
    if count is None or count < wanted:
        return None
    return f"{name}@{facts.last_run}", f"{count:,} {name} came since the last run; {wanted:,} are asked for."


def decide(
    values: Values, posture: str, facts: Facts, history: History, now: datetime, asked_by_person: bool = False
) -> Decision:
    """Cool-down is for what fires by itself; budget, data quality and one run at a time are for everybody."""
    if values.paused:
        return Decision("held", "paused", "The policy is paused.")
    if history.in_flight:
        return Decision("held", "in_flight", "A run waits or is under way; one at a time.")
    ready = history.last_at + timedelta(hours=values.cooldown) if history.last_at else None
    if ready is not None and now < ready and not asked_by_person:
        return Decision(
            "held",
            "cool_down",
            f"The last run was at {history.last_at:%Y-%m-%d %H:%M} UTC; the next may be at {ready:%Y-%m-%d %H:%M}.",
        )
    if history.month >= values.runs:
        return Decision("held", "budget_runs", f"{history.month} of {values.runs} runs of this month are used.")
    if values.most_cost is not None and values.cost is not None and history.month_cost + values.cost > values.most_cost:
        planned = f"{history.month_cost} of {values.most_cost} {values.currency} are planned this month"
        said = f"{planned}; a run is thought to cost {values.cost}."
        return Decision("held", "budget_money", said)
    if (bad := _unfit(facts)) is not None:
        return bad
    if values.approval == "always" or posture == "governed":
        return Decision("waiting", "needs_approval", "A person approves it first.")
    return Decision("queued", "fires", "Nothing stands against it.")


def _unfit(facts: Facts) -> Decision | None:
    """What is wrong with the data would be learned; a model whose outputs come back as labels would learn itself."""
    for judge in BLOCKING:
        told = facts.verdicts.get(judge)
        if told is not None and (told.status == "breach" or (told.status == "warning" and told.reason in LOOPS)):
            word = "is in breach" if told.status == "breach" else "warns"
            return Decision("held", "unfit_data", f"{judge} {word}: {told.why}")
    return None


BLOCKING = (CONTRACT.name, QUALITY.name, SOURCES.name)
LOOPS = (ECHO_KIND, LOOP, MODELS)


def worst(rows: Sequence[tuple[str, str, datetime, str, str]]) -> dict[str, Told]:
    """(judge, status, since, why, reason) of all scopes of a place to the worst of each judge; of several the one that
    lasts longest, so that one occasion stays one in whatever order a database tells them."""
    order = ("breach", "warning", "not_assessed", "ok")
    found: dict[str, Told] = {}
    for judge, status, since, why, reason in sorted(rows, key=lambda one: (one[2], one[3])):
        known = found.get(judge)
        if known is None or order.index(status) < order.index(known.status):
            found[judge] = Told(status, since, why, reason)
    return found
