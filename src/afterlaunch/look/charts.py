"""Charts: a Vega-Lite specification becomes an SVG on the server, in the colours of the page, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Colours that stand for the page's own; a rendered SVG carries `var(--…)` in their place.
INK = {"#010101": "var(--muted)", "#020202": "var(--line)"}
SERIES = {f"#03030{number}": f"var(--series-{number})" for number in range(1, 9)}
LIMIT = {"#040401": "var(--breach)"}
WIDE, HIGH = 120, 28
CONFIG: dict[str, Any] = {
    "background": None,
    "view": {"stroke": None},
    "axis": {"labelColor": "#010101", "titleColor": "#010101", "gridColor": "#020202", "domainColor": "#020202",
             "tickColor": "#020202", "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"},
    "legend": {"labelColor": "#010101", "title": None, "orient": "top", "labelFontSize": 11, "columnPadding": 30},
    "range": {"category": list(SERIES)},
}  # fmt: skip


def lines(
    points: Sequence[tuple[datetime, Mapping[str, float | None]]],
    unit: str,
    kind: str = "line",
    width: int = 520,
    height: int = 150,
    limits: Sequence[float] = (),
) -> SafeString:
    """One line (or stack of areas, or bars: `kind` "area", "bar") per name. A None is a gap, not a zero. `limits` are
    drawn across. Times are those of the reader's wall clock."""
    rows = [
        {"at": timezone.localtime(at).replace(tzinfo=None).isoformat(), "name": name, "value": value}
        for at, values in points
        for name, value in values.items()
        if value is not None
    ]
    if not rows:
        return mark_safe('<p class="muted">Nothing measured in this time.</p>')
    names = list(dict.fromkeys(name for _, values in points for name in values))
    clock_face = "%H:%M" if points[-1][0] - points[0][0] <= timedelta(days=2) else "%d %b"
    encoding = {
        "x": {
            "field": "at",
            "type": "temporal",
            "title": None,
            "axis": {"tickCount": 6, "grid": False, "format": clock_face},
        },
        "y": {"field": "value", "type": "quantitative", "title": unit, "axis": {"tickCount": 4}},
        "color": {
            "field": "name",
            "type": "nominal",
            "scale": {"domain": names},
            "legend": None,
        },
    }
    marks = {
        "line": {"type": "line", "strokeWidth": 1.8, "point": {"size": 14}},
        "area": {"type": "area", "opacity": 0.75},
        "bar": {"type": "bar", "size": max(2, min(14, 420 // max(1, len(points))))},
    }
    layers: list[dict[str, Any]] = [{"data": {"values": rows}, "mark": marks[kind], "encoding": encoding}]
    if limits:
        across = {"type": "rule", "strokeDash": [4, 3], "color": "#040401", "opacity": 0.8}
        level = {"y": {"field": "limit", "type": "quantitative"}}
        layers.append({"data": {"values": [{"limit": one} for one in limits]}, "mark": across, "encoding": level})
    return _legend(names) + svg({"layer": layers, "width": width, "height": height})


def _legend(names: Sequence[str]) -> SafeString:
    """Beside the picture, so that it stays where a narrow window shows a part of that."""
    if len(names) < 2:
        return mark_safe("")
    told = ((number % len(SERIES) + 1, name) for number, name in enumerate(names))
    return format_html('<ul class="legend">{}</ul>', format_html_join("", '<li><i class="s{}"></i>{}</li>', told))


def small(
    values: Sequence[float | None], limits: Sequence[float] = (), top: float | None = None, said: str = ""
) -> SafeString:
    """A line for a table's cell, from zero to `top` or to the highest of values and limits; limits are dashed, a None
    is a gap. `said` is what it says to somebody who does not see it."""
    highest = max([*(one for one in values if one is not None), *limits, top or 0.0, 1e-9])
    step = WIDE / max(1, len(values) - 1)

    def y(value: float) -> str:
        return f"{HIGH - 1 - value / highest * (HIGH - 3):.1f}"

    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{place * step:.1f},{y(value)}")
    # A point alone is drawn as a short stroke, so that it is seen.
    drawn = [
        run if len(run) > 1 else [run[0], f"{float(run[0].split(',')[0]) + 1.5:.1f},{run[0].split(',')[1]}"]
        for run in runs
        if run
    ]
    return format_html(
        '<svg class="small" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>',
        WIDE,
        HIGH,
        said or "trend",
        format_html_join("", '<line x1="0" x2="{}" y1="{}" y2="{}"/>', ((WIDE, y(one), y(one)) for one in limits)),
        format_html_join("", '<polyline points="{}"/>', ((" ".join(run),) for run in drawn)),
    )


def svg(spec: Mapping[str, Any]) -> SafeString:
    """A Vega-Lite specification, drawn; once more its left edge, which stays in sight where the rest scrolls."""
    whole = orjson.dumps({"$schema": SCHEMA, "config": CONFIG, **spec}, option=orjson.OPT_SORT_KEYS)
    drawn = _render(whole)
    left, high = _EDGE.search(drawn), _HIGH.search(drawn)
    if left is None or high is None:
        return format_html('<div class="plot">{}</div>', mark_safe(drawn))  # noqa: S308 - Vega escapes text
    name = f"plot-{blake2b(whole, digest_size=6).hexdigest()}"
    return format_html(
        '<div class="plot">{}<div class="edge" aria-hidden="true"><svg width="{}" height="{}"><use href="#{}"/></svg>'
        "</div></div>",
        mark_safe(drawn.replace("<g ", f'<g id="{name}" ', 1)),  # noqa: S308 - as above
        left[1],
        high[1],
        name,
    )


_EDGE = re.compile(r'<g [^>]*transform="translate\((\d+),')
_HIGH = re.compile(r'<svg [^>]*height="(\d+)"')


BEYOND = re.compile("[\U00010000-\U0010ffff]")


@lru_cache(maxsize=256)
def _render(spec: bytes) -> str:
    import vl_convert  # a renderer of 8 MiB that a process without pages never needs

    try:
        drawn: str = vl_convert.vegalite_to_svg(orjson.loads(spec))
    except ValueError:
        # The renderer shortens a long text between the two halves of a character beyond 16 bits, and cannot draw one.
        drawn = vl_convert.vegalite_to_svg(orjson.loads(BEYOND.sub("\ufffd", spec.decode())))
    for colour, name in {**INK, **SERIES, **LIMIT}.items():
        drawn = drawn.replace(colour, name)
    return drawn
