"""The views over REST: the same figures as on the pages, as JSON, CSV or Parquet."""

from __future__ import annotations

from typing import Any

from ninja import Router

from afterlaunch.look.requests import Request
from afterlaunch.telemetry.views import files
from afterlaunch.telemetry.views.asked import asked
from afterlaunch.telemetry.views.pages import KEEP, VIEWS, View

router = Router(tags=["telemetry"])


def _answer(request: Request, view: View, section: str, kind: str) -> Any:
    ask = asked(request, *KEEP)
    sheet = view.sheet(ask)
    if kind == "json":
        said = {one.key: one.grid.plain() for one in sheet.sections}
        return {
            "from": ask.start,
            "to": ask.end,
            "q": ask.q,
            **said,
            "notes": {one.key: one.note for one in sheet.sections if one.note},
        }
    chosen = sheet.section(section)
    name = f"{view.name}-{chosen.key}-{ask.start:%Y%m%dT%H%M}-{ask.end:%Y%m%dT%H%M}"
    return files.answer(kind, name, [chosen.grid.arrow()], rows=len(chosen.grid.rows))


HOW = (
    "Time: `from` and `to`, or `range` (1h to 90d); by default the last 24 hours. `q` narrows as on the page. `format`"
    " csv or parquet gives one `section` as a file, by default the first."
)


def _add(view: View) -> None:
    if view.groups:

        def grouped(
            request: Request, q: str = "", group_by: str = "", range: str = "", section: str = "", format: str = "json"
        ) -> Any:
            return _answer(request, view, section, format)

        operation: Any = grouped
    elif view.name == "compare":

        def compared(
            request: Request,
            by: str = "period",
            a: str = "",
            b: str = "",
            q: str = "",
            range: str = "",
            section: str = "",
            format: str = "json",
        ) -> Any:
            return _answer(request, view, section, format)

        operation = compared
    elif view.tab:

        def one(
            request: Request,
            id: str,
            of_client: str = "",
            q: str = "",
            range: str = "",
            section: str = "",
            format: str = "json",
        ) -> Any:
            return _answer(request, view, section, format)

        operation = one
    else:

        def listed(
            request: Request, q: str = "", order: str = "", range: str = "", section: str = "", format: str = "json"
        ) -> Any:
            return _answer(request, view, section, format)

        operation = listed
    operation.__name__ = f"view_{view.name}"
    router.get(f"/{view.name}", operation_id=f"view_{view.name}", summary=view.what, description=HOW)(operation)


for _view in VIEWS:
    _add(_view)
