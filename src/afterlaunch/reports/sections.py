"""The part for who wants to know exactly: tables with every figure and where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from afterlaunch.reports import charts, links, spending
from afterlaunch.reports.blocks import (
    ROWS,
    Column,
    Figure,
    Items,
    Line,
    Mark,
    Name,
    Part,
    Section,
    Story,
    Table,
    name_of,
)
from afterlaunch.reports.contents import (
    ChangeFacts,
    ClockFacts,
    IncidentFacts,
    JudgeFacts,
    PlaceFacts,
    Report,
)
from afterlaunch.reports.rules import advice, missing, verdict_on
from afterlaunch.reports.summary import summary, tiles
from afterlaunch.reports.words import (
    duration,
    many,
    milliseconds,
    moment,
    number,
    percent,
    roughly,
)

TONES = {"met": "ok", "breached": "breach", "running": "warning"}
CLOCK_WORDS = {"met": "met", "breached": "missed", "running": "running"}
DEFINITIONS: Sequence[Line] = (
    (
        "A call is served when it did not fail. A call that its user cancelled counts as served; every other failure"
        " counts, whosever fault it is.",
    ),
    (
        "Minutes up are the minutes with traffic in which at least one call was served. Minutes without traffic are"
        " named, and are neither up nor down: nobody knows.",
    ),
)


def story(report: Report) -> Story:
    """The whole document, without a format."""
    at = links.Links(report)
    found, gaps = advice(report, at), missing(report, at)
    said, _ = verdict_on(report)
    return Story(
        title=f"{report.period.label}: {report.scope.words}",
        subtitle=said,
        facts=_facts(report, at),
        tiles=tiles(report, at),
        summary=summary(report, at, found, gaps),
        sections=(
            _availability(report, at),
            _judges(report, at),
            _incidents(report, at),
            spending.section(report, at),
            _changes(report),
            Section("what-to-improve", "What to improve", (), [Items("", [one.line for one in found], _NOTHING)]),
            Section("missing-data", "Missing data", (), [Items("", [one.line for one in gaps], _ALL_THERE)]),
        ),
    )


_NOTHING = "No rule found anything to improve. That is no proof that all is well: the rules see only what was reported."
_ALL_THERE = "Nothing that this report needs is missing."


def _facts(report: Report, at: links.Links) -> Sequence[Line]:
    when = report.period
    first, last = when.local(when.start), when.local(when.until)
    return (
        (f"From {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, time zone {when.zone}.",),
        ("Every number links to its source: ", Figure("this report in the product", at.page()), ", ",
         Figure("as JSON", at.report("json")), "."),
    )  # fmt: skip


# -- availability and judges ----------------------------------------------------------------------------------------


def _availability(report: Report, at: links.Links) -> Section:
    columns = [Column("System"), Column("Environment")]
    columns += [Column(name, True) for name in ("Calls", "Failed", "Served", "Minutes up", "No traffic", "p50", "p95")]
    columns += [Column("Failures by whose fault")]
    minutes = int((report.period.until - report.period.start).total_seconds() // 60)
    table = Table(
        "Calls served",
        columns,
        [_place(one, at, minutes) for one in report.places],
        "No call was reported in this month, so availability is not known.",
        DEFINITIONS,
    )
    drawn = [charts.availability(report), charts.calls(report, at)] if report.places else []
    return Section("availability", "Availability", (), [*drawn, table])


def _place(one: PlaceFacts, at: links.Links, minutes: int) -> Sequence[Line]:
    source = at.availability(one.place)
    system: Part = Figure(one.name, links.system(one.system_pk)) if one.system_pk else name_of(one.place[1])
    up = f"{percent(one.minutes - one.minutes_down, one.minutes)} of {number(one.minutes)}"
    faults = ", ".join(f"{count:,} {fault}" for fault, count in one.faults.items())
    return (
        (system,),
        (name_of(one.place[2]),),
        (Figure(number(one.calls), source),),
        (Figure(number(one.unserved), at.failed(one.place)),),
        (Figure(percent(one.calls - one.unserved, one.calls), source),),
        (Figure(up, source),),
        (Figure(f"{number(minutes - one.minutes)} min", source),),
        (Figure(milliseconds(one.window.p50_ms), at.latency(one.place)),),
        (Figure(milliseconds(one.window.p95_ms), at.latency(one.place)),),
        (Figure(faults, source),) if faults else ("none",),
    )


def _judges(report: Report, at: links.Links) -> Section:
    columns = [Column("System"), Column("Judge"), Column("Looked at", True)]
    columns += [Column(name, True) for name in ("Watched", "OK", "Warning", "Breach", "Not assessed")]
    table = Table(
        "How long each judge said what",
        columns,
        [_judge(one, at) for one in report.judges],
        "No judge gave a verdict in this month.",
        (
            (
                "Shares are of the time since the judge's first verdict, summed over the scopes it looked at (the"
                " system, its arms, its providers or its hosts).",
            ),
            (
                "A verdict is believed up to one hour after the last call and up to the last assessment. The rest is"
                " not assessed, and not assessed is never ok.",
            ),
        ),
    )
    return Section("judges", "Judges", (), [table, _troubles(report, at)])


def _judge(one: JudgeFacts, at: links.Links) -> Sequence[Line]:
    source = at.verdicts((one.client, one.system, one.environment), one.judge)
    scope = Figure(many(one.scopes, one.level), source)

    def share(status: str) -> Line:
        return (Figure(roughly(one.share(status)), source),)

    return (
        _judged(one),
        (one.title,),
        (scope,),
        (Figure(duration(one.watched), source),),
        *(share(status) for status in ("ok", "warning", "breach", "not_assessed")),
    )


def _troubles(report: Report, at: links.Links) -> Table:
    rows = []
    for one in report.judges:
        source = at.verdicts((one.client, one.system, one.environment), one.judge)
        for bad in one.trouble:
            held = [
                (Figure(duration(seconds) if seconds else "none", source),) for seconds in (bad.breach, bad.warning)
            ]
            rows.append((_judged(one), (one.title,), (bad.scope,), *held))
    columns = [Column("System"), Column("Judge"), Column("Scope"), Column("Breach", True), Column("Warning", True)]
    empty = "No judge found a breach or a warning." if report.judges else "No judge gave a verdict in this month."
    return Table("Where it was not ok", columns, rows[:ROWS], empty, _cut(rows))


def _judged(one: JudgeFacts) -> Line:
    system: Part = Figure(one.name, links.system(one.system_pk)) if one.system_pk else Name(one.system)
    return (system, ", ", Name(one.environment))


def _cut(rows: Sequence[object]) -> Sequence[Line]:
    return ((f"{many(len(rows) - ROWS, 'more row')} in the JSON of this report.",),) if len(rows) > ROWS else ()


# -- incidents ------------------------------------------------------------------------------------------------------


def _incidents(report: Report, at: links.Links) -> Section:
    names = ["Incident", "Severity", "Opened", "Promised", "Responded", "Clock", "Harm stopped after", "State", "Cause"]
    numbers = ("Promised", "Responded", "Harm stopped after")
    shown = report.incidents[:ROWS]
    table = Table(
        "Incidents and their response clocks",
        [Column(name, name in numbers) for name in names],
        [row for one in shown for row in _incident(one, report)],
        "No incident was opened in this month, and none was open when it began.",
        (
            ("A clock is met when somebody able to act responded by its deadline; it runs from the detection.",),
            *_cut(report.incidents),
        ),
    )
    return Section("incidents", "Incidents", (), [table])


def _incident(one: IncidentFacts, report: Report) -> list[Sequence[Line]]:
    source = links.incident(one.pk)
    cause: Line = (one.cause or "Not looked into here; its page tells.",)
    for pk, title in one.changes[:3]:
        cause = (*cause, " Changed before: ", Figure(f"#{pk} {title}", links.change(pk)), ".")
    head: tuple[Line, ...] = (
        (Figure(f"#{one.pk} {one.title}", source), f" ({one.system}, {one.environment or 'all environments'})"),
        (Mark(one.severity, "warning" if one.severity == "P3" else "breach"),),
        (Figure(moment(one.detected_at, report.period), source), " (carried over)" if one.carried else ""),
    )
    state = "false alarm" if not one.real else one.phase if one.status == "open" else f"resolved, {one.phase}"
    tail: tuple[Line, ...] = (
        (Figure(duration(one.contain_seconds, "not measured" if one.resolved_at else "not yet"), source),),
        (state,),
        cause,
    )
    clocks: list[ClockFacts | None] = list(one.clocks) or [None]
    rows: list[Sequence[Line]] = []
    for clock in sorted(clocks, key=lambda row: bool(row and row.replaced)):
        outer = (head, tail) if not rows else (_again(clock), ((), (), ()))
        rows.append((*outer[0], *_clock(clock, source), *outer[1]))
    return rows


def _again(clock: ClockFacts | None) -> tuple[Line, ...]:
    severity = clock.severity if clock else ""
    return (("the clock before its severity changed",), (Mark(severity),), ())


def _clock(clock: ClockFacts | None, source: str) -> tuple[Line, ...]:
    if clock is None:
        return (("no promise",), ("",), ("",))
    return (
        (Figure(duration(clock.target_seconds), source),),
        (Figure(duration(clock.actual_seconds, "nobody yet"), source),),
        (Mark(CLOCK_WORDS[clock.verdict], TONES[clock.verdict]),),
    )


# -- changes --------------------------------------------------------------------------------------------------------


def _changes(report: Report) -> Section:
    names = ["Change", "Kind", "By", "Proposed", "Rolled out", "Ended", "State", "Proof"]
    made = [one for one in report.changes if one.kind != "observed"]
    seen = [one for one in report.changes if one.kind == "observed"]
    table = Table(
        "Changes and rollbacks",
        [Column(name) for name in names],
        [_change(one, report) for one in made[:ROWS]],
        "No change went through the pipeline in this month.",
        _cut(made),
    )
    versions = Table(
        "Versions that appeared by themselves",
        [Column("Version"), Column("System"), Column("First seen")],
        [
            (
                (Figure(f"#{one.pk} {one.title}", links.change(one.pk)),),
                (f"{one.system}, {one.environment}",),
                (moment(one.proposed_at, report.period),),
            )
            for one in seen[:ROWS]
        ],
        "None was seen.",
        _cut(seen),
    )
    return Section("changes", "Changes", (), [table, versions])


def _change(one: ChangeFacts, report: Report) -> Sequence[Line]:
    when, source = report.period, links.change(one.pk)
    undone: Line = (" undoes ", Figure(f"#{one.parent}", links.change(one.parent))) if one.parent else ()
    tone = {"complete": "ok", "rolled_back": "warning"}.get(one.state, "")
    proof = one.verification or ("" if one.kind != "rollback" else "Not assessed yet.")
    if one.verify_seconds is not None:
        proof = f"{proof} After {duration(one.verify_seconds)}."
    return (
        (Figure(f"#{one.pk} {one.title}", source), *undone, f" ({one.system}, {one.environment})"),
        (one.kind,),
        (one.author,),
        (moment(one.proposed_at, when),),
        (moment(one.started_at, when),),
        (moment(one.finished_at, when),),
        (Mark(one.state.replace("_", " "), tone),),
        (proof,),
    )
