"""The tables of `docs/` that are made from the code: `python tests/tools/docs.py` writes them, `--check` only looks.

A page holds `<!-- made: NAME -->` … `<!-- made so far -->`; what stands between is replaced. A test fails when a page
is not current.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MADE = re.compile(r"<!-- made: (\w+) -->\n.*?<!-- made so far -->", re.S)
Row = tuple[str, ...]


def table(head: Row, rows: list[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def settings() -> str:
    from afterlaunch.ground.settings import SETTINGS

    rows = []
    for row in SETTINGS:
        told = row.help + (f" Secret: may come from a file, `{row.name}_FILE`." if row.secret else "")
        rows.append((f"`{row.name}`", f"`{row.default}`" if row.default else "empty", told))
    return table(("setting", "default", "what it is"), rows)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words one types, and its click object."""
    import typer.main

    from afterlaunch.cli.main import app

    def walk(one: Any, words: str) -> Iterator[tuple[str, Any]]:
        for name, child in sorted(getattr(one, "commands", {}).items()):
            if hasattr(child, "commands"):
                yield from walk(child, f"{words} {name}")
            else:
                yield f"{words} {name}", child

    yield from walk(typer.main.get_command(app), "afterlaunch")


def command_table() -> str:
    rows = []
    for words, one in commands():
        flags = [f"`{p.opts[0]}`" if p.opts[0].startswith("-") else f"`{p.name.upper()}`" for p in one.params]
        told = " ".join((one.help or "").split())
        rows.append((f"`{words}`", told, " ".join(flag for flag in flags if flag != "`--help`")))
    return table(("command", "does", "takes"), rows)


def who(door: Any) -> str:
    words = {"own": "the person themselves", "anybody": "anybody", "signed in": "any person"}
    return words.get(door.who) or (f"{door.who[6:]}, all clients" if door.who.startswith("house ") else door.who)


def api() -> str:
    from tests.permissions.doors import DOORS

    rows = []
    for door in DOORS:
        if door.api:
            address = re.sub(r"\{.*?\}", "ID", door.address.partition("?")[0])
            rows.append((f"`{door.method} {address}`", door.what, who(door)))
    return table(("operation", "does", "role"), rows)


def roles() -> str:
    from tests.permissions.doors import DOORS

    needed: dict[str, str] = {}
    for door in DOORS:
        if door.who not in ("anybody", "signed in", "own"):
            needed.setdefault(door.what, who(door))
    order = ("viewer", "responder", "operator", "admin")
    rows = [
        (role, "; ".join(what for what, wanted in needed.items() if wanted == role))
        for role in (*order, *sorted(set(needed.values()) - set(order)))
    ]
    return table(("role", "may, beside what the rows above may"), rows)


def duties() -> str:
    from afterlaunch.app.duties import DUTIES

    return table(("duty", "every"), [(f"`{duty.name}`", f"{duty.period:g} s") for duty in DUTIES])


def judges() -> str:
    from afterlaunch.app.judges import TITLES

    return table(("judge", "looks at"), [(f"`{name}`", title) for name, (title, _) in TITLES.items()])


def targets() -> str:
    from afterlaunch.incidents.rules import MATRIX, Target

    def words(one: Target) -> str:
        if one.kind == "duration":
            inside, outside = (span(seconds) for seconds in (one.in_hours, one.off_hours))
            return inside if inside == outside else f"{inside} in business hours, {outside} off hours"
        if one.kind == "business_days":
            return "end of the next business day" if one.days == 1 else f"end of the {one.days}nd business day after"
        return "weekly batch, Monday " + one.slot[1]

    def span(seconds: int) -> str:
        return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"

    tiers = sorted({tier for tier, _ in MATRIX}, reverse=True)
    grades = sorted({grade for _, grade in MATRIX})
    return table(("tier", *grades), [(tier, *(words(MATRIX[tier, grade]) for grade in grades)) for tier in tiers])


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "commands": command_table,
    "api": api,
    "roles": roles,
    "duties": duties,
    "judges": judges,
    "targets": targets,
}


def current(text: str) -> str:
    """`text` with every made part as the code has it now. KeyError for a part that nobody makes."""
    return MADE.sub(lambda found: f"<!-- made: {found[1]} -->\n{PARTS[found[1]]()}\n<!-- made so far -->", text)


def main(only_check: bool = False) -> int:
    """0: every page is current, or is now; 1: with `only_check`, one is not."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "afterlaunch.app.django_settings")
    import django

    django.setup()
    stale = [page for page in sorted(DOCS.glob("*.md")) if current(page.read_text()) != page.read_text()]
    for page in stale:
        if not only_check:
            page.write_text(current(page.read_text()))
        print(f"{page.name} {'is out of date: python tests/tools/docs.py' if only_check else 'written anew'}")
    return 1 if stale and only_check else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main("--check" in sys.argv))
