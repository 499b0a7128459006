"""A story as Markdown (GFM). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from afterlaunch.reports.blocks import Chart, Figure, Items, Jump, Line, Mark, Name, Part, Story, Table
from afterlaunch.reports.names import code, markdown


def write(story: Story, base: str) -> str:
    """The whole document; `base` is put before every link's path."""
    out = [f"# {markdown(story.title)}", markdown(story.subtitle)]
    out += [_line(line, base) for line in story.facts]
    out.append("\n".join(f"- {_tile(tile.label, tile.value, tile.note, base)}" for tile in story.tiles))
    for items in story.summary:
        out += [f"## {items.title}", "\n".join(f"- {_line(line, base)}" for line in items.lines) or items.empty]
    out += ["---", "# For engineers"]
    for section in story.sections:
        out.append(f"## {section.title}")
        out += [_line(line, base) for line in section.intro]
        for block in section.blocks:
            out += _block(block, base)
    return "\n\n".join(part for part in out if part) + "\n"


def _tile(label: str, value: Part, note: Line, base: str) -> str:
    return f"{label}: **{_part(value, base)}**" + (f" ({_line(note, base)})" if note else "")


def _line(line: Line, base: str, cell: bool = False) -> str:
    return "".join(_part(part, base, cell) for part in line)


def _part(part: Part, base: str, cell: bool = False) -> str:
    if isinstance(part, Figure):
        return f"[{markdown(part.text)}]({base}{part.path})"
    if isinstance(part, Jump):
        return f"[{markdown(part.text)}](#{part.anchor})"
    if isinstance(part, Name):
        return code(part.text, cell)
    return markdown(part.text if isinstance(part, Mark) else part)


def _block(block: Table | Chart | Items, base: str) -> Sequence[str]:
    if isinstance(block, Chart):
        return [f"*{markdown(block.title)}:* {markdown(block.summary)} The HTML report draws it."]
    if isinstance(block, Items):
        lines = "\n".join(f"- {_line(line, base)}" for line in block.lines)
        return [lines or markdown(block.empty)]
    title = f"### {markdown(block.title)}"
    notes = [_line(line, base) for line in block.notes]
    if not block.rows:
        return [title, markdown(block.empty)]
    head = "| " + " | ".join(markdown(column.title) for column in block.columns) + " |"
    rule = "|" + "|".join(" ---: " if column.number else " --- " for column in block.columns) + "|"
    rows = ["| " + " | ".join(_line(cell, base, cell=True) for cell in row) + " |" for row in block.rows]
    return [title, "\n".join([head, rule, *rows]), *notes]
