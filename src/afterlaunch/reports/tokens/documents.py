"""The token report as HTML, PDF, Markdown, CSV and JSON, from the same facts."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
from django.template.loader import render_to_string

from afterlaunch.ground.errors import Invalid
from afterlaunch.reports import documents, links, markdown, pdf
from afterlaunch.reports.contents import SpendRow
from afterlaunch.reports.tokens.contents import Sealed, TokenReport
from afterlaunch.reports.tokens.story import BY, story
from afterlaunch.spend.drivers import FACTORS
from afterlaunch.telemetry.api import spend_row
from afterlaunch.telemetry.attribution import Share
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.views.grids import usd

ESTIMATED = ("calls_estimated", "tokens_estimated", "cost_estimated_usd")
BEFORE = ("month_before_calls", "month_before_cost_usd")
TYPES = {**documents.TYPES, "csv": "text/csv; charset=utf-8"}


def write(report: TokenReport, form: str, base: str) -> bytes:
    """The document in one of TYPES; `base` begins every link. Raises Invalid for another format."""
    if form not in TYPES:
        raise Invalid(f"{form!r} is no format of this report.", "Formats: " + ", ".join(TYPES))
    if form == "json":
        return orjson.dumps(document(report, base), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if form == "csv":
        return table(report)
    told = story(report)
    if form == "md":
        return markdown.write(told, base).encode()
    if form == "pdf":
        return pdf.write(told, base, report.base.period.until)
    return render_to_string("reports/file.html", {"story": told, "base": base, "style": documents.style()}).encode()


def file_name(report: TokenReport, form: str) -> str:
    return documents.file_name(report.base, form).replace("afterlaunch-", "afterlaunch-tokens-", 1)


def breakdowns(report: TokenReport) -> dict[str, tuple[SpendRow, ...]]:
    every = {**report.base.spend, **report.by}
    return {name: every[name] for name in (*BY, "tenant")}


def table(report: TokenReport) -> bytes:
    """One row per value of each dimension; each dimension sums to the same total. A value that nobody told is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("calls", *BUCKETS, "cost_usd", "calls_with_unknown_cost", *ESTIMATED, *BEFORE)
    writer.writerow(("month", "dimension", "value", *names))
    for dimension, rows in breakdowns(report).items():
        for row in rows:
            told = spend_row(row.window)
            before = (row.before.calls, usd(row.before.cost_nano)) if row.before else ("", "")
            value = _plain(row.value)
            figures = [told[name] for name in names[: -len(BEFORE)]]
            writer.writerow((report.base.period.month, dimension, value, *figures, *before))
    for one in report.purposes:  # what of the total was for users, and what for shadows, probes and tests
        told = {**one.buckets, **estimated(one), "calls": one.calls, "cost_usd": usd(one.cost_nano)}
        told["calls_with_unknown_cost"] = one.calls_unknown_cost
        figures = [told[name] for name in names[: -len(BEFORE)]]
        writer.writerow((report.base.period.month, "purpose", _plain(one.value), *figures, "", ""))
    return out.getvalue().encode()


def estimated(one: Share) -> dict[str, Any]:
    """What of the sums rests on tokens that nobody told."""
    return {
        "calls_estimated": one.calls_estimated,
        "tokens_estimated": one.tokens_estimated,
        "cost_estimated_usd": usd(one.cost_estimated_nano),
    }


def _plain(value: str | None) -> str:
    """What a spreadsheet would run as a formula gets an apostrophe in front."""
    text = value or ""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def document(report: TokenReport, base: str) -> dict[str, Any]:
    """For programs: money is decimal strings of USD."""
    at, when, found = links.Links(report.base), report.base.period, report.drivers
    ahead = report.forecast
    return {
        "report": "tokens",
        "month": when.month,
        "time_zone": when.zone,
        "from": when.start,
        "to": when.until,
        "state": "final" if when.over else "provisional",
        "seal": _sealed(report.seal),
        "client": report.base.scope.client,
        "system": report.base.scope.system,
        "total": spend_row(report.base.total) if report.base.total else None,
        "answered_transactions": report.answered,
        "failed_calls_cost_usd": usd(report.failed_nano),
        "month_before": {
            "month": report.base.before.month,
            "total": spend_row(report.base.before.window) if report.base.before.window else None,
        },
        "drivers": {
            "before_usd": usd(found.before_nano),
            "now_usd": usd(found.now_nano),
            "difference_usd": usd(found.difference),
            **{name: usd(found.parts[name]) for name in FACTORS},
        },
        "forecast": {
            "month": ahead.month,
            "low_usd": usd(ahead.low),
            "cost_usd": usd(ahead.middle),
            "high_usd": usd(ahead.high),
            "days": ahead.days,
        }
        if ahead
        else None,
        "spend": {
            name: {"rows": [documents.spend_of(name, row) for row in rows], "link": base + at.spend(name)}
            for name, rows in breakdowns(report).items()
        },
        "purposes": [
            {
                "purpose": one.value,
                "calls": one.calls,
                "cost_usd": usd(one.cost_nano),
                "calls_with_unknown_cost": one.calls_unknown_cost,
                **estimated(one),
            }
            for one in report.purposes
        ],
        "anomalies": [vars(one) for one in report.anomalies],
        "recommendations": list(report.savings),
        "budgets": [vars(one) for one in report.budgets],
        "reconciliation": [
            {
                "client": one.client,
                "provider": one.provider,
                "status": one.status,
                "reason": one.reason,
                "billed_usd": None if one.billed_nano is None else usd(one.billed_nano),
                "settled_usd": usd(one.settled_nano),
                "explained_usd": {name: usd(nano) for name, nano in one.explained.items()},
                "unexplained_usd": {name: usd(nano) for name, nano in one.unexplained.items()},
            }
            for one in report.bills
        ],
        "repricings": [
            {
                "id": one.pk,
                "client": one.client,
                "reason": one.reason,
                "calls": one.calls,
                "difference_usd": usd(one.difference_nano),
                "finished_at": one.finished_at,
            }
            for one in report.repriced
        ],
    }


def _sealed(seal: Sealed | None) -> dict[str, Any] | None:
    """None: not sealed. `same` None: it was sealed in another time zone, and nothing is compared."""
    if seal is None:
        return None
    same = not seal.differs if seal.compared else None
    told = {"sealed_at": seal.at, "sha256": seal.digest, "evidence_entry": seal.entry}
    return {**told, "same": same, "differs": list(seal.differs)}
