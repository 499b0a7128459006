"""A story as PDF, set by Typst from a template of ours: the story is data for it, never markup. Fonts are those that
Typst brings, and the time is that of the report, so that the same story gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.reports.blocks import Chart, Figure, Items, Jump, Line, Mark, Name, Part, Story, Table
from afterlaunch.reports.names import plain

SERIES = ("#2457c5", "#d9730d", "#14875a", "#8b46c9", "#c2185b", "#00838f", "#8d6e00", "#7b8494")
COLOURS = {
    **{f"c{place}": colour for place, colour in enumerate(SERIES, 1)},
    "bad": "#b3221b",
    "mark": "#1a2130",
    "nodata": "#eef1f6",
    "served-all": "#14703a",
    "served-most": "#8ccf9f",
    "served-some": "#e9a23b",
    "served-few": "#c62f27",
}
"""Of the classes of `report.css`, on paper."""


def write(story: Story, base: str, at: datetime) -> bytes:
    """`at` is told as the time of making."""
    import typst  # loads 30 MB, for whoever asks for a PDF

    told = orjson.dumps(_document(story, base)).decode()
    out = typst.compile(
        _template(),
        font_paths=typst.Fonts(include_system_fonts=False),
        sys_inputs={"story": told},
        timestamp=int(at.timestamp()),
    )
    if not isinstance(out, bytes):
        raise TypeError("one document was asked for")
    return out


@cache
def _template() -> bytes:
    return (Path(__file__).parent / "report.typ").read_bytes()


def _document(story: Story, base: str) -> dict[str, Any]:
    return {
        "title": plain(story.title),
        "subtitle": plain(story.subtitle),
        "facts": [_line(one, base) for one in story.facts],
        "tiles": [
            {"label": one.label, "value": _line((one.value,), base), "note": _line(one.note, base), "tone": one.tone}
            for one in story.tiles
        ],
        "summary": [_block(one, base) for one in story.summary],
        "sections": [
            {
                "title": one.title,
                "intro": [_line(line, base) for line in one.intro],
                "blocks": [_block(block, base) for block in one.blocks],
            }
            for one in story.sections
        ],
    }


def _block(block: Table | Chart | Items, base: str) -> dict[str, Any]:
    if isinstance(block, Chart):
        return {"kind": "chart", "title": plain(block.title), "summary": plain(block.summary), "svg": _svg(block.svg)}
    if isinstance(block, Items):
        lines = [_line(one, base) for one in block.lines]
        return {"kind": "items", "title": block.title, "lines": lines, "empty": block.empty}
    return {
        "kind": "table",
        "title": plain(block.title),
        "columns": [{"title": plain(one.title), "number": one.number} for one in block.columns],
        "rows": [[_line(cell, base) for cell in row] for row in block.rows],
        "empty": block.empty,
        "notes": [_line(one, base) for one in block.notes],
    }


def _line(line: Sequence[Part] | Line, base: str) -> list[dict[str, str]]:
    return [_part(one, base) for one in line]


def _part(one: Part, base: str) -> dict[str, str]:
    if isinstance(one, Figure):
        return {"text": plain(one.text), "href": base + one.path} if base else {"text": plain(one.text)}
    if isinstance(one, Name):
        return {"text": plain(one.text), "style": "code"}
    if isinstance(one, Mark):
        return {"text": plain(one.text), "style": one.tone or "strong"}
    return {"text": plain(one.text if isinstance(one, Jump) else one)}


def _svg(svg: str) -> str:
    """With the colours in itself, and of a size of its own."""
    rules = "".join(f".{name}{{fill:{colour}}}" for name, colour in COLOURS.items())
    style = f"<style>{rules}text{{fill:#566074;font:11px 'Libertinus Serif'}}.grid{{stroke:#dde1e8}}</style>"
    head, sign, rest = svg.partition(">")
    return head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + sign + style + rest
