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


def kinds() -> str:
    from afterlaunch.incidents.kinds import KINDS

    rows = [
        (one.title, one.explanation, f"{one.severity.usual}, at least {one.severity.least}", one.severity.p1_when)
        for one in KINDS
    ]
    return table(("kind", "what it is", "usually", "P1 when"), rows)


def targets() -> str:
    from afterlaunch.sla.targets import MATRIX, SEVERITIES

    return table(
        ("tier", *SEVERITIES), [(tier, *(row[name].words() for name in SEVERITIES)) for tier, row in MATRIX.items()]
    )


DIALECT_NAMES = {
    "genai": "current",
    "genai_old": "older",
    "openinference": "OpenInference",
    "traceloop": "OpenLLMetry",
    "langfuse": "Langfuse",
    "vercel": "AI SDK",
    "others": "others",
}
WHERE = {"entry": "SERVER and CONSUMER spans only", "claude_code": "Claude Code's spans only"}


def _source(one: Any) -> str:
    """One attribute as the reader finds it in a span."""
    marks = [f"at `{one.path}` of its JSON"] if one.path else []
    marks += [f"in {one.unit}"] if one.unit else []
    marks += [WHERE[one.where]] if one.where else []
    marks += ["stands in"] if one.stands_in else []
    return f"`{one.key}`" + (f" ({'; '.join(marks)})" if marks else "")


def mapping() -> str:
    from afterlaunch.telemetry.conventions.fields import FIELDS
    from afterlaunch.telemetry.conventions.table import DIALECTS

    rows = []
    for one in FIELDS:
        told = []
        for dialect in DIALECTS:
            sources = [_source(source) for source in one.sources if source.dialect == dialect]
            told += [f"{DIALECT_NAMES[dialect]}: {', '.join(sources)}"] if sources else []
        flags = " Two that differ are flagged." if one.conflicts else ""
        rows.append((f"`{one.name}`", one.read.value, one.told + flags, "<br>".join(told)))
    return table(("field", "read as", "what it is", "from, in order"), rows)


def resource_mapping() -> str:
    from afterlaunch.telemetry.conventions.fields import RESOURCE

    rows = [(f"`{name}`", ", ".join(f"`{key}`" for key in keys)) for name, keys in RESOURCE.items()]
    return table(("field", "from, in order"), rows)


def words_of(words: dict[str, str]) -> list[Row]:
    kinds: dict[str, list[str]] = {}
    for word, kind in words.items():
        kinds.setdefault(kind, []).append(word)
    return [(f"`{kind}`", ", ".join(f"`{word}`" for word in found)) for kind, found in kinds.items()]


def span_kinds() -> str:
    from afterlaunch.telemetry.conventions.kinds import SOURCES

    rows = []
    for field, words in SOURCES:
        rows += [(f"`{field}`", *row) for row in words_of(dict(words))]
    return table(("told by", "kind", "words"), rows)


def finish_words() -> str:
    from afterlaunch.telemetry.conventions.words import FINISH

    return table(("reason", "words"), words_of(FINISH))


def provider_words() -> str:
    from afterlaunch.telemetry.conventions.words import PROVIDERS

    return table(("provider", "other words"), words_of(PROVIDERS))


def usage_shapes() -> str:
    from afterlaunch.prices.usage import SHAPES

    def inside(yes: bool) -> str:
        return "inside" if yes else "apart"

    rows = [
        (one.name, ", ".join(f"`{mark}`" for mark in one.marks), inside(one.cache_inside), inside(one.reasoning_inside))
        for one in SHAPES
    ]
    return table(("shape", "known by", "cached tokens", "reasoning"), rows)


def error_kinds() -> str:
    from afterlaunch.telemetry.conventions.errors import FAULTS

    return table(("kind", "fault"), [(f"`{kind}`", fault) for kind, fault in FAULTS.items()])


def mapping_version() -> str:
    from afterlaunch.telemetry.conventions.fields import MAPPING_VERSION

    return (
        f"Version of the mapping: {MAPPING_VERSION}; every span keeps the one it was mapped with (`mapping_version`)."
    )


PARTS: dict[str, Callable[[], str]] = {
    "mapping": mapping,
    "mapping_version": mapping_version,
    "resource_mapping": resource_mapping,
    "span_kinds": span_kinds,
    "finish_words": finish_words,
    "provider_words": provider_words,
    "usage_shapes": usage_shapes,
    "error_kinds": error_kinds,
    "settings": settings,
    "commands": command_table,
    "api": api,
    "roles": roles,
    "duties": duties,
    "judges": judges,
    "targets": targets,
    "kinds": kinds,
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
