"""What to improve, and what is missing: each a pure rule over the report's facts, with a name, the evidence and where
it stands. No rule guesses: what it cannot see, it does not say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from afterlaunch.reports import links
from afterlaunch.reports.blocks import Figure, Line, Name, Part
from afterlaunch.reports.contents import IncidentFacts, PlaceFacts, Report, SystemFacts
from afterlaunch.reports.periods import label
from afterlaunch.reports.words import cents, duration, exact, many, number, percent, roughly
from afterlaunch.spend.rules import CacheHits
from afterlaunch.verdicts.words import MINIMUM_CALLS

SERVED_LINE = 0.99
JUMP = 1.5
MOSTLY = 0.5
CACHE_LINE = CacheHits().limit
CHIEF_FAULTS = {
    "provider": "the provider's side",
    "network": "the network",
    "account": "the account (keys, quota)",
    "caller": "the calling application",
    "model policy": "the model's policy",
    "tool": "a tool",
    "retrieval": "retrieval",
    "application": "the application",
    "unknown": "a side that is not told",
}


@dataclass(frozen=True)
class Advice:
    """`name` names the rule; `line` is the evidence and what to do, with links."""

    name: str
    line: Line


@dataclass(frozen=True)
class Gap:
    """Something that the report cannot tell."""

    name: str
    line: Line


def _listed(parts: list[Part]) -> Line:
    out: list[Part] = []
    for place, part in enumerate(parts):
        out += [", " if place else "", part]
    return tuple(out)


def _incidents(found: list[IncidentFacts]) -> Line:
    return _listed([Figure(f"#{one.pk}", links.incident(one.pk)) for one in found])


def _systems(found: list[SystemFacts]) -> Line:
    return _listed([Figure(one.name, links.system(one.pk)) for one in found])


def _place(one: PlaceFacts) -> Line:
    system: Part = Name(one.name) if one.name else "A system that is not told"
    return (system, ", ", Name(one.place[2]) if one.place[2] else "environment not told", ": ")


# -- what to improve ------------------------------------------------------------------------------------------------


def missed_clocks(report: Report, at: links.Links) -> Iterator[Advice]:
    late = [one for one in report.opened if one.clock and one.clock.verdict == "breached"]
    if late:
        yield Advice(
            "missed_clock",
            (
                "The first response came too late in ",
                Figure(many(len(late), "incident"), "/incidents"),
                " (",
                *_incidents(late),
                "). Look at who was paged and when, and at the on-call rotation.",
            ),
        )


def without_owner(report: Report, at: links.Links) -> Iterator[Advice]:
    found = [one for one in report.systems if one.owner is None]
    if found:
        yield Advice("no_owner", ("Nobody owns ", *_systems(found), ". Adopt each and name an owner."))


def unreachable_owner(report: Report, at: links.Links) -> Iterator[Advice]:
    found = [one for one in report.systems if one.owner is not None and not one.owner_reachable]
    if found:
        line = ("The owner has no verified contact, so a page would not arrive: ", *_systems(found), ".")
        yield Advice("owner_not_reachable", (*line, " Add one under ", Figure("On-call", "/oncall"), "."))


def without_rotation(report: Report, at: links.Links) -> Iterator[Advice]:
    for client in sorted({one.client for one in report.systems if not one.has_rotation}):
        yield Advice(
            "no_rotation",
            ("Client ", Name(client), " has no on-call rotation; set one up under ", Figure("On-call", "/oncall"), "."),
        )


def not_reviewed(report: Report, at: links.Links) -> Iterator[Advice]:
    found = [one for one in report.incidents if one.phase == "review"]
    if found:
        yield Advice("no_review", (Figure(many(len(found), "incident"), "/incidents"), " still to be reviewed: ",
                                   *_incidents(found), "."))  # fmt: skip


def repeated(report: Report, at: links.Links) -> Iterator[Advice]:
    groups: dict[str, list[IncidentFacts]] = defaultdict(list)
    for one in report.incidents:
        if one.real:
            groups[one.fingerprint].append(one)
    for found in groups.values():
        if len(found) > 1:
            where: Line = ("The same trouble opened ", Figure(many(len(found), "incident"), "/incidents"),
                           " on ", Name(found[0].system), " (")  # fmt: skip
            yield Advice("repeated_incident", (*where, *_incidents(found), "). Its cause still stands; find it."))


def rollbacks_open(report: Report, at: links.Links) -> Iterator[Advice]:
    found = [one for one in report.rollbacks if one.verified_at is None]
    if found:
        which = _listed([Figure(f"#{one.pk}", links.change(one.pk)) for one in found])
        yield Advice("rollback_not_verified", ("No telemetry shows that these rollbacks took effect: ", *which, "."))


def failures(report: Report, at: links.Links) -> Iterator[Advice]:
    for place in report.places:
        share = 1 - place.unserved / place.calls
        if place.calls < MINIMUM_CALLS or share >= SERVED_LINE:
            continue
        chief, hits = next(((f, n) for f, n in place.faults.items() if f != "user"), ("unknown", place.unserved))
        yield Advice(
            "calls_not_served",
            (
                *_place(place),
                Figure(number(place.unserved), at.failed(place.place)),
                " of ",
                Figure(many(place.calls, "call"), at.availability(place.place)),
                " failed (",
                Figure(percent(place.unserved, place.calls), at.availability(place.place)),
                "); most often (",
                Figure(number(hits), at.availability(place.place)),
                f") on {CHIEF_FAULTS.get(chief, chief)}.",
            ),
        )


def blind_judges(report: Report, at: links.Links) -> Iterator[Advice]:
    places: dict[tuple[str, str, str, int | None], list[str]] = defaultdict(list)
    for judge in report.judges:
        share = judge.share("not_assessed")
        if share is not None and share > MOSTLY:
            places[judge.client, judge.system, judge.environment, judge.system_pk].append(judge.title)
    judges = Counter((judge.client, judge.system, judge.environment) for judge in report.judges)
    for (client, system, environment, pk), titles in places.items():
        which = Figure(system, links.system(pk) if pk else at.verdicts((client, system, environment), ""))
        names = ", ".join(sorted(set(titles)))
        if len(titles) == judges[client, system, environment]:
            line: Line = (which, ", ", Name(environment), ": no judge could tell much for most of the time.")
        else:
            line = (which, ", ", Name(environment), f": these judges could not tell most of the time: {names}.")
        yield Advice("mostly_not_assessed", (*line, " Each verdict says what it lacks (traffic, history, prices)."))


def unknown_cost(report: Report, at: links.Links) -> Iterator[Advice]:
    found = [row for row in report.spend["model"] if row.window.calls_unknown_cost]
    if found:
        calls = sum(row.window.calls_unknown_cost for row in found)
        names: list[Part] = [Name(row.value) if row.value else "calls that tell no model" for row in found[:5]]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield Advice(
            "unknown_cost",
            (
                "The cost of ",
                Figure(many(calls, "call"), at.spend("model")),
                " is not known, so the bill is higher than the sum here: ",
                *_listed(names),
                f"{more}. A price or the token counts are missing.",
            ),
        )


def cold_cache(report: Report, at: links.Links) -> Iterator[Advice]:
    for place in report.places:
        window = place.window
        if window.cache_known_calls < MINIMUM_CALLS or not window.cache_read or not window.cache_known_input:
            continue
        share = window.cache_read / window.cache_known_input
        if share < CACHE_LINE:
            rate = Figure(roughly(share), at.cache(place.place))
            line = f" of the input came from the prompt cache; below {CACHE_LINE:.0%} it saves little."
            yield Advice("low_cache_rate", (*_place(place), rate, line, " Put what is equal in all prompts first."))


def dearer(report: Report, at: links.Links) -> Iterator[Advice]:
    """Only between two whole months, or a whole month already exceeded."""
    before, total = report.before.window, report.total
    if before is None or total is None or report.before.days_with_calls < report.before.days or not before.cost_nano:
        return
    if total.cost_nano > before.cost_nano * JUMP:
        grown = [row for row in report.spend["model"] if row.before and row.window.cost_nano > row.before.cost_nano]
        grown.sort(key=lambda row: -(row.window.cost_nano - (row.before.cost_nano if row.before else 0)))
        most: Line = (" Most of it: ", Name(grown[0].value or "no model told"), ".") if grown else ()
        now = Figure(exact(total.cost_nano), at.spend("model"))
        then = Figure(exact(before.cost_nano), at.spend_before("model"))
        yield Advice(
            "spend_jumped",
            ("Spend is ", now, " after ", then, f" in {label(report.before.month)}.", *most),
        )


def untold(report: Report, at: links.Links) -> Iterator[Advice]:
    for name in ("tenant", "agent"):
        row = next((one for one in report.spend[name] if one.value is None), None)
        if row and report.total and 0.1 * report.total.calls < row.window.calls < report.total.calls:
            told = Figure(many(row.window.calls, "call"), at.spend(name))
            of = Figure(percent(row.window.calls, report.total.calls), at.spend(name))
            yield Advice(f"{name}_not_told", (told, " (", of, f") tell no {name}, so nobody can be charged for them."))


RULES: tuple[Callable[[Report, links.Links], Iterator[Advice]], ...] = (
    missed_clocks,
    repeated,
    failures,
    rollbacks_open,
    not_reviewed,
    without_owner,
    unreachable_owner,
    without_rotation,
    unknown_cost,
    dearer,
    cold_cache,
    untold,
    blind_judges,
)


def advice(report: Report, at: links.Links) -> list[Advice]:
    """In the order of weight; empty when no rule found anything."""
    return [one for rule in RULES for one in rule(report, at)]


# -- what is missing ------------------------------------------------------------------------------------------------


def month_runs(report: Report, at: links.Links) -> Iterator[Gap]:
    when = report.period
    if not when.over:
        until = f"{when.local(when.until):%Y-%m-%d %H:%M}"
        yield Gap("month_not_over", (f"{when.label} is not over: the figures reach until {until} ({when.zone}).",))


def silent_days(report: Report, at: links.Links) -> Iterator[Gap]:
    past = [day for day in report.days if not day.ahead]
    quiet = [day for day in past if day.window is None]
    if report.total is None:
        yield Gap("no_telemetry", ("No model call was reported at all. Nothing is known of availability or spend.",))
    elif quiet:
        days = ", ".join(_runs([day.date.day for day in quiet]))
        counted = Figure(f"{len(quiet)} of {len(past)} days", at.spend("system"))
        yield Gap("days_without_telemetry", ("No call was reported on ", counted, f" (days {days})."))
    for place in report.places:
        hours = sum((one.end - one.start).total_seconds() for one in place.silences)
        if hours and len(report.places) > 1:
            lasted = Figure(duration(hours), at.availability(place.place))
            said = " in all without a call for more than an hour; nothing is known of that time."
            yield Gap("silence", (*_place(place), lasted, said))


def _runs(numbers: list[int]) -> list[str]:
    """1, 2, 3, 7 as 1-3, 7."""
    out: list[list[int]] = []
    for one in numbers:
        if out and one == out[-1][-1] + 1:
            out[-1].append(one)
        else:
            out.append([one])
    return [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in out]


def missing_prices(report: Report, at: links.Links) -> Iterator[Gap]:
    if report.total and report.total.calls_unknown_cost:
        counted = Figure(many(report.total.calls_unknown_cost, "call"), at.spend("model"))
        yield Gap("cost_unknown", (counted, " of unknown cost are in no sum of money."))


def no_before(report: Report, at: links.Links) -> Iterator[Gap]:
    before = report.before
    if before.window is None:
        yield Gap("no_month_before", (f"{label(before.month)} has no telemetry, so nothing is compared with it.",))
    elif before.days_with_calls < before.days:
        days = Figure(f"{before.days_with_calls} of {before.days} days", at.spend_before("model"))
        line = (f"{label(before.month)} has calls on ", days, " only; comparisons with it say little.")
        yield Gap("month_before_not_whole", line)


def no_verdicts(report: Report, at: links.Links) -> Iterator[Gap]:
    judged = {(one.client, one.system, one.environment) for one in report.judges}
    blind = [place for place in report.places if place.place not in judged]
    for place in blind:
        yield Gap(
            "not_judged",
            (
                *_place(place),
                "no judge gave a verdict in this month.",
            ),
        )


def no_targets(report: Report, at: links.Links) -> Iterator[Gap]:
    found = [one for one in report.systems if not one.targets_declared]
    if found:
        line = ("No latency target is declared for ", *_systems(found), "; latency is judged against the usual only.")
        yield Gap("no_declared_target", line)


def untold_starts(report: Report, at: links.Links) -> Iterator[Gap]:
    found = [one for one in report.opened if one.occurred_at is None]
    if found:
        line = ("When these incidents really began is not known, only when they were noticed: ", *_incidents(found))
        yield Gap("start_unknown", (*line, "."))


def still_open(report: Report, at: links.Links) -> Iterator[Gap]:
    found = [one for one in report.incidents if one.status == "open"]
    if found:
        line = ("Still open, so their figures will change: ", *_incidents(found), ".")
        yield Gap("incident_open", line)


def nameless(report: Report, at: links.Links) -> Iterator[Gap]:
    for name in ("agent", "tenant"):
        rows = report.spend[name]
        if report.total and rows and all(row.value is None for row in rows):
            yield Gap(f"no_{name}", (f"No call tells its {name}; spend by {name} cannot be shown.",))


GAPS: tuple[Callable[[Report, links.Links], Iterator[Gap]], ...] = (
    month_runs,
    silent_days,
    missing_prices,
    nameless,
    no_before,
    no_verdicts,
    no_targets,
    untold_starts,
    still_open,
)


def missing(report: Report, at: links.Links) -> list[Gap]:
    return [one for rule in GAPS for one in rule(report, at)]


# -- in plain words -------------------------------------------------------------------------------------------------


def verdict_on(report: Report) -> tuple[str, str]:
    """(sentence, tone) on the whole month for who reads nothing else. What nobody could judge is never called good."""
    if report.total is None:
        return "Nothing can be said about this month: no call was reported.", "not_assessed"
    clocks = Counter(one.clock.verdict for one in report.opened if one.clock)
    grave = any(one.severity == "P1" for one in report.opened)
    if grave or clocks["breached"]:
        return "A month with serious trouble.", "breach"
    if clocks["running"]:
        return "A month with some trouble; not all of it has been answered yet.", "warning"
    if report.opened:
        return "A month with some trouble, all of it answered in time.", "warning"
    watched = sum(one.watched for one in report.judges)
    told = watched - sum(one.seconds.get("not_assessed", 0.0) for one in report.judges)
    if told <= watched * MOSTLY:
        return "No incident was opened, but the judges could not tell most of the time.", "not_assessed"
    return "A quiet month: no incident.", "ok"


def cost_words(report: Report) -> str:
    total = report.total
    return cents(total.cost_nano) if total and total.calls_unknown_cost < total.calls else "unknown"
