"""Calls, one trace, and spend, as pages."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from afterlaunch.ground.errors import NotFound
from afterlaunch.look.requests import Request
from afterlaunch.telemetry import records
from afterlaunch.telemetry.aggregates import KINDS
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.failing import courses, key_of, steps_of
from afterlaunch.telemetry.sum_checks import FLAGGED, mismatched
from afterlaunch.telemetry.sum_checks import key_of as of_sum
from afterlaunch.telemetry.views import people
from afterlaunch.telemetry.views.asked import asked
from afterlaunch.telemetry.views.conversation import messages, turns
from afterlaunch.telemetry.views.fields import FIELDS
from afterlaunch.telemetry.views.finding import find, snippets
from afterlaunch.telemetry.views.pages import tabs
from afterlaunch.telemetry.views.search import HELP

PICKS = ("model", "tenant", "agent", "route", "version", "system", "environment", "provider", "error", "fault", "tool",
         "transaction", "session", "user", "finish", "client", "arm")  # fmt: skip
PAGE = 50
WHOSE = ("transaction", "session", "user")


@require_safe
def calls(request: Request) -> HttpResponse:
    """Newest first; the search narrows, `before` pages on."""
    ask = asked(request, "of")
    table = request.GET.get("of", "calls")
    found = find(ask.search, ask.start, ask.end, ask.clients, PAGE, request.GET.get("before") or None, table)
    around = snippets(found.rows, ask.search.texts, ask.clients)
    for row in found.rows:
        row["input"], row["output"] = _tokens(row)
        row["milliseconds"] = _milliseconds(row)
        row["snippet"] = around.get(row["span_id"])
        if table == "spans":
            row["model"] = row["model_answered"] or row["model_requested"]
            row["version"] = row["prompt_version"] or row["release"]
    fixed = {} if not ask.range else {"from": "", "to": ""}
    context = {
        **ask.context(f"/api/v1/{table}"),
        "rows": found.rows,
        "searched_to": found.searched_to,
        "more": ask.link(before=found.cursor, **fixed) if found.cursor else None,
        "of": table,
        "tabs": tabs(ask),
        "tab": "Calls",
        "tables": [("calls", ask.link("/calls")), ("all spans", ask.link("/calls", of="spans"))],
        "table": "all spans" if table == "spans" else "calls",
        "picks": PICKS,
        "fields": FIELDS.values(),
        "help": HELP,
    }
    return render(request, "telemetry/calls.html", context)


def _tokens(row: dict[str, Any]) -> tuple[int | None, int | None]:
    """(input, output); None when no bucket of the side is known."""
    sides = []
    for names in (BUCKETS[:6], BUCKETS[6:]):
        known = [row[name] for name in names if row.get(name) is not None]
        sides.append(sum(known) if known else None)
    return sides[0], sides[1]


def _milliseconds(row: dict[str, Any]) -> float | None:
    return None if row.get("duration_ns") is None else row["duration_ns"] / 1e6


@require_safe
def trace(request: Request, trace_id: str) -> HttpResponse:
    """As a waterfall of its spans, where those that were counted as a call carry their cost; or, with
    `view=conversation`, as what was said."""
    spans, counted = records.trace(trace_id, request.actor.sees())
    if not spans:
        raise NotFound("There is no such trace.", "It may be older than what is kept, or not have arrived yet.")
    first = min(span["start_ns"] for span in spans)
    length = max(1, max(span["start_ns"] + (span["duration_ns"] or 0) for span in spans) - first)
    view = "conversation" if request.GET.get("view") == "conversation" else "waterfall"
    costs = [call["cost_nano"] for call in counted]
    here = f"/traces/{trace_id}"
    one: dict[str, Any] = next((call for call in counted if any(call[kind] for kind in WHOSE)), {})
    context = {
        "trace_id": trace_id,
        "calls": len(counted),
        "count": len(spans),
        "milliseconds": length / 1e6,
        "cost": sum(cost for cost in costs if cost is not None) if any(cost is not None for cost in costs) else None,
        "unknown": sum(cost is None for cost in costs),
        "failed": sum(bool(call["failed"]) for call in counted),
        "start": spans[0]["start"],
        "system": spans[0]["system"],
        "people": [(kind, one[kind], people.page_of(kind, one[kind])) for kind in WHOSE if one.get(kind)],
        "tabs": [("Waterfall", here), ("Conversation", f"{here}?view=conversation")],
        "tab": view.capitalize(),
        "files": [(word, f"/api/v1/spans?trace_id={trace_id}&format={kind}") for word, kind in FILES],
    }
    if view == "conversation":
        context["turns"] = turns(_said(spans, counted))
    else:
        context["spans"] = _waterfall(spans, counted, first, length)
    return render(request, "telemetry/trace.html", context)


FILES = (("CSV", "csv"), ("Parquet", "parquet"))


def _said(spans: list[dict[str, Any]], counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spans whose content is the conversation's: calls and tools, else whatever has content."""
    members = {member for call in counted for member in call["members"] or ()}
    told = [span for span in spans if span["input_text"] or span["output_text"]]
    chosen = [span for span in told if span["span_id"] in members or span["op_kind"] in ("inference", "tool")]
    for span in chosen or told:
        span["model"] = span["model_answered"] or span["model_requested"]
    return chosen or told


def _waterfall(
    spans: list[dict[str, Any]], counted: list[dict[str, Any]], first: int, length: int
) -> list[dict[str, Any]]:
    by_span = {call["span_id"]: call for call in counted}
    depths = _depths(spans)
    found = courses(steps_of(spans, counted))
    sums = [span for span in spans if span["op_kind"] in KINDS and span["cost_confidence"] is None]
    leaves = [call for call in counted if call["part"] is None]
    differing = mismatched(
        sums, leaves, {of_sum(span): span["parent_span_id"] for span in spans if span["parent_span_id"]}
    )
    for span in spans:
        call = by_span.get(span["span_id"])
        span["call"] = call
        told = found.get(key_of(span)) if span["failed"] else None
        span["error_propagated"], span["recovered"] = (told.propagated, told.recovered) if told else (None, None)
        if of_sum(span) in differing:
            span["flags"] = [*(span["flags"] or ()), FLAGGED]
            span["differs"] = True
        span["duplicate"] = call is None and span["op_kind"] in ("inference", "embedding", "rerank")
        span["left"] = f"{(span['start_ns'] - first) / length * 100:.2f}"
        span["width"] = f"{max(0.5, (span['duration_ns'] or 0) / length * 100):.2f}"
        span["indent"] = min(depths[span["span_id"]], 8) * 14
        span["milliseconds"] = _milliseconds(span)
        span["input"], span["output"] = _tokens(call or span)
        span["facts"] = [(key, value) for key, value in span.items() if key in FACTS and value not in (None, "", [])]
        span["others"] = sorted(dict(span["attributes"] or {}).items())
        span["said"] = [
            (label, messages(span[name], role))
            for label, name, role in (("In", "input_text", "user"), ("Out", "output_text", "assistant"))
            if span[name]
        ]
    return spans


FACTS = (
    "system", "environment", "service", "release", "op_kind", "scope", "http_status", "error_type", "error_kind",
    "fault", "error_propagated", "recovered", "status_message",
    "finish_reason", "provider", "model_requested", "model_answered", "response_id",
    "service_tier", "cost_confidence", "price", "session", "user", "transaction", "tenant", "agent", "workflow",
    "route", "tool", "prompt_name", "prompt_version", "arm", "gateway_call", "flags", *BUCKETS,
)  # fmt: skip


def _depths(spans: list[dict[str, Any]]) -> dict[str, int]:
    """How many known ancestors each span has; a circle of parents ends at the number of spans."""
    parents = {span["span_id"]: span["parent_span_id"] for span in spans}
    depths = {}
    for span_id in parents:
        depth, at = 0, parents[span_id]
        while at in parents and depth < 50:
            depth, at = depth + 1, parents[at]
        depths[span_id] = depth
    return depths
