"""A comparison as one self-contained page: verdict, findings, every column with its picture and its reason."""

from __future__ import annotations

from html import escape

from afterlaunch.drift import figures
from afterlaunch.drift.figures import Profile
from afterlaunch.drift.judging import DRIFT, NO_DRIFT, NOT_ASSESSED, Judged
from afterlaunch.drift.oneshot import Comparison
from afterlaunch.drift.pictures import picture
from afterlaunch.drift.text import ordered, verdict_words

PICTURES = 400  # columns; what drifted comes first

COLOURS = {
    "light": "--paper:#f6f7f9;--card:#fff;--ink:#1a2130;--muted:#566074;--line:#dde1e8;--ok:#14703a;--ok-bg:#e3f4e9;"
    "--warning:#8a5300;--warning-bg:#fdf1d8;--breach:#b3221b;--breach-bg:#fde8e6;--plain-bg:#eaedf2;--then:#2457c5;"
    "--now:#c2560b",
    "dark": "--paper:#10141b;--card:#181d26;--ink:#e6e9ef;--muted:#9aa5b8;--line:#2b323f;--ok:#6fd198;--ok-bg:#14301f;"
    "--warning:#f0bd5e;--warning-bg:#362a10;--breach:#ff8d85;--breach-bg:#401a18;--plain-bg:#262d3a;--then:#7da4f5;"
    "--now:#f2a05c;color-scheme:dark",
}
STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:20px;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:16px;margin:28px 0 8px}
h3{font-size:14px;margin:0;overflow-wrap:anywhere}
p{margin:0 0 8px}.muted{color:var(--muted)}
.badge{display:inline-block;padding:1px 8px;border-radius:9px;font-size:12px;font-weight:600;white-space:nowrap}
.ok{color:var(--ok);background:var(--ok-bg)}.warning{color:var(--warning);background:var(--warning-bg)}
.breach{color:var(--breach);background:var(--breach-bg)}.plain{color:var(--muted);background:var(--plain-bg)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%}
th,td{padding:5px 10px;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
tr:last-child td{border-bottom:0}th{font-weight:600;color:var(--muted);font-size:12px}
.number{text-align:right;font-variant-numeric:tabular-nums}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:12px}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}
.card header{display:flex;justify-content:space-between;gap:8px;align-items:start;margin-bottom:6px}
.card p{font-size:13px;margin:6px 0 0;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}svg text{font-size:10px;fill:var(--muted)}
path.then{fill:var(--then);fill-opacity:.28;stroke:none}path.now{fill:none;stroke:var(--now);stroke-width:1.6}
rect.then{fill:var(--then);fill-opacity:.5}rect.now{fill:var(--now)}
.axis{stroke:var(--line);stroke-width:1;fill:none}
.legend{display:flex;gap:16px;flex-wrap:wrap;font-size:13px}
.legend i{display:inline-block;width:12px;height:10px;margin-right:6px}
.figures{margin-top:8px;font-size:12px}.figures th,.figures td{padding:2px 0;white-space:normal}
ul{margin:0;padding-left:18px}li{margin:2px 0;overflow-wrap:anywhere}a{color:inherit}
"""
VERDICTS = {
    DRIFT: ("Drift", "breach"),
    NO_DRIFT: ("No drift", "ok"),
    NOT_ASSESSED: ("Not assessed", "plain"),
}
STATES = {"above": "breach", "at_line": "warning", "drifted_below_line": "warning", "ok": "ok"}
HEADINGS = ("column", "kind", "verdict", "method", "statistic", "effect", "90 % interval", "q", "then", "now")


def page(found: Comparison, reference: str, current: str) -> str:
    """`reference`, `current`: what the tables are called."""
    columns = ordered(found.columns)
    words, tone = VERDICTS[found.verdict]
    title = f"Drift: {current} against {reference}"
    limits = found.limits
    told = (
        f"{found.reference.rows:,} rows then, {found.current.rows:,} now. All columns are one family: at most "
        f"{100 * limits.alpha:g} % of such comparisons alarm without drift. What is certainly within a PSI of "
        f"{limits.tolerance.psi:g} does not count; {limits.line:g} is the line."
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p><span class="badge {tone}">{words}</span> {escape(found.explanation)}</p>',
        f'<p class="muted">{escape(told)}</p>',
        _findings(found),
        "<h2>Columns</h2>",
        _table(columns),
        "<h2>Then and now</h2>",
        f'<p class="legend"><span><i style="background:var(--then)"></i>{escape(reference)}</span>'
        f'<span><i style="background:var(--now)"></i>{escape(current)}</span></p>',
        '<div class="cards">' + "".join(_card(found, at, one) for at, one in enumerate(columns)) + "</div>",
    ]
    light, dark = COLOURS["light"], COLOURS["dark"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _badge(one: Judged) -> str:
    tone = "breach" if one.verdict == "missing" else STATES.get(one.state, "plain")
    return f'<span class="badge {tone}">{escape(verdict_words(one).capitalize())}</span>'


def _findings(found: Comparison) -> str:
    if not found.findings:
        return ""
    rows = "".join(
        f'<li><span class="badge {"breach" if one.breaking else "plain"}">{escape(one.type.replace("_", " "))}</span> '
        f"{escape(one.message)}</li>"
        for one in found.findings
    )
    return f"<h2>Found in the tables</h2><ul>{rows}</ul>"


def _table(columns: list[Judged]) -> str:
    head = "".join(f"<th{' class=number' if at > 3 else ''}>{name}</th>" for at, name in enumerate(HEADINGS))
    body = "".join(map(_row, columns))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(one: Judged) -> str:
    document = one.as_document()

    def number(key: str) -> str:
        value = document.get(key)
        return "" if value is None else f"{value:.3g}"

    interval = f"{number('effect_low')} to {number('effect_high')}" if "effect_low" in document else ""
    figures = (
        number("statistic"),
        number("effect"),
        interval,
        number("q_value"),
        f"{one.n_reference:,}",
        f"{one.n_current:,}",
    )
    return (
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.kind)}</td><td>{_badge(one)}</td>"
        f"<td>{escape(document['method'] or '')}</td>"
        + "".join(f'<td class="number">{figure}</td>' for figure in figures)
        + "</tr>"
    )


def _card(found: Comparison, at: int, one: Judged) -> str:
    had, has = (table.columns.get(one.name) for table in (found.reference, found.current))
    drawn = ""
    if (
        at < PICTURES
        and one.reason != "identifier"
        and had
        and has
        and had.profile is not None
        and has.profile is not None
    ):
        drawn = picture(had.profile, has.profile, f"{one.name}: {one.why}")
    pair = found.pair(one.name) if at < PICTURES else None
    return (
        f'<section class="card"><header><h3>{escape(one.name)}</h3>{_badge(one)}</header>{drawn}'
        f"<p>{escape(one.why)}</p>{_figures(pair) if pair else ''}</section>"
    )


def _figures(pair: tuple[Profile, Profile]) -> str:
    rows = "".join(
        f'<tr><td>{escape(what)}</td><td class="number">{escape(then)}</td><td class="number">{escape(now)}</td></tr>'
        for what, then, now in figures.beside(*pair)
    )
    head = '<tr><th></th><th class="number">then</th><th class="number">now</th></tr>'
    return f'<table class="figures"><thead>{head}</thead><tbody>{rows}</tbody></table>'
