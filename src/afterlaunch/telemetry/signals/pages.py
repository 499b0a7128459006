"""Metrics and logs as pages: an explorer of any metric, and a list of log records that can run along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look import charts
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.signals import questions
from afterlaunch.telemetry.signals.api import default_step, wanted_labels
from afterlaunch.telemetry.views.asked import RANGES, chosen_range, fixed, instant

DRAWN = 8  # as many as there are colours
LISTED, ROWS, LINES = 400, 200, 100
LIVE_SECONDS = 5
SEVERITIES = {"0": "any", "5": "debug", "9": "info", "13": "warning", "17": "error", "21": "fatal"}
PLACES = ("client", "system", "environment", "host")


@dataclass(frozen=True)
class Chosen:
    """What the address asks for. `range` is empty for a time that is given by its ends."""

    path: str
    range: str
    start: datetime
    end: datetime
    told: dict[str, str]

    def link(self, **more: str) -> str:
        """The same with other values; empty ones are left out."""
        time = {"range": self.range} if self.range else self._fixed()
        return self._to(self.path, {**self.told, **time, **more})

    def lasting(self) -> str:
        """What shows the same tomorrow."""
        return self._to(self.path, {**self.told, **self._fixed(), "live": ""})

    def file(self, path: str, kind: str, **more: str) -> str:
        return self._to(path, {**more, **self._fixed(), "format": kind})

    def _fixed(self) -> dict[str, str]:
        said = {"from": self.start, "to": self.end}
        return {name: at.astimezone(UTC).isoformat().replace("+00:00", "Z") for name, at in said.items()}

    @staticmethod
    def _to(path: str, told: dict[str, str]) -> str:
        return f"{path}?{urlencode({key: value for key, value in told.items() if value})}"


def chosen(request: Request, names: Sequence[str], default: str) -> Chosen:
    given = request.GET
    told = {name: given[name].strip() for name in names if given.get(name, "").strip()}
    if not fixed(request):
        name, start, end = chosen_range(request, default)
        return Chosen(request.path, name, start, end, told)
    end = instant(given["to"]) if given.get("to") else clock.now()
    start = instant(given["from"]) if given.get("from") else end - timedelta(seconds=RANGES[default])
    if start >= end:
        raise Invalid("`from` must lie before `to`.", "Both are instants with a zone.")
    return Chosen(request.path, "", start, end, told)


@require_safe
def explorer(request: Request) -> HttpResponse:
    """`search` narrows the list of metrics; `name` shows one, grouped `by` labels and narrowed by places and `labels`.
    `part=list` answers with the list alone."""
    asked = chosen(request, ("search", "name", "by", "combine", "labels", *PLACES), "6h")
    seen, told = request.actor.sees(), asked.told
    place = {name: told[name] for name in ("client", "system") if name in told}
    found = questions.names(asked.start, asked.end, seen, **place)
    matching = [row for row in found if told.get("search", "").lower() in row["name"].lower()]
    for row in matching:
        row["address"] = asked.link(name=row["name"], by="", labels="")
    context: dict[str, Any] = {
        "asked": asked,
        **{name: told.get(name, "") for name in ("search", "name", "by", "labels", *PLACES)},
        "metrics": matching[:LISTED],
        "more": len(matching) - LISTED,
        "known": len(found),
        "ranges": RANGES,
        "range": asked.range,
        "systems": questions.systems(asked.start, asked.end, seen),
        "combines": tuple(questions.OVER),
        "combine": told.get("combine", "avg"),
        "kept": [(name, told[name]) for name in PLACES if name in told and name != "system"],
    }
    if request.GET.get("part") == "list":
        return render(request, "telemetry/_metrics.html", context)
    if "name" in told:
        context |= _one_metric(asked, request)
    return render(request, "telemetry/explorer.html", context)


def _one_metric(asked: Chosen, request: Request) -> dict[str, Any]:
    told, seen, name = asked.told, request.actor.sees(), asked.told["name"]
    groups = [one.strip() for one in told.get("by", "").split(",") if one.strip()]
    equals = {one: told[one] for one in PLACES if one in told} | wanted_labels(told.get("labels", ""))
    step = default_step(asked.start, asked.end)
    combine = told.get("combine", "avg")
    samples = questions.over_time(name, asked.start, asked.end, step, seen, groups, combine, **equals)
    lines: dict[tuple[str, ...], dict[datetime, questions.Sample]] = {}
    for one in samples:
        key = tuple("—" if one.key[group] is None else str(one.key[group]) for group in groups)
        lines.setdefault(key, {})[one.at] = one
    rows = [_group(key, groups, points, asked) for key, points in lines.items()]
    rows.sort(key=lambda row: -row["highest"])
    drawn = [row["key"] for row in rows[:DRAWN]]
    instants = sorted({one.at for one in samples})
    points = [
        (at, {", ".join(key) or name: lines[key][at].value if at in lines[key] else None for key in drawn})
        for at in instants
    ]
    facts = next((row for row in questions.names(asked.start, asked.end, seen) if row["name"] == name), None)
    told_api = {"name": name, "group_by": told.get("by", ""), "combine": combine, "labels": told.get("labels", "")}
    told_api |= {one: told[one] for one in PLACES if one in told} | {"step_seconds": str(step)}
    labels = questions.labels(name, asked.start, asked.end, seen, **equals)
    return {
        "facts": facts,
        "rows": rows[:ROWS],
        "groups": groups,
        "hidden": max(0, len(rows) - DRAWN),
        "unlisted": max(0, len(rows) - ROWS),
        "step": step,
        "chart": charts.lines(points, _unit(facts), width=680, height=220) if points else "",
        "label_names": [
            (one, values, asked.link(by=",".join([*groups, one])))
            for one, values in labels.items()
            if one not in groups
        ],
        "without": [(one, asked.link(by=",".join(other for other in groups if other != one))) for one in groups],
        "lasting": asked.lasting(),
        "files": [(word, asked.file("/api/v1/metrics/points", kind, **told_api)) for word, kind in FILES],
    }


FILES = (("CSV", "csv"), ("Parquet", "parquet"))


def _unit(facts: dict[str, Any] | None) -> str:
    unit = (facts or {}).get("unit") or ""
    return f"{unit or 'value'} per second" if (facts or {}).get("kind") in ("counter", "delta") else unit or "value"


def _group(
    key: tuple[str, ...], groups: Sequence[str], points: dict[datetime, questions.Sample], asked: Chosen
) -> dict[str, Any]:
    values = [points[at].value for at in sorted(points)]
    told = dict(zip(groups, key, strict=True))
    places = {name: value for name, value in told.items() if name in PLACES and value != "—"}
    labels = wanted_labels(asked.told.get("labels", ""))
    labels |= {name: value for name, value in told.items() if name not in PLACES and value != "—"}
    only = ",".join(f"{name}={value}" for name, value in labels.items() if value and "," not in value)
    return {
        "key": key,
        "last": values[-1],
        "lowest": min(values),
        "average": sum(values) / len(values),
        "highest": max(values),
        "series": max(one.series for one in points.values()),
        "line": charts.small(values, said=", ".join(key)),
        "address": asked.link(labels=only, by="", **places),
    }


@require_safe
def logs(request: Request) -> HttpResponse:
    """Newest first; `before` pages on. `live=1` asks for the newest every few seconds; `part=rows` answers so."""
    names = ("text", "severity", "trace", "event", "service", *PLACES, "live")
    asked = chosen(request, names, "1h")
    told, seen = asked.told, request.actor.sees()
    least = told.get("severity", "0")
    if least not in SEVERITIES:
        raise Invalid(f"{least!r} is no severity.", "One of: " + ", ".join(SEVERITIES))
    equals = {name: told[name] for name in ("service", *PLACES) if name in told}
    before = request.GET.get("before") or None
    found = questions.records(
        asked.start, asked.end, seen, LINES + 1, told.get("text", ""), int(least), told.get("trace"), before, **equals
    )
    rows = found[:LINES]
    for row in rows:
        row["at"] = clock.from_ns(row["at_ns"])
        row["word"], row["tone"] = severity(row["severity"], row["severity_text"])
        row["facts"] = [(name, row[name]) for name in ("scope", "service", "host", "event", "span_id") if row[name]]
        row["others"] = sorted(row["attributes"].items())
    live = "live" in told and before is None and bool(asked.range)
    context = {
        "asked": asked,
        "rows": rows,
        "older": asked.link(live="", before=rows[-1]["cursor"]) if len(found) > LINES else None,
        "live": live,
        "poll": asked.link(part="rows"),
        "seconds": LIVE_SECONDS,
        "switch": asked.link(live="" if live else "1"),
        "ranges": RANGES,
        "range": asked.range,
        "severities": SEVERITIES,
        "least": least,
        "systems": questions.systems(asked.start, asked.end, seen, "records"),
        **{name: told.get(name, "") for name in ("text", "trace", "service", *PLACES)},
        "narrowed": bool(set(told) - {"live"}),
        "lasting": asked.lasting(),
        "files": [(word, asked.file("/api/v1/logs", kind, **_told_api(told))) for word, kind in FILES],
    }
    return render(
        request, "telemetry/_records.html" if request.GET.get("part") == "rows" else "telemetry/logs.html", context
    )


def _told_api(told: dict[str, str]) -> dict[str, str]:
    other = {"severity": "least_severity", "trace": "trace_id"}
    return {other.get(name, name): value for name, value in told.items() if name != "live"}


def severity(number: int, text: str | None) -> tuple[str, str]:
    """(word, tone). OpenTelemetry: 1-4 trace, 5-8 debug, 9-12 info, 13-16 warning, 17-20 error, 21-24 fatal."""
    if not 1 <= number <= 24:
        return (text or "not told").lower(), "not_assessed"
    word = ("trace", "debug", "info", "warning", "error", "fatal")[(number - 1) // 4]
    return word, {"warning": "warning", "error": "breach", "fatal": "breach"}.get(word, "plain")
