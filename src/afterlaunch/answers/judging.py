"""Answers against their reference: the last day, compared anew each hour, and one day after the other. Pure.

1. Answers follow the hours of the day, so what is compared is a whole day: the last 24 hours, or so many more (a week
at most) that 500 answers are among them. 2. Each descriptor is compared as columns of tables are (`drift.judging`); one
false finding in 1,000 looks. 3. A chart and an e-detector follow each descriptor from day to day, one day (UTC) being
one window: a false page comes once in 200 days, all descriptors together. 4. A breach: the e-detector pages, or the
compared answers lie certainly beyond the familiar line of PSI 0.2. It lasts until the answers look like the reference
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from afterlaunch.answers.layouts import DESCRIPTORS, NEEDS_CONTENT
from afterlaunch.drift import judging, sequential
from afterlaunch.drift.false_alarms import FalseAlarms, a_month
from afterlaunch.drift.judging import DRIFT, NOT_ASSESSED, Judged, Limits
from afterlaunch.drift.sequential import Promise, Signals
from afterlaunch.predictions.judging import BREACH, OK, TOLERANCE, WARNING, Feature, Followed, Known
from afterlaunch.predictions.packed import Profiles
from afterlaunch.profiles.hashing import Array

LOOKS = 1_000  # hourly looks between false warnings
DAYS = 200  # between false pages of the e-detector, all descriptors together
ENOUGH = 500  # answers that are compared
DAY, WEEK = 24, 168  # hours
THIN = 50  # answers of a day that moves the charts
LIMITS = Limits(alpha=1 / LOOKS)


@dataclass(frozen=True)
class Content:
    """Of the compared answers."""

    answers: int
    kept: int
    captured: bool

    @property
    def why_none(self) -> str:
        if not self.captured:
            return "Not assessed. The content of calls is not kept (capture is off)."
        return "Not assessed. None of the calls told what was answered."


def last_day(past: Sequence[tuple[datetime, int, Any]]) -> list[Any]:
    """Of hours (start, answers, the hour) that end with the judged one: those of the last 24, or so far back that 500
    answers are among them."""
    chosen, answers = [], 0
    for start, count, hour in reversed(past):
        back = (past[-1][0] - start) // timedelta(hours=1)
        if back >= WEEK or (back >= DAY and answers >= ENOUGH):
            break
        chosen.append(hour)
        answers += count
    return chosen


def promise(known: Known) -> Promise:
    arl = float(DAYS * max(len(known.streams), 1))
    return Promise(arl, arl, TOLERANCE)


def false_alarms(known: Known, name: str) -> FalseAlarms:
    """Of a descriptor: its part of the hourly comparison's, of whichever kind, and what its days give."""
    compared = a_month(LOOKS) / max(len(known.profiles), 1)
    if name not in known.starts:
        return FalseAlarms(compared, compared)
    followed = promise(known)
    return FalseAlarms(
        compared + a_month(followed.page_arl, every=DAY), compared + a_month(followed.warning_arl, every=DAY)
    )


def judge(
    known: Known, before: Followed, compared: Profiles, day: Profiles | None, content: Content
) -> tuple[Followed, list[Feature]]:
    """`compared`: the last day or more; `day`: a day that this hour closed. What is known then, and every descriptor's
    verdict."""
    looked = judging.judge({name: (one, compared[name]) for name, one in known.profiles.items()}, LIMITS)
    followed, signals = _stepped(known, before, day)
    place = {name: at for at, name in enumerate(known.streams)}
    held = followed.held.copy()
    features = []
    for one in looked:
        at = place.get(one.name)
        paged, warned = _said(signals, at)
        beyond = one.verdict == DRIFT and one.state == "above"
        was = at is not None and bool(held[at])
        on = beyond or paged or (was and one.verdict in (DRIFT, NOT_ASSESSED))
        if at is not None:
            held[at] = on
        said = _worded(one, beyond, paged, was and on, warned, content)
        features.append(replace(said, false_alarms=false_alarms(known, one.name)))
    return Followed(followed.state, held), features


def _said(signals: Signals | None, at: int | None) -> tuple[bool, bool]:
    """Paged, warned."""
    if signals is None or at is None:
        return False, False
    return bool(signals.paged[at]), bool(signals.warned[at])


def _stepped(known: Known, before: Followed, day: Profiles | None) -> tuple[Followed, Signals | None]:
    if day is None or known.ranks is None:
        return before, None
    cells = {name: sequential.cells_of(day[name]) for name in known.streams}
    counts: Array = np.stack([sequential.padded(cells[name], known.starts[name]) for name in known.streams])
    counts[counts.sum(1) < THIN] = 0
    state, signals = sequential.step(known.ranks, before.state, counts, promise(known))
    return Followed(state, before.held), signals


def _worded(one: Judged, beyond: bool, paged: bool, held: bool, warned: bool, content: Content) -> Feature:
    if one.verdict == NOT_ASSESSED and one.name in NEEDS_CONTENT and not content.kept:
        return Feature(one.name, NOT_ASSESSED, "no_content", content.why_none, one)
    if beyond:
        return Feature(one.name, BREACH, "beyond_the_line", one.why, one)
    if paged:
        return Feature(one.name, BREACH, "e_detector", _sentence(one, f"By chance once in {DAYS} days."), one)
    if held:
        return Feature(one.name, BREACH, "still_drifted", _sentence(one, "It has not come back."), one)
    if one.verdict == DRIFT:
        return Feature(one.name, WARNING, one.reason, one.why, one)
    if warned:
        told = f"Its mean or spread moves away from the reference day by day; by chance once in {DAYS} days."
        return Feature(one.name, WARNING, "chart", _sentence(one, told), one)
    return Feature(one.name, NOT_ASSESSED if one.verdict == NOT_ASSESSED else OK, one.reason, one.why, one)


def _sentence(one: Judged, told: str) -> str:
    moved = one.evidence.moved if one.evidence else ""
    return f"{moved[:1].upper()}{moved[1:]}. {told}" if moved else told


def _of(found: Sequence[Feature]) -> str:
    first = found[0].why
    return first if len(found) == 1 else f"Of {DESCRIPTORS[found[0].name].title}: {first[:1].lower()}{first[1:]}"


def overall(features: Sequence[Feature], content: Content) -> tuple[str, str]:
    """Of the whole: the worst of the descriptors, and a sentence."""
    by = {status: [one for one in features if one.status == status] for status in (BREACH, WARNING, OK, NOT_ASSESSED)}
    assessed = len(features) - len(by[NOT_ASSESSED])
    unsure = f" {len(by[NOT_ASSESSED])} could not be assessed." if by[NOT_ASSESSED] else ""
    if content.answers and not content.kept and NEEDS_CONTENT & {one.name for one in by[NOT_ASSESSED]}:
        unsure += " " + content.why_none.removeprefix("Not assessed. ")
    if not assessed:
        first = by[NOT_ASSESSED][0].why if by[NOT_ASSESSED] else ""
        return NOT_ASSESSED, f"Nothing of the answers could be assessed. {first}".strip()
    for status, word in ((BREACH, "changed"), (WARNING, "may have changed")):
        if found := by[status]:
            names = ", ".join(DESCRIPTORS[one.name].title for one in found[:3]) + (
                " and others" if len(found) > 3 else ""
            )
            return status, f"{len(found)} of {assessed} descriptors of answers {word}: {names}. {_of(found)}{unsure}"
    return OK, f"The answers of the last day look like the reference, by {assessed} descriptors.{unsure}"
