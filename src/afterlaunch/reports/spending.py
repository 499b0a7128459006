"""The tables of spend: by model, agent and tenant, and day by day. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from afterlaunch.look.formats import UNKNOWN
from afterlaunch.reports import charts, links
from afterlaunch.reports.blocks import ROWS, Column, Figure, Line, Mark, Section, Table, name_of
from afterlaunch.reports.contents import Day, Report, SpendRow
from afterlaunch.reports.periods import label
from afterlaunch.reports.words import cost, exact, many, number, of_a_sample
from afterlaunch.telemetry.windows import Window


def section(report: Report, at: links.Links) -> Section:
    tables = [spend_table(report, at, name) for name in ("model", "agent", "tenant")]
    drawn = [charts.spend(report, at)] if report.total else []
    return Section("spend", "Spend", (), [*drawn, *tables, _daily(report, at)])


def spend_table(report: Report, at: links.Links, name: str) -> Table:
    before = label(report.before.month)
    titles = ("Calls", "Fresh in", "Cached in", "Other in", "Out", "Reasoning", "Cost (USD)", "Cost unknown")
    columns = [Column(name.capitalize()), *(Column(title, True) for title in titles), Column(f"In {before}", True)]
    rows = [_spend_row(row, at, name, report) for row in report.spend[name][:ROWS]]
    rest = report.spend[name][ROWS:]
    if rest:
        rows.append(_totals(report, at, name, [row.window for row in rest], f"{many(len(rest), 'other')}"))
    if report.total is not None:
        rows.append(_totals(report, at, name, [row.window for row in report.spend[name]], "All"))
    notes: list[Line] = [("Cost is what is known of it; calls of unknown cost are counted beside, in no sum.",)]
    if report.total is not None and report.total.calls_estimated:
        part = exact(report.total.cost_estimated_nano)
        notes.append((f"≈: with estimates; {part} of all, where no provider told the usage.",))
    if report.total is not None and report.total.calls_sampled:
        notes.append((of_a_sample(report.total),))
    if report.before.window is None:
        notes.append((f"{before} has no telemetry: nothing to compare with.",))
    return Table(f"Spend by {name}", columns, rows, "No call was reported, so no spend is known.", notes)


def _spend_row(row: SpendRow, at: links.Links, name: str, report: Report) -> Sequence[Line]:
    source = at.spend(name, {name: row.value})
    if row.before is not None:
        earlier: Line = (Figure(cost(row.before), at.spend_before(name, {name: row.value})),)
    else:
        earlier = ("no data",) if report.before.window is None else ("none",)
    return ((name_of(row.value),), *_figures(row.window, source), earlier)


def _figures(row: Window, source: str) -> tuple[Line, ...]:
    buckets = row.buckets
    written = sum(buckets.get(f"in_cache_write_{kind}", 0) for kind in ("5m", "1h", "other"))
    told = any(buckets.values())  # when no call told its usage, its tokens are unknown, not zero
    counts = (
        buckets.get("in_uncached", 0),
        buckets.get("in_cache_read", 0),
        written + buckets.get("in_tool_use", 0),
        buckets.get("out_visible", 0),
        buckets.get("out_reasoning", 0),
    )
    return (
        (Figure(number(row.calls), source),),
        *((Figure(number(count) if told else UNKNOWN, source),) for count in counts),
        (Figure(cost(row), source),),
        (Figure(number(row.calls_unknown_cost), source),),
    )


def summed(rows: Sequence[Window], start: Window) -> Window:
    """Their sums as one window; `start` lends its bounds."""
    buckets: dict[str, int] = {}
    for row in rows:
        for bucket, count in row.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
    return Window(
        start.start,
        start.end,
        {},
        calls=sum(row.calls for row in rows),
        cost_nano=sum(row.cost_nano for row in rows),
        calls_unknown_cost=sum(row.calls_unknown_cost for row in rows),
        calls_estimated=sum(row.calls_estimated for row in rows),
        tokens_estimated=sum(row.tokens_estimated for row in rows),
        cost_estimated_nano=sum(row.cost_estimated_nano for row in rows),
        calls_sampled=sum(row.calls_sampled for row in rows),
        calls_unsent_milli=sum(row.calls_unsent_milli for row in rows),
        cost_unsent_nano=sum(row.cost_unsent_nano for row in rows),
        buckets=buckets,
    )


def _totals(report: Report, at: links.Links, name: str, rows: Sequence[Window], title: str) -> Sequence[Line]:
    before = report.before.window
    earlier: Line = ()
    if title == "All":
        earlier = ("no data",) if before is None else (Figure(cost(before), at.spend_before(name)),)
    return ((Mark(title),), *_figures(summed(rows, rows[0]), at.spend(name)), earlier)


def _daily(report: Report, at: links.Links) -> Table:
    columns = [Column("Day"), *(Column(title, True) for title in ("Calls", "Failed", "Cost (USD)", "Cost unknown"))]
    if report.total is None:
        return Table("Day by day", columns, [], "No call was reported on any day.")
    past = [day for day in report.days if not day.ahead]
    runs = [list(run) for _, run in groupby(past, lambda day: day.window is None)]
    rows = [
        row for run in runs for row in ([_silent(run, at)] if run[0].window is None else [_day(d, at) for d in run])
    ]
    return Table("Day by day", columns, rows, "No day of the month has begun.")


def _silent(run: Sequence[Day], at: links.Links) -> Sequence[Line]:
    """One row for days in a row without a call."""
    days = f"{run[0].date}" if len(run) == 1 else f"{run[0].date} to {run[-1].date}"
    return ((days,), (Figure("no data", at.spend("model", None, (run[0].start, run[-1].end))),), ("",), ("",), ("",))


def _day(day: Day, at: links.Links) -> Sequence[Line]:
    source = at.spend("model", None, (day.start, day.end))
    if day.window is None:  # silent days are shown by `_silent`
        raise ValueError(f"{day.date} has no call")
    return (
        (f"{day.date}",),
        (Figure(number(day.window.calls), source),),
        (Figure(number(day.window.failed), at.failed(None, (day.start, day.end))),),
        (Figure(cost(day.window), source),),
        (Figure(number(day.window.calls_unknown_cost), source),),
    )
