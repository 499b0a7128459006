"""A report as HTML (one file that needs nothing else), as Markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from afterlaunch.ground.errors import Invalid
from afterlaunch.reports import links, markdown, pdf
from afterlaunch.reports.blocks import Figure, Line
from afterlaunch.reports.contents import ClockFacts, IncidentFacts, JudgeFacts, PlaceFacts, Report, SpendRow
from afterlaunch.reports.rules import advice, missing, verdict_on
from afterlaunch.reports.sections import story
from afterlaunch.reports.summary import summary
from afterlaunch.telemetry.api import spend_row
from afterlaunch.telemetry.views.grids import usd

TYPES = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "pdf": "application/pdf",
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def write(report: Report, form: str, base: str) -> bytes:
    """The document in one of TYPES; `base` begins every link. Raises Invalid for another format."""
    if form not in TYPES:
        raise Invalid(f"{form!r} is no format of this report.", "Formats: " + ", ".join(TYPES))
    if form == "json":
        return orjson.dumps(document(report, base), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    told = story(report)
    if form == "md":
        return markdown.write(told, base).encode()
    if form == "pdf":
        return pdf.write(told, base, report.period.until)
    return render_to_string("reports/file.html", {"story": told, "base": base, "style": style()}).encode()


@cache
def style() -> SafeString:
    """The style sheet of the page, which the file carries in itself."""
    sheet = Path(__file__).parent / "static" / "reports" / "report.css"
    return mark_safe(sheet.read_text())  # noqa: S308 - a file of ours


def file_name(report: Report, form: str) -> str:
    """afterlaunch-2026-11-acme-support.html; of what is no letter, digit or dash nothing stays."""
    parts = ["afterlaunch", report.period.month, report.scope.client, report.scope.system]
    kept = (
        "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "" for sign in part or "")
        for part in parts
    )
    return "-".join(part for part in kept if part) + f".{form}"


def document(report: Report, base: str) -> dict[str, Any]:
    """The report for programs: every fact, in the words of the API. Money is decimal strings of USD."""
    at, when = links.Links(report), report.period
    found, gaps = advice(report, at), missing(report, at)
    said, tone = verdict_on(report)
    return {
        "report": "monthly",
        "month": when.month,
        "time_zone": when.zone,
        "from": when.start,
        "to": when.until,
        "over": when.over,
        "client": report.scope.client,
        "system": report.scope.system,
        "status": tone,
        "summary": {
            "verdict": said,
            **{
                items.title.lower().replace(" ", "_"): [_line(line, base) for line in items.lines]
                for items in summary(report, at, found, gaps)
            },
        },
        "total": spend_row(report.total) if report.total else None,
        "month_before": {
            "month": report.before.month,
            "days_with_calls": report.before.days_with_calls,
            "days": report.before.days,
            "total": spend_row(report.before.window) if report.before.window else None,
        },
        "availability": [_place(one) | {"link": base + at.availability(one.place)} for one in report.places],
        "judges": [_judge(one, at, base) for one in report.judges],
        "incidents": [_incident(one) | {"link": base + links.incident(one.pk)} for one in report.incidents],
        "spend": {
            name: {"rows": [spend_of(name, row) for row in rows], "link": base + at.spend(name)}
            for name, rows in report.spend.items()
        },
        "days": [_day(report, day) for day in report.days if not day.ahead],
        "changes": [
            {name: value for name, value in vars(one).items() if name != "system_pk"}
            | {"verify_seconds": one.verify_seconds, "link": base + links.change(one.pk)}
            for one in report.changes
        ],
        "what_to_improve": [{"name": one.name, **_line(one.line, base)} for one in found],
        "missing_data": [{"name": one.name, **_line(one.line, base)} for one in gaps],
    }


def _line(line: Line, base: str) -> dict[str, Any]:
    """Its text, and the addresses behind its figures."""
    figures = [part for part in line if isinstance(part, Figure)]
    return {
        "text": "".join(part if isinstance(part, str) else part.text for part in line),
        "links": [{"text": figure.text, "href": base + figure.path} for figure in figures],
    }


def _place(one: PlaceFacts) -> dict[str, Any]:
    return {
        **dict(zip(("client", "system", "environment"), one.place, strict=True)),
        "calls": one.calls,
        "served": one.calls - one.unserved,
        "unserved": one.unserved,
        "cancelled": one.cancelled,
        "minutes_with_calls": one.minutes,
        "minutes_down": one.minutes_down,
        "failed_by_fault": dict(one.faults),
        "p50_ms": one.window.p50_ms,
        "p95_ms": one.window.p95_ms,
        "p99_ms": one.window.p99_ms,
        "silences": [{"from": quiet.start, "to": quiet.end} for quiet in one.silences],
    }


def _judge(one: JudgeFacts, at: links.Links, base: str) -> dict[str, Any]:
    place = (one.client, one.system, one.environment)
    return {
        "client": one.client,
        "system": one.system,
        "environment": one.environment,
        "judge": one.judge,
        "title": one.title,
        "per": one.level,
        "scopes": one.scopes,
        "seconds": dict(sorted(one.seconds.items())),
        "trouble": [vars(bad) for bad in one.trouble],
        "link": base + at.verdicts(place, one.judge),
    }


def _clock(one: ClockFacts) -> dict[str, Any]:
    return {**vars(one), "target_seconds": one.target_seconds, "actual_seconds": one.actual_seconds}


def _incident(one: IncidentFacts) -> dict[str, Any]:
    kept = {name: value for name, value in vars(one).items() if name not in ("system_pk", "clocks", "changes")}
    return {
        **kept,
        "contain_seconds": one.contain_seconds,
        "clocks": [_clock(clock) for clock in one.clocks],
        "changes_before": [pk for pk, _ in one.changes],
    }


def spend_of(name: str, row: SpendRow) -> dict[str, Any]:
    before: Mapping[str, Any] | None = None
    if row.before is not None:
        known = {"calls": row.before.calls, "cost_usd": usd(row.before.cost_nano)}
        before = {**known, "calls_with_unknown_cost": row.before.calls_unknown_cost}
    return {**spend_row(row.window), name: row.value, "month_before": before}


def _day(report: Report, day: Any) -> dict[str, Any]:
    return {
        "date": day.date,
        **(spend_row(day.window) | {"failed": day.window.failed} if day.window else {"calls": None}),
    }
