"""The first page: what somebody who runs no system wants to know, in plain sentences with few figures. Pure."""

from __future__ import annotations

from afterlaunch.reports import links
from afterlaunch.reports.blocks import Figure, Items, Line, Part, Tile
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
    note = f"{number(unknown)} calls of unknown cost" if unknown else _compared(report)
    return [
        Tile("Calls served", Figure(served, at.availability()), f"of {many(calls, 'call')}", tone),
        Tile("Cost", Figure(cost_words(report), at.spend("model")), note, "warning" if unknown else ""),
        Tile("Incidents", Figure(number(len(report.opened)), "/incidents"), _severities(report)),
        Tile("Late responses", Figure(number(late), "/incidents"), "first response", "breach" if late else ""),
        Tile(
            "Rollbacks", Figure(number(len(report.rollbacks)), "/changes"), f"{many(_changed(report), 'change')} made"
        ),
    ]


def _changed(report: Report) -> int:
    return sum(1 for one in report.changes if one.kind not in ("observed", "rollback"))


def _severities(report: Report) -> str:
    counts = {name: sum(1 for one in report.opened if one.severity == name) for name in ("P1", "P2", "P3")}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none opened"


def _compared(report: Report) -> str:
    before = report.before.window
    if before is None:
        return f"{label(report.before.month)}: no data"
    if before.calls_unknown_cost == before.calls:
        return f"{label(report.before.month)}: unknown"
    return f"{label(report.before.month)}: {cents(before.cost_nano)}"


def summary(report: Report, at: links.Links, advice: list[Advice], gaps: list[Gap]) -> list[Items]:
    said, _ = verdict_on(report)
    return [
        Items("How it went", [(said,), *_service(report, at)]),
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
        (f"{many(systems, 'AI system')} made {many(calls, 'call')} to a model; ", answered, " of them were answered."),
    ]
    down = sum(one.minutes_down for one in report.places)
    if down:
        lines.append((f"In {many(down, 'minute')} with traffic not one call was answered.",))
    quiet = [day for day in report.days if not day.ahead and day.window is None]
    if quiet:
        lines.append((f"On {many(len(quiet), 'day')} no call was reported; nothing is known of those.",))
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
        lines.append((f"In {_compared(report)}.",))
    dearest = report.spend["model"][0]
    if dearest.value and total.cost_nano and dearest.window.cost_nano:
        share = percent(dearest.window.cost_nano, total.cost_nano)
        cost = Figure(cents(dearest.window.cost_nano), at.spend("model", {"model": dearest.value}))
        lines.append((f"The largest part, {share}, went to one model (", cost, "); the list is below."))
    return lines


def _events(report: Report) -> list[Line]:
    if not report.incidents:
        return [("No incident was opened.",)]
    lines = [_event(report, one) for one in report.incidents[:SHOWN]]
    if len(report.incidents) > SHOWN:
        lines.append((f"And {many(len(report.incidents) - SHOWN, 'more incident')}; all are listed below.",))
    return lines


def _event(report: Report, one: IncidentFacts) -> Line:
    when = moment(one.detected_at, report.period)
    link: Part = Figure(f"#{one.pk}", links.incident(one.pk))
    begun = "carried over from before" if one.carried else f"{when} on {one.system}"
    if not one.real:
        return (f"{begun}: ", link, f" {one.title}. It was a false alarm.")
    return (f"{begun}: ", link, f" {one.title}. {_response(one)} {_ending(one)}")


def _response(one: IncidentFacts) -> str:
    clock = one.clock
    if clock is None:
        return "No response time was promised."
    promised = duration(clock.target_seconds)
    if clock.met_at is None:
        waiting = "and that time is over" if clock.verdict == "breached" else "and it is still running"
        return f"Nobody has responded yet; {promised} were promised, {waiting}."
    late = "in time" if clock.verdict == "met" else "too late"
    return f"Somebody responded after {duration(clock.actual_seconds)}, {late} ({promised} promised)."


def _ending(one: IncidentFacts) -> str:
    if one.contained_at is not None:
        return f"The harm had stopped after {duration(one.contain_seconds)}."
    if one.resolved_at is not None:
        return f"It was resolved after {duration((one.resolved_at - one.detected_at).total_seconds())}."
    return "It is still open."


def _deeds(report: Report) -> list[Line]:
    made = [one for one in report.changes if one.kind not in ("observed", "rollback")]
    seen = [one for one in report.changes if one.kind == "observed"]
    lines: list[Line] = []
    if made:
        first: list[Part] = [Figure(f"#{one.pk} {one.title}", links.change(one.pk)) for one in made[:SHOWN]]
        more = f" and {len(made) - SHOWN} more" if len(made) > SHOWN else ""
        lines.append((f"{many(len(made), 'change')} through the pipeline: ", *_listed(first), f"{more}."))
    for one in report.rollbacks[:SHOWN]:
        proof = f"shown by telemetry after {duration(one.verify_seconds)}" if one.verified_at else "not yet shown"
        back = Figure(f"#{one.parent or one.pk}", links.change(one.parent or one.pk))
        lines.append(
            ("The last good version was put back in place of change ", back, f" by the {one.author}; {proof}.")
        )
    if seen:
        lines.append((f"{many(len(seen), 'version')} appeared in production by themselves, outside the pipeline.",))
    return lines or [("Nothing was changed in production.",)]


def _listed(parts: list[Part]) -> Line:
    out: list[Part] = []
    for place, part in enumerate(parts):
        out += [", " if place else "", part]
    return tuple(out)


def _next(advice: list[Advice], gaps: list[Gap]) -> list[Line]:
    lines: list[Line] = [one.line for one in advice[:3]]
    if len(advice) > 3:
        lines.append((f"And {many(len(advice) - 3, 'more point')} under “What to improve”.",))
    if not advice:
        lines.append(("No rule found anything to improve. The rules see only what was reported.",))
    if gaps:
        lines.append((f"{many(len(gaps), 'thing')} this report could not tell: see “Missing data”.",))
    return lines
