"""The token report as a story of blocks: what everybody reads, then every figure with its source. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from afterlaunch.look.formats import UNKNOWN
from afterlaunch.reports import charts, links, spending
from afterlaunch.reports.blocks import (
    ROWS,
    Column,
    Figure,
    Items,
    Line,
    Mark,
    Name,
    Section,
    Story,
    Table,
    Tile,
    name_of,
)
from afterlaunch.reports.periods import label
from afterlaunch.reports.rules import Gap, cost_words, missing
from afterlaunch.reports.tokens.contents import TokenReport
from afterlaunch.reports.words import cents, exact, many, moment, number, percent, roughly
from afterlaunch.savings.words import KINDS, STATES
from afterlaunch.spend.drivers import FACTORS, WORDS
from afterlaunch.telemetry.attribution import Share

BY = ("model", "agent", "route", "version", "provider")
MONEY_GAPS = ("cost_unknown", "no_month_before", "month_before_not_whole", "not_over", "days_without_calls")
TONES = {"breach": "breach", "warning": "warning", "ok": "ok"}
SHOWN = 3


def story(report: TokenReport) -> Story:
    base, at = report.base, links.Links(report.base)
    gaps = [one for one in missing(base, at) if one.name in MONEY_GAPS]
    wide = replace(base, spend={**base.spend, **report.by})
    return Story(
        title=f"Tokens in {base.period.label}: {base.scope.words}",
        subtitle=_subtitle(report),
        facts=_facts(report, at),
        tiles=_tiles(report, at),
        summary=_summary(report, gaps),
        sections=(
            Section(
                "spend", "Total spend", (), [*_drawn(report, at), *(spending.spend_table(wide, at, n) for n in BY)]
            ),
            _drivers(report),
            Section("tenants", "By tenant", _untold(report), [spending.spend_table(wide, at, "tenant")]),
            _anomalies(report),
            _savings(report),
            _swaps(report),
            _cache(report, at),
            _budgets(report),
            _bills(report),
            Section("missing-data", "Missing data", (), [Items("", [one.line for one in gaps], _ALL_THERE)]),
        ),
    )


_ALL_THERE = "Nothing that this report needs is missing."


def _subtitle(report: TokenReport) -> str:
    total = report.base.total
    if total is None:
        return "No call was reported in this month, so nothing was spent as far as is known."
    found, before = report.drivers, report.base.before.window
    said = f"{cost_words(report.base)} for {many(total.calls, 'call')}"
    if before is None or not found.before_nano:
        return said + "; there is no month before to compare with."
    main = max(FACTORS, key=lambda name: abs(found.parts[name]))
    word = "more" if found.difference > 0 else "less"
    if not found.difference:
        return said + ", as much as in the month before."
    earlier = label(report.base.before.month)
    return f"{said}: {cents(abs(found.difference))} {word} than in {earlier}, mostly by {WORDS[main]}."


def _facts(report: TokenReport, at: links.Links) -> Sequence[Line]:
    when = report.base.period
    first, last = when.local(when.start), when.local(when.until)
    state = "Final." if when.over else "Provisional: the month is not over."
    return (
        (f"{state} From {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, time zone {when.zone}.",),
        ("Costs are those known, by the price tables at the time of each call; calls of unknown cost are in no sum.",),
        (
            "Every number links to its source: ",
            Figure("this report in the product", at.tokens_page()),
            ", ",
            Figure("as JSON", at.tokens("json")),
            ", ",
            Figure("as CSV", at.tokens("csv")),
            ".",
        ),
    )


def _tiles(report: TokenReport, at: links.Links) -> list[Tile]:
    total, found = report.base.total, report.drivers
    tokens = sum(total.buckets.values()) if total else 0
    unknown = total.calls_unknown_cost if total else 0
    per = total.cost_nano // report.answered if total and report.answered else None
    note: Line = (f"{many(unknown, 'call')} of unknown cost beside it",) if unknown else ()
    if not unknown and report.base.before.window is not None and found.before_nano:
        note = (f"{label(report.base.before.month)}: {cents(found.before_nano)}",)
    cached = total.cache_read if total else 0
    ahead = report.forecast
    return [
        Tile("Known cost", Figure(cost_words(report.base), at.spend("model")), note, "warning" if unknown else ""),
        Tile(
            "Tokens",
            Figure(number(tokens), at.spend("model")),
            (f"{number(total.output_tokens)} out",) if total else (),
        ),
        Tile(
            "Per answered transaction",
            exact(per) if per is not None else UNKNOWN,
            (many(report.answered, "transaction"),) if report.answered else (),
        ),
        Tile(
            "From prompt cache",
            percent(cached, total.cache_known_input) if total and total.cache_known_input else UNKNOWN,
            ("of input, where told",),
        ),
        Tile(
            f"Forecast {label(ahead.month)}" if ahead else "Forecast",
            cents(ahead.middle) if ahead else "not assessed",
            (f"{cents(ahead.low)} to {cents(ahead.high)}",) if ahead else ("fewer than seven complete days",),
        ),
    ]


def _summary(report: TokenReport, gaps: Sequence[Gap]) -> list[Items]:
    found = report.drivers
    moved = [
        (f"{WORDS[name][0].upper()}{WORDS[name][1:]}: {_signed(found.parts[name])}.",)
        for name in sorted(FACTORS, key=lambda one: -abs(found.parts[one]))
        if abs(found.parts[name]) * 100 >= max(found.now_nano, found.before_nano, 1)
    ]
    top: list[Line] = [
        (Figure(one["title"], one["path"]), f": {_projected(one)} a month; risk {one['risk']}.")
        for one in report.savings
        if one["state"] == "projected"
    ]
    proved: list[Line] = [
        (Figure(one["title"], one["path"]), f": {STATES[one['state']]}, {_proved(one)}.")
        for one in report.savings
        if one["state"] in ("verified", "realised", "refuted")
    ]
    hit = [one for one in report.budgets if one.refused or (one.share or 0) >= 1]
    limits: list[Line] = [
        (
            Figure(one.name, f"/budgets/{one.pk}"),
            f": {_share(one.share)} of {one.limit} a {one.window}, {many(one.refused, 'call')} refused.",
        )
        for one in hit
    ]
    wrong = [one for one in report.bills if one.status == "breach"]
    limits += [(f"The bill of {one.provider} ({one.client}) differs from telemetry: {one.reason}.",) for one in wrong]
    return [
        Items("Why it changed", moved, "Nothing moved the cost by more than a hundredth."),
        Items("What could be saved", [*top[:SHOWN], *_rest(len(top) - SHOWN)], "No recommendation stands open."),
        Items("What was saved", proved, "No saving was measured yet."),
        Items("Limits and bills", limits, _quiet(report)),
        *([Items("What this report cannot tell", [one.line for one in gaps])] if gaps else []),
    ]


def _rest(count: int) -> list[Line]:
    return (
        [(f"And {many(count, 'more')[: -1 if count != 1 else None]} below. Savings of one place overlap.",)]
        if count > 0
        else []
    )


def _quiet(report: TokenReport) -> str:
    limits = "No budget was reached." if report.budgets else "No budget limits anything."
    bills = "No bill was imported." if not any(one.billed_nano is not None for one in report.bills) else "Bills agree."
    return f"{limits} {bills}"


def _signed(nano: int) -> str:
    return ("−" if nano < 0 else "+") + cents(abs(nano))


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.0%}"


def _untold(report: TokenReport) -> Sequence[Line]:
    total = report.base.total
    row = next((one for one in report.base.spend["tenant"] if one.value is None), None)
    if total is None or row is None or not row.window.calls:
        return ()
    return ((f"Nobody told the tenant of {percent(row.window.calls, total.calls)} of the calls: a row of their own.",),)


def _drawn(report: TokenReport, at: links.Links) -> list[Any]:
    return [charts.spend(report.base, at)] if report.base.total else []


def _drivers(report: TokenReport) -> Section:
    found = report.drivers
    columns = [Column("Part"), Column("USD", True)]
    before, now = label(report.base.before.month), report.base.period.label
    rows: list[Sequence[Line]] = [((Mark(before),), (exact(found.before_nano),))]
    rows += [((WORDS[name],), (_exactly(found.parts[name]),)) for name in FACTORS]
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
            (_exactly(one.difference),),
            (WORDS[one.main],),
        )
        for one in found.groups[:12]
        if one.difference
    ]
    columns = [Column("Calls of"), *(Column(name, True) for name in (before, now, "Difference")), Column("Mostly by")]
    return Section("drivers", "Why it changed", (), [parts, Table("What moved most", columns, moved, "Nothing moved.")])


def _exactly(nano: int) -> str:
    return ("−" if nano < 0 else "+" if nano else "") + exact(abs(nano))


def _anomalies(report: TokenReport) -> Section:
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


def _projected(one: Mapping[str, Any]) -> str:
    if one["saving_usd"] is None:
        return "not assessed"
    low, middle, high = (_usd(one[name]) for name in ("saving_low_usd", "saving_usd", "saving_high_usd"))
    return middle if low == high else f"{middle} ({low} to {high})"


def _usd(text: str) -> str:
    return f"${float(text):,.2f}"


def _proved(one: Mapping[str, Any]) -> str:
    told = one["measured"]
    if not told or "share" not in told:
        return "nothing yet"
    low, high = _usd(told["saving_low_usd"]), _usd(told["saving_high_usd"])
    return f"{_usd(told['saving_share_usd'])} a month ({low} to {high}), {told['share']:.1%} of the cost per call"


def _savings(report: TokenReport) -> Section:
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
            (_projected(one),),
            (_proved(one) if one["measured"] else UNKNOWN,),
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


def _swaps(report: TokenReport) -> Section:
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
            (_projected(one),),
            (" ".join([*one["evidence"], one["missing"]]).strip() or UNKNOWN,),
        )
        for one in report.savings[:ROWS]
        if one["kind"] == "model_swap"
    ]
    empty = "No route costs enough to look for another model."
    return Section("model-swaps", "Model-swap opportunities", (), [Table("Other models", columns, rows, empty)])


def _cache(report: TokenReport, at: links.Links) -> Section:
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
            (_cost(one),),
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


def _cost(one: Share) -> str:
    return "unknown" if one.calls and one.calls_unknown_cost == one.calls else exact(one.cost_nano)


def _budgets(report: TokenReport) -> Section:
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
            (_share(one.share),),
            (number(one.refused),),
            (one.overdraft or "none",),
        )
        for one in report.budgets[:ROWS]
    ]
    return Section(
        "budgets", "Budgets", (), [Table("Limits and their use", columns, rows, "No budget limits anything.")]
    )


def _bills(report: TokenReport) -> Section:
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
                ", ".join(f"{reason.replace('_', ' ')} {_signed(nano)}" for reason, nano in one.explained.items())
                or one.reason.replace("_", " "),
            ),
        )
        for one in report.bills
    ]
    adjusted = [
        (
            Figure(f"Repricing {one.pk}", f"/spend/repricings/{one.pk}"),
            f" of {one.client}: {many(one.calls, 'call')}, {_signed(one.difference_nano)}; {one.reason}",
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
