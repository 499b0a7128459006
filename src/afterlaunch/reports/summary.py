"""The first page: what somebody who runs no system wants to know, in plain sentences with few figures. Pure."""

from __future__ import annotations

from afterlaunch.reports import links
from afterlaunch.reports.blocks import Figure, Items, Jump, Line, Part, Tile
from afterlaunch.reports.contents import IncidentFacts, Report
from afterlaunch.reports.periods import label
from afterlaunch.reports.rules import Advice, Gap, cost_words, verdict_on
from afterlaunch.reports.words import cents, duration, many, moment, number, percent

SHOWN = 5


def tiles(report: Report, at: links.Links) -> list[Tile]:
    calls = sum(place.calls for place in report.places)
    unserved = sum(place.unserved for place in report.places)
    served = percent(calls - unserved, calls) if calls else "not known"
    tone = "" if not calls else "ok" if unserved < 0.01 * calls else "warning"
    total = report.total
    unknown = total.calls_unknown_cost if total else 0
    late = sum(1 for one in report.opened if one.clock and one.clock.verdict == "breached")
    beside: Part = Figure(many(unknown, "call"), at.spend("model"))
    note: Line = ("and ", beside, " of unknown cost") if unknown else _compared(report, at)
    return [
        Tile(
            "Calls served",
            Figure(served, at.availability()),
            ("of ", Figure(many(calls, "call"), at.spend("system"))),
            tone,
        ),
        Tile("Cost", Figure(cost_words(report), at.spend("model")), note, "warning" if unknown else ""),
        Tile("Incidents", Figure(number(len(report.opened)), "/incidents"), (_severities(report),)),
        Tile("Late responses", Figure(number(late), "/incidents"), ("first response",), "breach" if late else ""),
        Tile(
            "Rollbacks",
            Figure(number(len(report.rollbacks)), "/changes"),
            ("of ", Figure(many(_changed(report), "change"), "/changes")),
        ),
    ]


def _changed(report: Report) -> int:
    return sum(1 for one in report.changes if one.kind not in ("observed", "rollback"))


def _severities(report: Report) -> str:
    counts = {name: sum(1 for one in report.opened if one.severity == name) for name in ("P1", "P2", "P3")}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none opened"


def _compared(report: Report, at: links.Links) -> Line:
    before, month = report.before.window, label(report.before.month)
    if before is None:
        return (f"{month}: no data",)
    unknown = before.calls_unknown_cost == before.calls
    return (f"{month}: ", Figure("unknown" if unknown else cents(before.cost_nano), at.spend_before("model")))


def summary(report: Report, at: links.Links, advice: list[Advice], gaps: list[Gap]) -> list[Items]:
    said, _ = verdict_on(report)
    return [
        Items("How it went", _service(report, at) or [(said,)]),
        Items("What it cost", _costs(report, at)),
        Items("What happened", _events(report)),
        Items("What we did", _deeds(report)),
        Items("What next", _next(advice, gaps)),
    ]


def _service(report: Report, at: links.Links) -> list[Line]:
    calls, unserved = sum(one.calls for one in report.places), sum(one.unserved for one in report.places)
    if not calls:
        return []
    systems = len({one.place[:2] for one in report.places})
    answered = Figure(percent(calls - unserved, calls), at.availability())
    lines: list[Line] = [
        (
            Figure(many(systems, "AI system"), "/systems"),
            " made ",
            Figure(many(calls, "call"), at.spend("system")),
            " to a model; ",
            answered,
            " of them were answered.",
        ),
    ]
    down = sum(one.minutes_down for one in report.places)
    if down:
        lines.append(("In ", Figure(many(down, "minute"), at.availability()), " with traffic no call was answered."))
    quiet = [day for day in report.days if not day.ahead and day.window is None]
    if quiet:
        days = Figure(many(len(quiet), "day"), at.spend("system"))
        lines.append(("On ", days, " no call was reported; nothing is known of those."))
    return lines


def _costs(report: Report, at: links.Links) -> list[Line]:
    total, before = report.total, report.before.window
    if total is None:
        return [("No call was reported, so no cost is known.",)]
    paid = Figure(cost_words(report), at.spend("model"))
    lines: list[Line] = [("The model providers' price for it, from the published price lists: ", paid, ".")]
    if total.calls_unknown_cost:
        unknown = Figure(many(total.calls_unknown_cost, "call"), at.spend("model"))
        lines.append(("Not in it: ", unknown, " whose cost is not known. The true sum is higher."))
    if before is None:
        lines.append((f"There is nothing to compare with: {label(report.before.month)} has no data.",))
    else:
        lines.append((*_compared(report, at), "."))
    dearest = report.spend["model"][0]
    if dearest.value and total.cost_nano and dearest.window.cost_nano:
        source = at.spend("model", {"model": dearest.value})
        share = Figure(percent(dearest.window.cost_nano, total.cost_nano), source)
        cost = Figure(cents(dearest.window.cost_nano), source)
        lines.append(("The largest part, ", share, ", went to one model (", cost, "); the list is below."))
    return lines


def _events(report: Report) -> list[Line]:
    if not report.incidents:
        return [("No incident was opened.",)]
    gravest = sorted(report.incidents, key=lambda one: (not one.real, one.severity, one.detected_at))
    lines = [_event(report, one) for one in gravest[:SHOWN]]
    if len(gravest) > SHOWN:
        more = Figure(many(len(gravest) - SHOWN, "more incident"), "/incidents")
        lines.append(("And ", more, "; all are listed below."))
    return lines


def _event(report: Report, one: IncidentFacts) -> Line:
    when = moment(one.detected_at, report.period)
    link: Part = Figure(f"#{one.pk}", links.incident(one.pk))
    begun = "carried over from before" if one.carried else f"{when} on {one.system}"
    head: Line = (f"{begun}: ", link, f" {one.title}. ")
    if not one.real:
        return (*head, "It was a false alarm.")
    return (*head, *_response(one), " ", *_ending(one))


def _response(one: IncidentFacts) -> Line:
    clock = one.clock
    if clock is None:
        return ("No response time was promised.",)
    source = links.incident(one.pk)
    promised = Figure(duration(clock.target_seconds), source)
    if clock.met_at is None:
        waiting = "that time is over" if clock.verdict == "breached" else "that time is still running"
        return ("Nobody has responded yet; ", promised, f" were promised, and {waiting}.")
    late = "in time" if clock.verdict == "met" else "too late"
    return ("Somebody responded after ", Figure(duration(clock.actual_seconds), source), f", {late} (", promised,
            " promised).")  # fmt: skip


def _ending(one: IncidentFacts) -> Line:
    source = links.incident(one.pk)
    if one.contained_at is not None:
        return ("The harm had stopped after ", Figure(duration(one.contain_seconds), source), ".")
    if one.resolved_at is not None:
        lasted = (one.resolved_at - one.detected_at).total_seconds()
        return ("It was resolved after ", Figure(duration(lasted), source), ".")
    return ("It is still open.",)


def _deeds(report: Report) -> list[Line]:
    made = [one for one in report.changes if one.kind not in ("observed", "rollback")]
    seen = [one for one in report.changes if one.kind == "observed"]
    lines: list[Line] = []
    if made:
        first: list[Part] = [Figure(f"#{one.pk} {one.title}", links.change(one.pk)) for one in made[:SHOWN]]
        more: Line = (" and ", Figure(f"{len(made) - SHOWN} more", "/changes")) if len(made) > SHOWN else ()
        lines.append((Figure(many(len(made), "change"), "/changes"), " in the pipeline: ", *_listed(first), *more, "."))
    for one in report.rollbacks[:SHOWN]:
        took = Figure(duration(one.verify_seconds), links.change(one.pk))
        proof: Line = ("telemetry showed it after ", took) if one.verified_at else ("telemetry has not shown it yet",)
        undone = Figure(f"#{one.parent or one.pk}", links.change(one.parent or one.pk))
        lines.append(
            ("Change ", undone, f" was taken back by {one.author}: the last good version serves; ", *proof, ".")
        )
    if len(report.rollbacks) > SHOWN:
        lines.append(("And ", Figure(many(len(report.rollbacks) - SHOWN, "more rollback"), "/changes"), "."))
    if seen:
        versions = Figure(many(len(seen), "new version"), "/changes")
        lines.append((versions, " appeared in production outside the pipeline."))
    return lines or [("Nothing was changed in production.",)]


def _listed(parts: list[Part]) -> Line:
    out: list[Part] = []
    for place, part in enumerate(parts):
        out += [", " if place else "", part]
    return tuple(out)


def _next(advice: list[Advice], gaps: list[Gap]) -> list[Line]:
    lines: list[Line] = [one.line for one in advice[:3]]
    if len(advice) > 3:
        more = Jump(many(len(advice) - 3, "more point"), "what-to-improve")
        lines.append(("And ", more, " under “What to improve”."))
    if not advice:
        lines.append(("No rule found anything to improve. The rules see only what was reported.",))
    if gaps:
        lines.append((Jump(many(len(gaps), "thing"), "missing-data"), " this report cannot tell: see “Missing data”."))
    return lines
