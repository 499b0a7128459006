"""What somebody sees before an SLO is made: its alerts, what is wrong, what to expect, what the last 30 days were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from afterlaunch.accounts.models import Client
from afterlaunch.slo.counting import judged_at_ms
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import percent, short, written
from afterlaunch.slo.history import Backtest, backtest
from afterlaunch.slo.measures import LATENCY
from afterlaunch.slo.pairs import Pair, life, smallest_total
from afterlaunch.slo.traffic import Expected, expected, healthy_rate, probes_needed, rounded_up

WANTED_MINUTES = 30
"""Probes are offered so that an outage is seen within so many minutes."""


@dataclass(frozen=True)
class Row:
    """A pair as a row of a table; `offer`: the factor that could fire, where this one can't."""

    label: str
    windows: str
    factor: str
    threshold: str
    share: str
    harmless: int
    least_bad: int
    state: str
    offer: str


@dataclass(frozen=True)
class Preview:
    query: str
    rows: list[Row]
    problems: list[str]
    warnings: list[str]
    past: Backtest
    coming: Expected | None
    probes: int | None
    note: str = ""

    @property
    def quiet(self) -> bool:
        """So little traffic that an outage of two hours may pass unseen."""
        return self.coming is not None and self.coming.detection is None


def preview(client: Client, definition: Definition, now: datetime) -> Preview:
    target, period = definition.target, definition.period.seconds
    past = backtest(client, definition, now)
    coming = None
    if past.alerts is not None:
        rate = healthy_rate(target, past.rate)
        pairs = definition.pairs_at(now)
        coming = expected(pairs, target, float(f"{past.per_hour:.2g}"), float(f"{rate:.1g}"))
    pages = [one for one in definition.nominal_pairs if one.severity == "page" and not life(one, target, period).dead]
    probes = rounded_up(probes_needed(pages[0], target, WANTED_MINUTES)) if pages else None
    rows = [_row(one, definition) for one in definition.nominal_pairs]
    note = ""
    if definition.measure.kind == LATENCY:
        note = f"Latencies are kept in steps of 9 %: the line is {judged_at_ms(definition.measure):,.0f} ms."
    return Preview(
        definition.measure.query(), rows, definition.problems(), definition.warnings(), past, coming, probes, note
    )


def _row(pair: Pair, definition: Definition) -> Row:
    target, period = definition.target, definition.period.seconds
    found = life(pair, target, period)
    offer = f"{written(found.offer.factor)} ({percent_of(found.offer.share)} of the budget)" if found.offer else ""
    return Row(
        pair.label,
        f"{short(pair.long)} and {short(pair.short)}",
        written(pair.factor, 4),
        percent_of(found.threshold),
        percent_of(pair.share(period)),
        smallest_total(pair.factor, target),
        pair.least_bad,
        found.state,
        offer if found.dead else "",
    )


def percent_of(share: Any) -> str:
    return percent(share) if float(share) * 100 == round(float(share) * 100, 3) else f"{float(share) * 100:.3g} %"


def as_document(found: Preview) -> dict[str, Any]:
    past, coming = found.past, found.coming
    return {
        "query": found.query,
        "pairs": [vars(one) for one in found.rows],
        "problems": found.problems,
        "warnings": found.warnings,
        "note": found.note or None,
        "last_30_days": {
            "alerts": past.alerts,
            "total": past.total,
            "bad": past.bad,
            "days_with_events": past.days,
            "events_per_hour": past.per_hour,
            "why_not": past.why or None,
        },
        "expected": None
        if coming is None
        else {
            "false_pages_in_30_days": coming.false_pages,
            "detection_minutes": coming.detection,
            "detected_share": coming.detected,
        },
        "probes_per_hour_for_detection_in_30_minutes": found.probes,
    }
