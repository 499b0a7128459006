"""A run as a document: the same seed gives the same bytes, so nothing of it depends on how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from afterlaunch.simulation.facts import Facts
from afterlaunch.simulation.faults import FAULTS
from afterlaunch.simulation.plan import DAY, HOUR
from afterlaunch.simulation.play import Result

NONE = "unknown"
ABOUT = """\
The product, in a process of its own on a database file, is spoken to by a world that holds the clock: tools that tell
alerts until they are taken, providers that refuse, hang and answer too late, responders who sleep. It is killed with
SIGKILL on the way, at random statements and between a provider's answer and the row that notes it, and started again.
In the end its rows are compared with what the world saw, and with computations of its own."""


def document(result: Result) -> dict[str, Any]:
    """The whole run in figures."""
    facts, plan = result.facts, result.plan
    lost = next(one for one in result.checks if one.name == "pages-lost")
    return {
        "seed": plan.seed,
        "from": plan.start.isoformat(),
        "to": plan.end.isoformat(),
        "holds": result.good,
        "pages_lost": len(lost.problems),
        "pages": lost.of,
        "checks": [one.document() for one in result.checks],
        "played": dict(_played(facts)),
        "kills": dict(_where(facts)),
        "answers": dict(Counter(f"{one.kind} {one.how}" for one in facts.providers.attempts)),
        "seconds_to_first_page": {severity: _seconds(facts, severity) for severity in ("P1", "P2", "P3")},
    }


def _played(facts: Facts) -> list[tuple[str, int]]:
    plan, record = facts.plan, facts.record
    deeds = Counter(one.what for one in record.deeds if one.done)
    told = Counter(one.status for one in record.tellings)
    return [
        ("clients", len(plan.clients)),
        ("systems", len(plan.systems)),
        ("responders", len(plan.people)),
        ("zones", len({one.zone for one in plan.people})),
        ("alerts", len(plan.alerts)),
        ("times that they were told to fire", told["firing"]),
        ("times that they were told to be over", told["resolved"]),
        ("incidents", len(facts.incidents)),
        (
            "incidents that became graver",
            sum(one.kind == "severity" for rows in facts.timelines.values() for one in rows),
        ),
        (
            "incidents that opened again",
            sum(one.kind == "reopened" for rows in facts.timelines.values() for one in rows),
        ),
        ("pages decided", len(facts.pages)),
        ("attempts of providers", len(facts.providers.attempts)),
        ("acknowledgements by people", deeds["acknowledge"]),
        ("overrides", len({number for _, number in record.overrides})),
        ("silences", len({number for _, number in record.silences})),
        ("outages of providers", len(plan.outages)),
        ("kills", len(record.kills)),
        ("cycles of the engine", record.asked["cycle"]),
    ]


def _where(facts: Facts) -> list[tuple[str, int]]:
    """During what the product was killed."""
    told = Counter(f"{one.during}: {one.where.split()[0]} {_what(one.where)}" for one in facts.record.kills)
    return sorted(told.items(), key=lambda row: (-row[1], row[0]))


def _what(where: str) -> str:
    return {"before a message": "a message went out", "after an answer": "a provider's answer"}.get(
        where, f"a {where.split()[1]}"
    )


def _seconds(facts: Facts, severity: str) -> dict[str, float | int | None]:
    """From detection until a provider had the first page, of incidents that began with this severity."""
    first: dict[str, Any] = {}
    for one in facts.providers.attempts:
        if one.took and one.purpose == "page":
            for topic in one.topics:
                first.setdefault(topic, one.at)
    begun = {
        pk: next((row.details.get("severity") for row in rows if row.kind == "triage"), "")
        for pk, rows in facts.timelines.items()
    }
    took = sorted(
        (first[str(pk)] - incident.detected_at).total_seconds()
        for pk, incident in facts.incidents.items()
        if str(pk) in first and begun[pk] == severity
    )
    if not took:
        return {"incidents": 0, "p50": None, "p95": None, "longest": None}
    return {
        "incidents": len(took),
        "p50": round(took[len(took) // 2], 1),
        "p95": round(took[int(len(took) * 0.95)], 1),
        "longest": round(took[-1], 1),
    }


def markdown(result: Result) -> str:
    facts, plan = result.facts, result.plan
    told = document(result)
    days = (plan.end - plan.start) // DAY
    flags = f"--days {days} --seed {plan.seed} --alerts {len(plan.alerts)} --kills {plan.kills}"
    command = f"afterlaunch simulate {flags} --report docs/simulation.md"
    parts = [
        "# Simulation",
        "",
        "Written by the product itself:",
        "",
        f"```sh\n{command}\n```",
        "",
        ABOUT,
        "",
        f"**Pages lost: {told['pages_lost']} of {told['pages']}.**"
        + (" Every invariant holds." if result.good else " **Not every invariant holds.**"),
        "",
        "## What holds",
        "",
        *_table(
            ("check", "invariant", "looked at", "violations", "besides"),
            [
                (
                    f"`{one.name}`",
                    one.title,
                    str(one.of),
                    str(len(one.problems)),
                    "; ".join(f"{name}: {count}" for name, count in sorted(one.notes.items())),
                )
                for one in result.checks
            ],
        ),
        "",
        "## What was played",
        "",
        f"{plan.start:%Y-%m-%d} to {plan.end:%Y-%m-%d}, seed {plan.seed}.",
        "",
        *_table(("what", "how many"), [(name, str(count)) for name, count in _played(facts)]),
        "",
        "Clocks changed: " + ("; ".join(_changes(facts)) or "nowhere") + ".",
        "",
        "## From detection to the first page",
        "",
        "Seconds until a provider had it, with every kill and outage in it.",
        "",
        *_table(
            ("began as", "incidents", "half within", "95 % within", "longest"),
            [
                (name, *(NONE if value is None else f"{value:g}" for value in row.values()))
                for name, row in told["seconds_to_first_page"].items()
            ],
        ),
        "",
        "## How providers answered",
        "",
        *_table(
            ("kind and answer", "attempts"), [(name, str(count)) for name, count in sorted(told["answers"].items())]
        ),
        "",
        "`late`: it took the message and its answer came after ten seconds; `gone`: 404, tried no more.",
        "",
        "## Where it was killed",
        "",
        *_table(("during", "times"), [(name, str(count)) for name, count in _where(facts)]),
        "",
    ]
    parts += [
        "## Breaking it on purpose",
        "",
        "A check that can't fail proves nothing. `--faults NAME` breaks the product; the run exits 1 and names it.",
        "",
        *_table(
            ("fault", "found by", "what is broken"),
            [(f"`{name}`", f"`{check}`", what) for name, (check, what) in FAULTS.items()],
        ),
        "",
    ]
    broken = [one for one in result.checks if not one.good]
    for one in broken:
        parts += [f"## Violations: {one.title}", "", *(f"- {problem}" for problem in one.problems[:20]), ""]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def _changes(facts: Facts) -> list[str]:
    """Where the wall clock jumped within the days."""
    found = []
    for name in sorted({one.zone for one in facts.plan.people}):
        zone, at = ZoneInfo(name), facts.plan.start
        while at < facts.plan.end:
            before, after = at.astimezone(zone).utcoffset(), (at + HOUR).astimezone(zone).utcoffset()
            if before != after:
                assert before is not None and after is not None
                found.append(
                    f"{name} {at + HOUR:%Y-%m-%d} {'forward' if after > before else 'back'} {_hours(after - before)}"
                )
            at += HOUR
    return found


def _hours(span: timedelta) -> str:
    return f"{abs(span.total_seconds()) / 3600:g} h"
