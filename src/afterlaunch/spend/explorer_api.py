"""The spend explorer over REST: the page's figures as JSON, CSV or Parquet."""

from __future__ import annotations

from typing import Any

from ninja import Router

from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.spend.explorer import Explorer, chosen
from afterlaunch.spend.explorer_pages import KEEP
from afterlaunch.telemetry.views import files
from afterlaunch.telemetry.views.asked import asked
from afterlaunch.telemetry.views.grids import usd

router = Router(tags=["spend"])


@router.get("/spend/explorer")
def explorer(
    request: Request, group_by: str = "model", q: str = "", range: str = "", section: str = "", format: str = "json"
) -> Any:
    """Tokens and known cost by one dimension or two, beside the same length of time before; and `drivers`: parts that
    add up to the difference (volume, mix, tokens_per_call, cache, output_share, price). Time: `from` and `to`, or
    `range` (1h to 90d), by default 7d. `q` narrows by dimensions. `format` csv or parquet gives one `section` (rows,
    drivers) as a file."""
    ask = asked(request, *KEEP, default="7d")
    found = Explorer(ask, chosen(ask))
    if format == "json":
        told = found.drivers
        return {
            "from": ask.start,
            "to": ask.end,
            "before": found.before,
            "q": ask.q,
            "group_by": list(found.names),
            "rows": found.grid.plain(),
            "drivers": {
                "before_usd": usd(told.before_nano),
                "now_usd": usd(told.now_nano),
                "difference_usd": usd(told.difference),
                **{name: usd(part) for name, part in told.parts.items()},
                "groups": found.drivers_grid.plain(),
            },
        }
    if section not in ("", "rows", "drivers"):
        raise Invalid(f"There is no section {section!r}.", "rows, drivers")
    grid = found.drivers_grid if section == "drivers" else found.grid
    name = f"spend-{section or 'rows'}-{ask.start:%Y%m%dT%H%M}-{ask.end:%Y%m%dT%H%M}"
    return files.answer(format, name, [grid.arrow()], rows=len(grid.rows))
