"""The charts of a report, drawn as SVG by hand: every bar is a link to its figures and has a title, nothing depends on
fonts or on a library's version, so the same month gives the same bytes. Colours are classes of `report.css`.

Links are paths; `documents` puts the server's address before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, log10

from django.utils.html import escape

from afterlaunch.reports import links
from afterlaunch.reports.blocks import Chart
from afterlaunch.reports.contents import Day, IncidentFacts, PlaceDay, PlaceFacts, Report
from afterlaunch.reports.words import exact, many, moment, number, percent

WIDTH, LEFT, RIGHT, TOP, HEIGHT = 720, 56, 8, 8, 150
COLOURS = 7  # models with a colour of their own; the others share the eighth
LANES = 40
LANE, NAME = 22, 170
NANO = 1_000_000_000


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _link(path: str, title: str, inside: str) -> str:
    return f'<a href="{escape(path)}"><title>{escape(title)}</title>{inside}</a>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{max(height, 0):.2f}" class="{kind}"/>'


def _svg(name: str, title: str, summary: str, height: float, inside: str) -> str:
    """`name` makes the ids of title and description, so it is unique in a document."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(summary)}</desc>{inside}</svg>'
    )


def _top(highest: float) -> float:
    """The round number at or above `highest` that the axis ends at."""
    if highest <= 0:
        return 1.0
    size = 10.0 ** floor(log10(highest))
    return next(size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= highest * 0.999999)


@dataclass(frozen=True)
class _Axes:
    """Days from left to right, values from the bottom to `top`."""

    days: Sequence[Day]
    top: float
    unit: str

    @property
    def step(self) -> float:
        return (WIDTH - LEFT - RIGHT) / len(self.days)

    def x(self, place: int) -> float:
        return LEFT + place * self.step

    def height(self, value: float) -> float:
        return value / self.top * HEIGHT

    def frame(self) -> str:
        """Lines and labels; a day without a call is hatched, one that has not begun is left empty."""
        out = []
        for part in (0.0, 0.5, 1.0):
            y = TOP + HEIGHT * (1 - part)
            out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
            out.append(_text(LEFT - 6, y + 4, _short(self.top * part, self.unit), "end"))
        for place, day in enumerate(self.days):
            if day.window is None and not day.ahead:
                shade = _rect(self.x(place), TOP, self.step, HEIGHT, "nodata")
                out.append(f"<g><title>{day.date}: no call was reported</title>{shade}</g>")
            if place % 5 == 0 or place == len(self.days) - 1:
                out.append(_text(self.x(place) + self.step / 2, TOP + HEIGHT + 16, str(day.date.day), "middle"))
        return "".join(out)


def _short(value: float, unit: str) -> str:
    if value == 0:
        return f"{unit}0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{unit}{value / size:g}{letter}"
    return f"{unit}{value:g}" if value >= 1e-4 else f"{unit}{value:.0e}"


def _legend(entries: Iterable[tuple[str, str]], y: float) -> tuple[str, float]:
    """(drawn, the y below it); wraps when a row is full."""
    out, x = [], float(LEFT)
    for kind, words in entries:
        shown = words if len(words) <= 34 else words[:33] + "…"
        width = 24 + 6.6 * len(shown)
        if x + width > WIDTH and x > LEFT:
            x, y = float(LEFT), y + 18
        out.append(_rect(x, y - 9, 11, 11, kind) + _text(x + 16, y, shown))
        x += width
    return "".join(out), y + 12


def spend(report: Report, at: links.Links) -> Chart:
    """Cost of each day, stacked by model; the dearest have a colour of their own."""
    named = [row.value for row in report.spend["model"] if row.window.cost_nano][:COLOURS]
    kinds = {model: f"c{place + 1}" for place, model in enumerate(named)}
    highest = max((day.window.cost_nano for day in report.days if day.window), default=0)
    axes = _Axes(report.days, _top(highest / NANO), "$")
    bars = "".join(_spend_bar(day, axes, place, kinds, at) for place, day in enumerate(report.days))
    others = len([row for row in report.spend["model"] if row.window.cost_nano]) - len(named)
    entries = [(kinds[model], model or "no model told") for model in named]
    entries += [("c8", many(others, "other model"))] if others > 0 else []
    legend, below = _legend([*entries, ("nodata", "no call reported")], TOP + HEIGHT + 38)
    total = report.total.cost_nano if report.total else 0
    summary = f"{exact(total)} of known cost over {many(len(report.days), 'day')}, the dearest day {exact(highest)}."
    title = "Cost per day by model, USD"
    return Chart(title, summary, _svg("chart-spend", title, summary, below, axes.frame() + bars + legend))


def _spend_bar(day: Day, axes: _Axes, place: int, kinds: dict[str | None, str], at: links.Links) -> str:
    if day.window is None:
        return ""
    sums: dict[str, int] = {}
    for model, window in day.models.items():
        kind = kinds.get(model, "c8")
        sums[kind] = sums.get(kind, 0) + window.cost_nano
    y, drawn = float(TOP + HEIGHT), ""
    for kind in sorted(sums):
        height = axes.height(sums[kind] / NANO)
        y -= height
        drawn += _rect(axes.x(place) + 1, y, axes.step - 2, height, kind)
    unknown = day.window.calls_unknown_cost
    if unknown:
        drawn += _text(axes.x(place) + axes.step / 2, max(y - 3, TOP + 9), "?", "middle")
    title = f"{day.date}: {exact(day.window.cost_nano)}" + (
        f", {many(unknown, 'call')} of unknown cost" if unknown else ""
    )
    return _link(at.spend("model", None, (day.start, day.end)), title, drawn)


def calls(report: Report, at: links.Links) -> Chart:
    """Calls of each day, the failed ones at the foot."""
    highest = max((day.window.calls for day in report.days if day.window), default=0)
    axes = _Axes(report.days, max(1.0, _top(highest)), "")
    bars = ""
    for place, day in enumerate(report.days):
        if day.window is None:
            continue
        good, bad = axes.height(day.window.calls - day.window.failed), axes.height(day.window.failed)
        if day.window.failed:
            bad = max(bad, 1.5)
        foot = float(TOP + HEIGHT)
        drawn = _rect(axes.x(place) + 1, foot - bad - good, axes.step - 2, good, "c1")
        drawn += _rect(axes.x(place) + 1, foot - bad, axes.step - 2, bad, "bad")
        title = f"{day.date}: {many(day.window.calls, 'call')}, {number(day.window.failed)} failed"
        bars += _link(at.spend("model", None, (day.start, day.end)), title, drawn)
    entries = [("c1", "calls"), ("bad", "failed"), ("nodata", "no call reported")]
    legend, below = _legend(entries, TOP + HEIGHT + 38)
    total = report.total
    summary = f"{many(total.calls, 'call')}, {number(total.failed)} failed." if total else "No call was reported."
    title = "Calls per day, and how many failed"
    return Chart(title, summary, _svg("chart-calls", title, summary, below, axes.frame() + bars + legend))


# -- availability ---------------------------------------------------------------------------------------------------

STEPS = (
    (1.0, "served-all", "all served"),
    (0.99, "served-most", "99 % and more"),
    (0.9, "served-some", "90 % and more"),
)
WORST = ("served-few", "below 90 %")


def _served(day: PlaceDay | None) -> str:
    if day is None:
        return "nodata"
    share = (day.calls - day.unserved) / day.calls
    return next((kind for line, kind, _ in STEPS if share >= line), WORST[0])


def availability(report: Report) -> Chart:
    """A lane for each place, a cell for each day, a mark for each incident."""
    step = (WIDTH - NAME - RIGHT) / len(report.days)
    out, y = [], float(TOP)
    for place in report.places[:LANES]:
        out.append(_lane(place, report, y, step))
        y += LANE
    if len(report.places) > LANES:
        out.append(_text(0, y + 12, f"{len(report.places) - LANES} more in the table below"))
        y += LANE
    for nth, day in enumerate(report.days):
        if nth % 5 == 0 or nth == len(report.days) - 1:
            out.append(_text(NAME + nth * step + step / 2, y + 12, str(day.date.day), "middle"))
    entries = [*((kind, words) for _, kind, words in STEPS), WORST, ("nodata", "no call"), ("mark", "incident")]
    legend, below = _legend(entries, y + 34)
    hits = sum(1 for one in report.incidents if one.real)
    summary = f"{many(len(report.places), 'system and environment', 'systems and environments')}, "
    summary += f"{many(hits, 'incident')} marked."
    title = "Share of calls served, day by day"
    return Chart(title, summary, _svg("chart-availability", title, summary, below, "".join(out) + legend))


def _lane(place: PlaceFacts, report: Report, y: float, step: float) -> str:
    name = f"{place.name or 'not told'}, {place.place[2] or 'not told'}"
    out = [f"<g><title>{escape(name)}</title>{_text(0, y + 14, name if len(name) <= 26 else name[:25] + '…')}</g>"]
    for nth, day in enumerate(report.days):
        if day.ahead:
            continue
        told = place.days.get(day.date)
        said = f"{percent(told.calls - told.unserved, told.calls)} of {many(told.calls, 'call')}" if told else "no call"
        cell = _rect(NAME + nth * step + 0.5, y + 2, step - 1, LANE - 5, _served(told))
        out.append(f"<g><title>{escape(f'{name}, {day.date}: {said}')}</title>{cell}</g>")
    here = (place.system_pk, place.place[2])
    mine = [one for one in report.incidents if one.real and (one.system_pk, one.environment) == here]
    out += [_mark(one, report, y, step) for one in mine]
    return "".join(out)


def _mark(one: IncidentFacts, report: Report, y: float, step: float) -> str:
    """A bar from the detection to the end of the harm, with a flag at its beginning."""
    when = report.period
    begin = max(one.detected_at, when.start)
    end = min(one.contained_at or one.resolved_at or when.until, when.until)
    x = NAME + _days(begin, report) * step
    width = max(3.0, NAME + _days(max(end, begin), report) * step - x)
    flag = f'<path d="M{x:.2f} {y - 1:.2f}l4.5 0l-4.5 7z" class="mark"/>'
    bar = _rect(x, y + LANE - 7, width, 4, "mark")
    title = f"{one.severity} incident #{one.pk}, {moment(one.detected_at, when)}: {one.title}"
    return _link(links.incident(one.pk), title, bar + flag)


def _days(at: datetime, report: Report) -> float:
    """How many of the report's local days lie before an instant; days of 23 and 25 hours are as wide as others."""
    for place, day in enumerate(report.days):
        if day.start <= at < day.end:
            return place + (at - day.start) / (day.end - day.start)
    return float(len(report.days))
