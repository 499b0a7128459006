"""A comparison as a table of plain text: what drifted first, then what could not be assessed, then the rest."""

from __future__ import annotations

from afterlaunch.drift.judging import DRIFT, MISSING, NEW, NOT_ASSESSED, Judged
from afterlaunch.drift.oneshot import Comparison

ORDER = {DRIFT: 0, MISSING: 1, NEW: 2, NOT_ASSESSED: 3}
WORDS = {
    "above": "DRIFT, above the line",
    "at_line": "DRIFT, at the line",
    "drifted_below_line": "drift, below the line",
    "ok": "no drift",
    "not_assessed": "not assessed",
}
HEAD = ("column", "kind", "verdict", "method", "statistic", "effect", "q", "n reference", "n current")
LEFT = 4
WIDEST = 32


def ordered(columns: list[Judged]) -> list[Judged]:
    """The surest drift first."""
    return sorted(columns, key=lambda one: (ORDER.get(one.verdict, 4), 1.0 if one.q is None else one.q))


def verdict_words(one: Judged) -> str:
    return one.verdict if one.verdict in (MISSING, NEW) else WORDS[one.state]


def plain(text: str) -> str:
    """What comes from a file may not steer a terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _row(one: Judged) -> tuple[str, ...]:
    document = one.as_document()

    def number(key: str) -> str:
        value = document[key]
        return "" if value is None else f"{value:.3g}"

    name = plain(one.name) or "(no name)"
    name = name if len(name) <= WIDEST else name[: WIDEST - 1] + "…"
    method = document["method"] or ""
    figures = (number("statistic"), number("effect"), number("q_value"), f"{one.n_reference:,}", f"{one.n_current:,}")
    return (name, one.kind, verdict_words(one), method, *figures)


def table(found: Comparison) -> str:
    columns = ordered(found.columns)
    rows = [HEAD, *(_row(one) for one in columns)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    lines = [found.explanation, ""]
    for row in rows:
        cells = [
            cell.ljust(w) if at < LEFT else cell.rjust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    told = [one for one in columns if one.verdict != "no_drift"]
    if told:
        lines += ["", *(plain(f"{one.name}: {one.why}") for one in told)]
    if found.findings:
        lines += [
            "",
            "Found in the tables:",
            *(plain(f"  {one.type} ({one.table}): {one.message}") for one in found.findings),
        ]
    return "\n".join(lines)
