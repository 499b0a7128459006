"""Estimate and truth over time in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from afterlaunch.look.charts import svg

TRUTH, ESTIMATE, LINE = "#030302", "#030301", "#040401"  # the page's own colours, see look.charts
IMMATURE = "still coming"


def over_time(days: Sequence[dict[str, Any]], line: float | None, name: str, is_share: bool) -> SafeString:
    """`days` as they were told; `line`: what is alarmed at."""
    truth, estimates = [], []
    for one in days:
        at = timezone.localtime(datetime.fromisoformat(one["day"])).replace(tzinfo=None).isoformat()
        score = one.get("score")
        if score and one["labelled"] >= 20:
            kind = name if one["state"] in ("mature", "final") else f"{name} {IMMATURE}"
            truth.append({"at": at, **{k: score[k] for k in ("value", "low", "high")}, "name": kind})
        if one.get("estimate"):
            plain = {k: one["estimate"][k] for k in ("value", "low", "high")}
            estimates.append({"at": at, **plain, "name": "estimate"})
    if not truth and not estimates:
        return mark_safe('<p class="muted">No day has labels or an estimate yet.</p>')
    there = {one["name"] for one in (*truth, *estimates)}
    ranges = {name: TRUTH, f"{name} {IMMATURE}": "#010101", "estimate": ESTIMATE}
    names = [one for one in ranges if one in there]
    colour = {
        "field": "name",
        "type": "nominal",
        "scale": {"domain": names, "range": [ranges[one] for one in names]},
        "legend": {"labelLimit": 240, "columnPadding": 24, "columns": 3},
    }
    x = {"field": "at", "type": "temporal", "title": None, "axis": {"tickCount": 6, "grid": False, "format": "%d %b"}}
    axis = {"tickCount": 4, **({"format": "%"} if is_share else {})}
    y = {"field": "value", "type": "quantitative", "title": None, "axis": axis, "scale": {"zero": False}}
    low, high = {"field": "low", "type": "quantitative", "title": None}, {"field": "high"}
    layers: list[dict[str, Any]] = []
    if estimates:
        layers += [
            {
                "data": {"values": estimates},
                "mark": {"type": "area", "color": ESTIMATE, "opacity": 0.18},
                "encoding": {"x": x, "y": {**low, "scale": {"zero": False}}, "y2": high},
            },
            {
                "data": {"values": estimates},
                "mark": {"type": "line", "strokeWidth": 1.6, "strokeDash": [5, 3]},
                "encoding": {"x": x, "y": y, "color": colour},
            },
        ]
    if truth:
        layers += [
            {
                "data": {"values": [one for one in truth if one["low"] is not None]},
                "mark": {"type": "rule", "strokeWidth": 1.2, "opacity": 0.6},
                "encoding": {"x": x, "y": {**low, "scale": {"zero": False}}, "y2": high, "color": colour},
            },
            {
                "data": {"values": truth},
                "mark": {"type": "point", "filled": True, "size": 34, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour},
            },
        ]
    if line is not None:
        across = {"type": "rule", "strokeDash": [4, 3], "color": LINE, "opacity": 0.8}
        limit = {"y": {"field": "limit", "type": "quantitative", "scale": {"zero": False}}}
        layers.append({"data": {"values": [{"limit": line}]}, "mark": across, "encoding": limit})
    return svg({"layer": layers, "width": 620, "height": 190})
