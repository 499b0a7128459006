"""The draft that a machine writes from what is recorded. People appear by role, and nothing is guessed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MOST_LINES = 80
QUIET = ("role", "evidence.done", "evidence.undone", "runbook.done", "runbook.undone")  # kinds that tell no story
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Line:
    """An entry of the timeline. `role`: who it was by role; a machine has its name."""

    at: datetime
    kind: str
    text: str
    role: str
    sequence: int


@dataclass(frozen=True)
class Measured:
    """Of the system's calls from its begin to its end; None is unknown."""

    calls: int | None = None
    failed: int | None = None
    cost_usd: str | None = None
    users: int | None = None
    why: str = ""  # why nothing is known


@dataclass(frozen=True)
class Recorded:
    """Everything that the draft is made from."""

    number: int
    title: str
    summary: str
    kind: str
    severity: str
    peak: str
    system: str
    environment: str
    zone: str
    occurred: datetime | None
    detected: datetime
    took: Mapping[str, float | None]
    impact: str
    cause: str
    cause_key: str
    fix: str
    skipped: Sequence[str]
    repeats: Sequence[int]
    measured: Measured
    lines: Sequence[Line]
    measures: Sequence[str]
    promise: Sequence[str]
    seen: Sequence[str]
    hashes: Sequence[str] = field(default_factory=tuple)


def span(seconds: float | None) -> str:
    """1 h 20 min; unknown is said so."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    days, rest = divmod(minutes, 1440)
    hours, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (rest, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def sections(told: Recorded) -> dict[str, str]:
    """A text for every section that a machine can write; the others are left empty for people."""
    return {
        "summary": _summary(told),
        "impact": _impact(told),
        "timeline": _timeline(told),
        "detection": _detection(told),
        "cause": _cause(told),
        "fix": _fix(told),
        "well": "",
        "luck": "",
        "sla": "\n".join(told.promise) or "No promise of a first response is recorded.",
        "evidence": "\n".join([*told.seen, *told.hashes]),
    }


def _at(told: Recorded, at: datetime) -> str:
    return at.astimezone(ZoneInfo(told.zone)).strftime("%Y-%m-%d %H:%M:%S %Z")


def _summary(told: Recorded) -> str:
    where = f"{told.system}, {told.environment}" if told.environment else told.system
    said = [
        f"Incident {told.number}, {told.kind}, {told.peak} at its worst, on {where}: {told.title}.",
        f"It began at {_at(told, told.occurred)}" if told.occurred else "When it began is unknown",
        f" and was detected at {_at(told, told.detected)}.",
    ]
    words = {"acknowledge": "acknowledged", "contain": "contained", "recover": "healthy again", "resolve": "resolved"}
    times = [f"{word} after {span(told.took.get(name))}" for name, word in words.items() if told.took.get(name)]
    said.append(f" From there it was {', '.join(times)}." if times else "")
    if told.skipped:
        said.append(f" Skipped: {', '.join(told.skipped)}.")
    return said[0] + "\n" + "".join(said[1:])


def _impact(told: Recorded) -> str:
    found = told.measured
    lines = [told.impact] if told.impact else []
    if found.calls is None:
        lines.append(f"Calls: not assessed{f' ({found.why})' if found.why else ''}.")
    else:
        failed = UNKNOWN if found.failed is None else f"{found.failed:,}"
        lines.append(f"Calls while it lasted: {found.calls:,}, of which {failed} failed.")
        lines.append(f"Users who called: {UNKNOWN if found.users is None else f'{found.users:,}'}.")
        lines.append(f"Cost of these calls: {f'{found.cost_usd} USD' if found.cost_usd else UNKNOWN}.")
    return "\n".join(lines)


def _timeline(told: Recorded) -> str:
    shown = [line for line in told.lines if line.kind not in QUIET]
    lines = [f"{_at(told, line.at)}  {line.role}: {line.text.splitlines()[0][:200]}" for line in shown[:MOST_LINES]]
    if len(shown) > MOST_LINES:
        lines.append(f"… and {len(shown) - MOST_LINES} more entries on the incident's page.")
    return "\n".join(lines)


def _detection(told: Recorded) -> str:
    first = [line for line in told.lines if line.kind == "alert"][:5]
    lines = [f"Noticed by {line.text.splitlines()[0][:200]}" for line in first] or [told.summary]
    late = told.took.get("detect")
    lines.append(f"From its begin to its detection: {span(late)}.")
    return "\n".join(line for line in lines if line)


def _cause(told: Recorded) -> str:
    lines = [told.cause or "No probable cause was named while it lasted."]
    if "diagnosis" in told.skipped:
        lines.append("Diagnosis was passed over to stop the harm first.")
    if told.repeats:
        before = ", ".join(f"#{number}" for number in told.repeats)
        lines.append(f"The same cause ({told.cause_key}) had {len(told.repeats)} earlier incidents: {before}.")
    return "\n".join(lines)


def _fix(told: Recorded) -> str:
    lines = [*(f"- {one}" for one in told.measures)] or ["No measure against the harm is recorded."]
    lines.append(told.fix or "What mended it was not written down.")
    return "\n".join(lines)


def window_end(resolved: datetime | None, recovered: datetime | None, start: datetime) -> datetime:
    """Until when the impact is counted; a week at most."""
    end = recovered or resolved or start
    return min(max(end, start + timedelta(minutes=1)), start + timedelta(days=7))
