"""YAML that a stranger wrote, as data. Pure of frameworks.

Its events are looked at first, which takes no recursion: how deep it goes, how much its aliases stand for when they are
written out, and texts that PostgreSQL does not keep. Without that the fast loader ends the process where a text nests
too deeply, and merge keys of a few hundred bytes become millions of values.
"""

from __future__ import annotations

from typing import Any

import yaml

from afterlaunch.ground.errors import Invalid

DEEPEST = 100
MOST_VALUES = 1_000_000  # with every alias written out
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(text: str | bytes) -> Any:
    """One document. Raises Invalid for what is too large, and what PyYAML raises: YAMLError, ValueError."""
    require_bounds(text)
    return yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader


def require_bounds(text: str | bytes) -> None:
    """Of one document or several, all that may be loaded. Raises as `load` does."""
    sizes: dict[str, int] = {}
    within: list[tuple[str | None, int]] = []  # of every collection that is open: its anchor, values before it
    values = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in sizes:
                values += sizes[event.anchor]
            elif any(anchor == event.anchor for anchor, _ in within):
                raise _refused(event, "an alias stands for what holds it")
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if "\x00" in event.value:
                raise _refused(event, "a text has a character that is none")
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            within.append((event.anchor, values))
            values += 1
            if event.anchor:
                sizes.pop(event.anchor, None)
            if len(within) > DEEPEST:
                raise _refused(event, f"it is nested more than {DEEPEST} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = within.pop()
            if anchor:
                sizes[anchor] = values - before
        if values > MOST_VALUES:
            raise _refused(event, f"with its aliases written out it has more than {MOST_VALUES:,} values")


def _refused(event: yaml.Event, why: str) -> Invalid:
    where = f"Line {event.start_mark.line + 1}" if event.start_mark else "YAML"
    return Invalid(f"{where}: {why}.", "Write it flatter and shorter.")
