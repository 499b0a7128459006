"""The series of a system as verdicts, one for each measure. Pure but for the rows it is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from afterlaunch.anomalies.episodes import Episode
from afterlaunch.anomalies.measures import MEASURES, Measure
from afterlaunch.drift.false_alarms import FalseAlarms, a_month
from afterlaunch.verdicts.words import Finding, Named, Scope, Status

LEARNING_HOURS = 150
WEEK = 7 * 24  # hours


@dataclass(frozen=True)
class Seen:
    """A series, as verdicts need it. `open`: its episode that lasts."""

    pk: int
    place: tuple[str, str, str]
    of: str
    measure: str
    learning: bool
    hours: int
    open: Episode | None = None
    words: str = ""


def of(dimension: str, value: str) -> str:
    return f"{dimension} {value}" if dimension else "the whole system"


def findings(rows: Sequence[Seen], budget: float) -> list[tuple[Scope, Named, Finding]]:
    """`budget`: false alerts a week of all series together, which they share evenly."""
    each = budget / max(1, len(rows))
    by: dict[tuple[tuple[str, str, str], str], list[Seen]] = defaultdict(list)
    for row in rows:
        by[row.place, row.measure].append(row)
    return [
        (Scope(*place), MEASURES[measure], finding(MEASURES[measure], some, each))
        for (place, measure), some in by.items()
    ]


def finding(measure: Measure, rows: Sequence[Seen], per_week: float) -> Finding:
    """`per_week`: the budget of false alerts of one series."""
    found = _finding(measure, rows)
    if found.status is Status.NOT_ASSESSED:
        return found
    judged = sum(not row.learning for row in rows)
    expected = FalseAlarms(judged * a_month(WEEK / max(per_week, 1e-9)), 0.0)
    return replace(found, evidence={**found.evidence, **expected.as_evidence()})


def _finding(measure: Measure, rows: Sequence[Seen]) -> Finding:
    told = [row for row in rows if row.open is not None]
    if told:
        return _unusual(measure, told, len(rows))
    judged = [row for row in rows if not row.learning]
    learning = len(rows) - len(judged)
    if not judged:
        most = max((row.hours for row in rows), default=0)
        said = f"Learning: {most} of about {LEARNING_HOURS} hours are known."
        return Finding(measure.name, Status.NOT_ASSESSED, "learning", said, count=len(rows))
    said = f"{len(judged)} series as usual" if len(judged) > 1 else "As usual"
    said += f"; {learning} still learning." if learning else "."
    return Finding(measure.name, Status.OK, "as_usual", said, count=len(judged))


def sentence(measure: Measure, what: str, episode: Episode) -> str:
    """What is unusual, in words with figures."""
    said = f"{what[0].upper()}{what[1:]}: {measure.shown(episode.observed)} {measure.word} in an hour"
    if measure.unit in ("share", "ms"):
        said = f"{what[0].upper()}{what[1:]}: {measure.word} {measure.shown(episode.observed)}"
    said += f", where {measure.shown(episode.expected)} was to be expected."
    if episode.hours > 1 and measure.key == "cost":
        said += f" {measure.shown(episode.over)} more than expected in {episode.hours} hours so far."
    elif episode.hours > 1:
        said += f" It has lasted {episode.hours} hours."
    return said


def _unusual(measure: Measure, told: Sequence[Seen], of_all: int) -> Finding:
    def weight(row: Seen) -> float:
        assert row.open is not None
        return abs(row.open.over)

    # a part explains more than the whole that it drives
    worst = max(told, key=lambda row: (row.of != "the whole system", weight(row), row.of))
    assert worst.open is not None
    said = sentence(measure, worst.of, worst.open)
    if worst.words:
        said += f" {worst.words}"
    others = [row.of for row in sorted(told, key=weight, reverse=True) if row is not worst]
    if others:
        said += f" Unusual as well: {', '.join(others[:3])}{f' and {len(others) - 3} more' if len(others) > 3 else ''}."
    evidence = {"series": worst.pk, "unusual": len(told), "over": round(worst.open.over, 6)}
    value, line = worst.open.observed, worst.open.expected
    return Finding(measure.name, Status.BREACH, "unusual", said, value, line, measure.unit, of_all, evidence)
