"""What a view says: figures, a chart, and tables, which the page shows, the API says and files hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import TEXT, Column, Grid

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 1_440, 2_880, 10_080)
POINTS = 60


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    note: str = ""
    tone: str = ""
    address: str = ""


@dataclass(frozen=True)
class Section:
    """`key` names it in the API. `advice` is for when there is no row: what to send, or to choose. `most`: so many
    rows stand on the page; files and the API hold all. `later`: it takes long, and comes after the page."""

    key: str
    title: str
    grid: Grid
    note: str = ""
    empty: str = "Nothing in this time"
    advice: str = "Choose a longer time or leave a term out."
    most: int = 100
    later: bool = False


@dataclass(frozen=True)
class Sheet:
    sections: Sequence[Section]
    tiles: Sequence[Tile] = ()
    chart: Callable[[], Any] | None = None
    chart_title: str = ""

    def section(self, key: str) -> Section:
        """The first one without a key. Raises Invalid."""
        for one in self.sections:
            if not key or one.key == key:
                return one
        raise Invalid(f"There is no section {key!r}.", ", ".join(one.key for one in self.sections))


def groups(ask: Asked, default: str) -> list[str]:
    """The dimensions that `group_by` names. Raises Invalid."""
    names = [name.strip() for name in ask.kept.get("group_by", default).split(",") if name.strip()]
    for name in names:
        if name not in DIMENSIONS:
            raise Invalid(f"{name!r} is no dimension.", "Dimensions: " + ", ".join(DIMENSIONS))
    if len(set(names)) < len(names):
        raise Invalid("A dimension is named twice.")
    return names


def dimension_columns(names: Sequence[str]) -> list[Column]:
    return [Column(name, TEXT, "Kind" if name == "op_kind" else name.capitalize()) for name in names]


def to_calls(ask: Asked, names: Sequence[str], **more: str) -> dict[str, Any]:
    """Links from a group to the calls in it; what no call tells is asked for as such."""

    def address(name: str) -> Any:
        def link(row: Any) -> str:
            search = ask.search
            term = "kind" if name == "op_kind" else name
            search = search.lacking(term) if row[name] is None else search.also(term, row[name])
            return ask.link("/calls", q=str(search), **more)

        return link

    return {name: address(name) for name in names}


def step_minutes(start: datetime, end: datetime) -> int:
    """About 60 points over the time."""
    minutes = (end - start).total_seconds() / 60
    return next((step for step in STEPS if minutes / step <= POINTS), STEPS[-1])
