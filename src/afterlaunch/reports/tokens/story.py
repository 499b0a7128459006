"""The token report as a story of blocks: what everybody reads, then every figure with its source. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from afterlaunch.look.formats import UNKNOWN
from afterlaunch.reports import charts, links, spending
from afterlaunch.reports.blocks import (
    Figure,
    Items,
    Line,
    Section,
    Story,
    Tile,
)
from afterlaunch.reports.periods import label
from afterlaunch.reports.rules import Gap, cost_words, missing
from afterlaunch.reports.tokens import sections
from afterlaunch.reports.tokens.contents import Sealed, TokenReport
from afterlaunch.reports.tokens.words import projected, proved, share_of, signed
from afterlaunch.reports.words import cents, exact, joined, many, number, of_a_sample, percent
from afterlaunch.savings.words import STATES
from afterlaunch.spend.drivers import FACTORS, WORDS

BY = ("model", "agent", "route", "version", "provider")
MONEY_GAPS = ("cost_unknown", "no_month_before", "month_before_not_whole", "not_over", "days_without_calls")
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
            sections.drivers(report),
            Section("tenants", "By tenant", _untold(report), [spending.spend_table(wide, at, "tenant")]),
            sections.anomalies(report),
            sections.recommendations(report),
            sections.swaps(report),
            sections.cache(report, at),
            sections.budgets(report),
            sections.bills(report),
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
    seal = report.seal
    return (
        *(((_sealed(seal),),) if seal else ()),
        *((_beside(report),) if report.beside else ()),
        *((_estimated(report),) if report.base.total and report.base.total.calls_estimated else ()),
        *(((of_a_sample(report.base.total),),) if report.base.total and report.base.total.calls_sampled else ()),
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


def _sealed(seal: Sealed) -> str:
    said = f"Sealed on {seal.at:%Y-%m-%d %H:%M} UTC, SHA-256 {seal.digest}, entry {seal.entry} of the evidence log."
    if not seal.compared:
        return f"{said} It was sealed in the client's time zone: this one is not compared with it."
    if not seal.differs:
        return f"{said} Computed now it is the same."
    parts = ", ".join(name.replace("_", " ") for name in seal.differs)
    return f"{said} Computed now it differs in: {parts}. The sealed one stands; adjustments appear in the next report."


def _beside(report: TokenReport) -> Line:
    """What of the total nobody asked for."""
    words = {"shadow": "shadow copies", "probe": "golden prompts"}
    parts = [f"{many(one.calls, 'call')} of {words[one.value or '']} ({exact(one.cost_nano)})" for one in report.beside]
    return (f"The total holds {joined(parts)}, for nobody who asked; see the table What calls were for.",)


def _estimated(report: TokenReport) -> Line:
    total = report.base.total
    assert total is not None
    said = f"≈ marks sums with estimates: {many(total.calls_estimated, 'call')} told no usage, so that "
    said += (
        f"{number(total.tokens_estimated)} tokens and {exact(total.cost_estimated_nano)} of the total are estimated."
    )
    return (said,)


def _tiles(report: TokenReport, at: links.Links) -> list[Tile]:
    total, found = report.base.total, report.drivers
    tokens = sum(total.buckets.values()) if total else 0
    unknown = total.calls_unknown_cost if total else 0
    asked = total.cost_nano - sum(one.cost_nano for one in report.beside) if total else 0
    per = asked // report.answered if total and report.answered else None
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
        (f"{WORDS[name][0].upper()}{WORDS[name][1:]}: {signed(found.parts[name])}.",)
        for name in sorted(FACTORS, key=lambda one: -abs(found.parts[one]))
        if abs(found.parts[name]) * 100 >= max(found.now_nano, found.before_nano, 1)
    ]
    top: list[Line] = [
        (Figure(one["title"], one["path"]), f": {projected(one)} a month; risk {one['risk']}.")
        for one in report.savings
        if one["state"] == "projected"
    ]
    shown: list[Line] = [
        (Figure(one["title"], one["path"]), f": {STATES[one['state']]}, {proved(one)}.")
        for one in report.savings
        if one["state"] in ("verified", "realised", "refuted")
    ]
    hit = [one for one in report.budgets if one.refused or (one.share or 0) >= 1]
    limits: list[Line] = [
        (
            Figure(one.name, f"/budgets/{one.pk}"),
            f": {share_of(one.share)} of {one.limit} a {one.window}, {many(one.refused, 'call')} refused.",
        )
        for one in hit
    ]
    wrong = [one for one in report.bills if one.status == "breach"]
    limits += [(f"The bill of {one.provider} ({one.client}) differs from telemetry: {one.reason}.",) for one in wrong]
    return [
        Items("Why it changed", moved, "Nothing moved the cost by more than a hundredth."),
        Items("What could be saved", [*top[:SHOWN], *_rest(len(top) - SHOWN)], "No recommendation stands open."),
        Items("What was saved", shown, "No saving was measured yet."),
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
    billed = [one for one in report.bills if one.billed_nano is not None]
    bills = "Bills agree." if all(one.status == "ok" for one in billed) else "Not every bill could be assessed."
    return f"{limits} {bills if billed else 'No bill was imported.'}"


def _untold(report: TokenReport) -> Sequence[Line]:
    total = report.base.total
    row = next((one for one in report.base.spend["tenant"] if one.value is None), None)
    if total is None or row is None or not row.window.calls:
        return ()
    return ((f"Nobody told the tenant of {percent(row.window.calls, total.calls)} of the calls: a row of their own.",),)


def _drawn(report: TokenReport, at: links.Links) -> list[Any]:
    return [charts.spend(report.base, at)] if report.base.total else []
