"""The token report below its summary: every figure with its source. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from afterlaunch.look.formats import UNKNOWN
from afterlaunch.reports import links
from afterlaunch.reports.blocks import ROWS, Column, Figure, Items, Line, Mark, Name, Section, Table, name_of
from afterlaunch.reports.periods import label
from afterlaunch.reports.tokens.contents import TokenReport
from afterlaunch.reports.tokens.words import cost_of, exactly, projected, proved, share_of, signed
from afterlaunch.reports.words import exact, many, moment, number, percent, roughly
from afterlaunch.savings.words import KINDS, STATES
from afterlaunch.spend.drivers import FACTORS, WORDS

TONES = {"breach": "breach", "warning": "warning", "ok": "ok"}


def drivers(report: TokenReport) -> Section:
    found = report.drivers
    columns = [Column("Part"), Column("USD", True)]
    before, now = label(report.base.before.month), report.base.period.label
    rows: list[Sequence[Line]] = [((Mark(before),), (exact(found.before_nano),))]
    rows += [((WORDS[name],), (exactly(found.parts[name]),)) for name in FACTORS]
    rows.append(((Mark(now),), (exact(found.now_nano),)))
    parts = Table(
        "From one month to the next",
        columns,
        rows if found.before_nano or found.now_nano else [],
        "Neither month has a known cost.",
        [("Parts add up to the difference. Months of different lengths differ in calls for that reason as well.",)],
    )
    moved = [
        (
            (" · ".join(part for part in one.key if part) or "not told",),
            (exact(one.before_nano),),
            (exact(one.now_nano),),
            (exactly(one.difference),),
            (WORDS[one.main],),
        )
        for one in found.groups[:12]
        if one.difference
    ]
    columns = [Column("Calls of"), *(Column(name, True) for name in (before, now, "Difference")), Column("Mostly by")]
    return Section("drivers", "Why it changed", (), [parts, Table("What moved most", columns, moved, "Nothing moved.")])


def anomalies(report: TokenReport) -> Section:
    when = report.base.period
    columns = [
        Column("When"),
        Column("System"),
        Column("Judge"),
        Column("Verdict"),
        Column("What it said"),
        Column("Incident"),
    ]
    rows = [
        (
            (moment(one.at, when),),
            (name_of(one.system),),
            (one.title,),
            (Mark(one.status, TONES[one.status]),),
            (Name(one.explanation),),
            (Figure(f"#{one.incident}", links.incident(one.incident)),) if one.incident else ("none",),
        )
        for one in report.anomalies[:ROWS]
    ]
    return Section(
        "anomalies",
        "Anomalies",
        (),
        [Table("Spend out of the ordinary", columns, rows, "No judge of spend found anything.")],
    )


def recommendations(report: TokenReport) -> Section:
    columns = [
        Column("Recommendation"),
        Column("Kind"),
        Column("State"),
        Column("Projected a month"),
        Column("Shown"),
        Column("Risk, or what is missing"),
    ]
    rows = [
        (
            (Figure(one["title"], one["path"]),),
            (KINDS[one["kind"]],),
            (STATES[one["state"]],),
            (projected(one),),
            (proved(one) if one["measured"] else UNKNOWN,),
            (one["missing"] or one["reason"] or one["risk"] or UNKNOWN,),
        )
        for one in report.savings[:ROWS]
        if one["kind"] != "model_swap"
    ]
    notes: list[Line] = [
        ("Savings of one place overlap, and states differ in what they prove: nothing here is added up.",)
    ]
    return Section(
        "recommendations",
        "Recommendations",
        (),
        [Table("What could be saved", columns, rows, "Nothing was found.", notes)],
    )


def swaps(report: TokenReport) -> Section:
    columns = [
        Column("Instead of"),
        Column("Model"),
        Column("State"),
        Column("Projected a month"),
        Column("Evidence, or what is missing"),
    ]
    rows = [
        (
            (Figure(str(one["place"]["model"] or "not told"), one["path"]),),
            (Name(one["target"]) if one["target"] else UNKNOWN,),
            (STATES[one["state"]],),
            (projected(one),),
            (" ".join([*one["evidence"], one["missing"]]).strip() or UNKNOWN,),
        )
        for one in report.savings[:ROWS]
        if one["kind"] == "model_swap"
    ]
    empty = "No route costs enough to look for another model."
    return Section("model-swaps", "Model-swap opportunities", (), [Table("Other models", columns, rows, empty)])


def cache(report: TokenReport, at: links.Links) -> Section:
    columns = [Column("Route"), *(Column(name, True) for name in ("Input tokens", "Read from cache", "Hit rate"))]
    rows = [
        (
            (name_of(one.value),),
            (Figure(number(one.window.cache_known_input), at.spend("route", {"route": one.value})),),
            (number(one.window.cache_read),),
            (percent(one.window.cache_read, one.window.cache_known_input),),
        )
        for one in report.by["route"][:ROWS]
        if one.window.cache_known_input
    ]
    rates = Table("Prompt cache", columns, rows, "No call told whether its input came from a cache.")
    columns = [
        Column("What for"),
        *(Column(name, True) for name in ("Calls", "Cost (USD)", "Share of cost", "Cost unknown")),
    ]
    whole = sum(one.cost_nano for one in report.purposes)
    purposes = [
        (
            (one.value or "not told",),
            (number(one.calls),),
            (cost_of(one),),
            (roughly(one.cost_nano / whole if whole else None),),
            (number(one.calls_unknown_cost),),
        )
        for one in report.purposes
    ]
    failed: Line = (f"Calls that failed cost {exact(report.failed_nano)}, as far as is known.",)
    return Section(
        "cache-and-waste",
        "Cache, trials and failed calls",
        (failed,),
        [rates, Table("What calls were for", columns, purposes, "No call was reported.")],
    )


def budgets(report: TokenReport) -> Section:
    columns = [
        Column("Budget"),
        Column("Mode"),
        Column("Limit"),
        Column("Fullest window", True),
        Column("Refused", True),
        Column("Overdraft", True),
    ]
    rows = [
        (
            (Figure(one.name, f"/budgets/{one.pk}"),),
            (one.mode,),
            (f"{one.limit} a {one.window}",),
            (share_of(one.share),),
            (number(one.refused),),
            (one.overdraft or "none",),
        )
        for one in report.budgets[:ROWS]
    ]
    return Section(
        "budgets", "Budgets", (), [Table("Limits and their use", columns, rows, "No budget limits anything.")]
    )


def bills(report: TokenReport) -> Section:
    columns = [
        Column("Client"),
        Column("Provider"),
        Column("Verdict"),
        *(Column(name, True) for name in ("Billed", "Telemetry", "Unexplained")),
        Column("Explained by"),
    ]
    rows = [
        (
            (one.client,),
            (one.provider,),
            (Mark(one.status.replace("_", " "), TONES.get(one.status, "")),),
            (UNKNOWN if one.billed_nano is None else exact(one.billed_nano),),
            (exact(one.settled_nano),),
            (UNKNOWN if one.billed_nano is None else exact(sum(abs(n) for n in one.unexplained.values())),),
            (
                ", ".join(f"{reason.replace('_', ' ')} {signed(nano)}" for reason, nano in one.explained.items())
                or one.reason.replace("_", " "),
            ),
        )
        for one in report.bills
    ]
    adjusted = [
        (
            Figure(f"Repricing {one.pk}", f"/spend/repricings/{one.pk}"),
            f" of {one.client}: {many(one.calls, 'call')}, {signed(one.difference_nano)}; {one.reason}",
        )
        for one in report.repriced
    ]
    return Section(
        "reconciliation",
        "Reconciliation and adjustments",
        (("Months of bills are cut in UTC, as providers do.",),),
        [
            Table("Bills against telemetry", columns, rows, "No provider was called or billed."),
            Items("Prices that were corrected", adjusted, "No past call was priced anew in this month."),
        ],
    )
