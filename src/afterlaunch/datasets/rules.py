"""What is judged of a dataset, as other rooms know it. Pure: deliveries and an instant to findings.

Each judge speaks of every dataset of a system and environment; the worst of them speaks for the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.data_contracts.contract import Contract
from afterlaunch.data_contracts.verdicts import FEWEST, LINE
from afterlaunch.drift.false_alarms import NOT_KNOWN, FalseAlarms, a_month
from afterlaunch.ground.shares import wilson
from afterlaunch.verdicts.words import Finding, Status

FALSE_ALERTS, WEEK = 0.25, 7 * 24  # so many in so many hours, of the number of records of one dataset
WINDOW = timedelta(days=1)  # small deliveries are added up so far back
SILENT = timedelta(days=7)  # without a promised delivery, older ones say nothing of now
SCHEMA = (
    "column_missing",
    "column_renamed",
    "column_added",
    "duplicate_column",
    "ragged_rows",
    "likely_change",
    "nulls",
)
ORDER = (Status.BREACH, Status.WARNING, Status.NOT_ASSESSED, Status.OK)


@dataclass(frozen=True)
class Of:
    name: str
    title: str
    explanation: str
    severity: str = "P2"


QUALITY = Of("data.quality", "Data quality score", "Fewer than 95 % of a dataset's records keep its contract.")
CONTRACT = Of(
    "data.contract",
    "Data contract",
    "A dataset has other columns than its contract says, more empty values, or a rule that nearly all records break.",
)
FRESHNESS = Of(
    "data.freshness", "Data freshness", "A dataset was not delivered in time, or its newest record is too old."
)
VOLUME = Of(
    "data.volume", "Data volume", "A delivery has far more or fewer records than its contract or its past say.", "P3"
)
JUDGES = (QUALITY, CONTRACT, FRESHNESS, VOLUME)


@dataclass(frozen=True)
class Delivery:
    """One checked delivery, as far as judges look at it."""

    at: datetime
    rows: int
    clean: int
    findings: Sequence[Mapping[str, Any]] = ()
    rules: Sequence[Mapping[str, Any]] = ()
    usual: Mapping[str, Any] = field(default_factory=dict)
    first_wrong: str | None = None


@dataclass(frozen=True)
class Place:
    """A dataset in one environment: its contract, its deliveries of the last day with the newest first, and the latest
    time of any record."""

    contract: Contract
    deliveries: Sequence[Delivery] = ()
    newest: datetime | None = None
    count: int = 0

    def sentence(self, said: str) -> str:
        """With who answers for it and, of what others deliver, who is hit."""
        upstream = self.contract.upstream
        who = f" ({upstream.kind} of {upstream.provider})" if upstream else ""
        hit = f" It is needed by {', '.join(upstream.consumers)}." if upstream and upstream.consumers else ""
        return f"{self.contract.name}{who}: {said} Owner: {self.contract.owner}.{hit}"


@dataclass(frozen=True)
class Said:
    """Of one dataset. `count`: records."""

    dataset: str
    status: Status
    reason: str
    why: str
    value: float | None = None
    count: int = 0


def quality(place: Place, now: datetime) -> Said:
    """By the newest deliveries: as many as give 73 records, none older than a day before the newest."""

    def said(status: Status, reason: str, why: str, value: float | None = None, count: int = 0) -> Said:
        return Said(place.contract.name, status, reason, place.sentence(why), value, count)

    if not place.deliveries:
        return said(Status.NOT_ASSESSED, "no_delivery_yet", "No delivery has been checked yet.")
    newest = place.deliveries[0]
    if now - newest.at > (place.contract.patience or SILENT):
        return said(Status.NOT_ASSESSED, "no_data", f"The last delivery came {newest.at:%Y-%m-%d %H:%M} UTC.")
    rows = clean = 0
    for one in place.deliveries:
        if rows >= FEWEST or newest.at - one.at > WINDOW:
            break
        rows, clean = rows + one.rows, clean + one.clean
    if not rows:
        return said(Status.NOT_ASSESSED, "no_records", "The last delivery has no records.")
    share, (low, high) = clean / rows, wilson(clean, rows)
    told = f"{share:.1%} of {rows:,} records are clean (95 % interval {low:.1%} to {high:.1%}; the line is {LINE:.0%})."
    if high < LINE:
        return said(Status.BREACH, "below_line", told + _worst(newest), share, rows)
    if rows < FEWEST:
        few = f"Only {rows} records in a day; {FEWEST} are needed to tell."
        return said(Status.NOT_ASSESSED, "too_few_records", few, share, rows)
    if share < LINE:
        return said(Status.WARNING, "perhaps_below_line", told + " It may be chance." + _worst(newest), share, rows)
    return said(Status.OK, "above_line", told, share, rows)


def _worst(newest: Delivery) -> str:
    """The rules that most records of the newest delivery break."""
    broken = sorted((one for one in newest.rules if one["records"]), key=lambda one: -one["records"])[:3]
    named = ", ".join(f"{one['name']} ({one['records']:,})" for one in broken)
    since = f" The first of them is of {_minute(newest.first_wrong)}." if newest.first_wrong else ""
    return f" Most are broken by {named}.{since}" if named else ""


def _minute(told: str) -> str:
    return f"{datetime.fromisoformat(told):%Y-%m-%d %H:%M} UTC"


def contract(place: Place, now: datetime) -> Said:
    name = place.contract.name
    if not place.deliveries:
        why = place.sentence("No delivery has been checked yet.")
        return Said(name, Status.NOT_ASSESSED, "no_delivery_yet", why)
    newest = place.deliveries[0]
    if now - newest.at > (place.contract.patience or SILENT):
        why = place.sentence(f"The last delivery came {newest.at:%Y-%m-%d %H:%M} UTC.")
        return Said(name, Status.NOT_ASSESSED, "no_data", why)
    found = [one for one in newest.findings if one["kind"] in SCHEMA]
    worst = sorted(found, key=lambda one: (one["severity"] != "error", SCHEMA.index(one["kind"])))
    if not worst:
        return Said(name, Status.OK, "kept", place.sentence("Columns and nulls are as agreed."), count=newest.rows)
    more = f" And {len(worst) - 3} more." if len(worst) > 3 else ""
    told = " ".join(one["message"] for one in worst[:3]) + more
    status = Status.BREACH if worst[0]["severity"] == "error" else Status.WARNING
    return Said(name, status, worst[0]["kind"], place.sentence(told), count=newest.rows)


def freshness(place: Place, now: datetime) -> Said | None:
    """None: the contract asks for none."""
    of, name = place.contract, place.contract.name
    if of.patience is None and of.fresh is None:
        return None
    if not place.deliveries:
        why = place.sentence("No delivery has been checked yet.")
        return Said(name, Status.NOT_ASSESSED, "no_delivery_yet", why)
    found = []
    last = place.deliveries[0].at
    if of.patience is not None and now - last > of.patience:
        told = f"The last delivery came {last:%Y-%m-%d %H:%M} UTC; one is promised every {of.every}."
        found.append((_status(of.delivery_severity), "overdue", told))
    if of.fresh is not None and place.newest is None:
        found.append((Status.NOT_ASSESSED, "no_time", f"No delivery told a time in {of.fresh_column}."))
    elif of.fresh is not None and place.newest is not None and now - place.newest > of.fresh:
        told = f"Its newest {of.fresh_column} is {place.newest:%Y-%m-%d %H:%M} UTC; it may be {of.fresh} old."
        found.append((_status(of.fresh_severity), "stale", told))
    if not found:
        return Said(name, Status.OK, "fresh", place.sentence(f"The last delivery came {last:%Y-%m-%d %H:%M} UTC."))
    status, reason, told = min(found, key=lambda one: ORDER.index(one[0]))
    return Said(name, status, reason, place.sentence(told))


def volume(place: Place, now: datetime) -> Said:
    """By the contract's bounds and by what the series of deliveries usually is."""
    of, name = place.contract, place.contract.name
    if not place.deliveries:
        why = place.sentence("No delivery has been checked yet.")
        return Said(name, Status.NOT_ASSESSED, "no_delivery_yet", why)
    newest = place.deliveries[0]
    if now - newest.at > (of.patience or SILENT):
        why = place.sentence(f"The last delivery came {newest.at:%Y-%m-%d %H:%M} UTC.")
        return Said(name, Status.NOT_ASSESSED, "no_data", why)
    told = next((one for one in newest.findings if one["kind"] == "volume"), None)
    if told is not None:
        why = place.sentence(told["message"])
        return Said(name, _status(told["severity"]), "out_of_bounds", why, float(newest.rows), newest.rows)
    if newest.usual.get("alert"):
        expected = newest.usual.get("expected")
        about = f"; about {expected:,.0f} were expected" if expected is not None else ""
        why = place.sentence(f"{newest.rows:,} records are unlike all deliveries before{about}.")
        return Said(name, Status.BREACH, "unusual", why, float(newest.rows), newest.rows)
    learning = newest.usual.get("state") != "judged"
    if learning and of.volume is None:
        why = f"What is usual is still being learned; {place.count:,} deliveries are known."
        return Said(name, Status.NOT_ASSESSED, "learning", place.sentence(why), float(newest.rows), newest.rows)
    why = "as agreed; what is usual is still being learned." if learning else "as usual."
    return Said(name, Status.OK, "as_expected", place.sentence(f"{newest.rows:,} records, {why}"), count=newest.rows)


def _status(severity: str) -> Status:
    return Status.BREACH if severity == "error" else Status.WARNING


def finding(of: Of, found: Sequence[Said]) -> Finding | None:
    """One word for all datasets of a place; not assessed where only some could be, and none of these is in trouble."""
    if not found:
        return None
    worst = min(found, key=lambda one: ORDER.index(one.status))
    same = [one.dataset for one in found if one.status is worst.status and one is not worst]
    rest = f" The same status: {', '.join(same[:5])}{' …' if len(same) > 5 else ''}." if same else ""
    value, threshold, unit = (worst.value, LINE, "share") if of is QUALITY else (worst.value, None, "records")
    evidence: dict[str, str | int | float | None] = {"dataset": worst.dataset, "datasets": len(found)}
    evidence |= _false_alarms(of, sum(one.status is not Status.NOT_ASSESSED for one in found)).as_evidence()
    said = worst.why + rest
    return Finding(of.name, worst.status, worst.reason, said, value, threshold, unit, worst.count, evidence)


def _false_alarms(of: Of, judged: int) -> FalseAlarms:
    """A broken contract and a late delivery are no matter of chance. How often a share of clean records is below its
    line by chance depends on how near it is to it and how often it comes: not known."""
    if of in (CONTRACT, FRESHNESS):
        return FalseAlarms(0.0, 0.0)
    return FalseAlarms(judged * a_month(WEEK / FALSE_ALERTS), 0.0) if of is VOLUME else NOT_KNOWN


def all_of(places: Sequence[Place], now: datetime) -> list[tuple[Of, Finding]]:
    out = []
    for of, judge in ((QUALITY, quality), (CONTRACT, contract), (FRESHNESS, freshness), (VOLUME, volume)):
        told = finding(of, [said for place in places if (said := judge(place, now)) is not None])
        out += [(of, told)] if told is not None else []
    return out
