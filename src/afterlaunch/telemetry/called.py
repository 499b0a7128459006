"""Calls as rows of what the rollups sum, for what these do not tell apart: users, sessions and transactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import CALL_KINDS, Clients, narrowed
from afterlaunch.telemetry.rollups import MILLI, UNSENT_OF
from afterlaunch.telemetry.tables import ORPHAN

PEOPLE = ("user", "session", "transaction")
_IS_CALL = f"part is distinct from '{ORPHAN}'"
_IS_SAMPLED = f"adjusted_count_milli > {MILLI}"
_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in BUCKETS)
MEASURES = {
    "calls": f"case when {_IS_CALL} then 1 else 0 end",
    "cost_nano": "coalesce(cost_nano, 0)",
    "calls_unknown_cost": f"case when cost_nano is null and {_IS_CALL} then 1 else 0 end",
    **{name: f"coalesce({name}, 0)" for name in BUCKETS},
    "calls_estimated": f"case when estimated and {_IS_CALL} then 1 else 0 end",
    "tokens_estimated": f"case when estimated then {_TOKENS} else 0 end",
    "cost_estimated_nano": "case when estimated then coalesce(cost_nano, 0) else 0 end",
    "calls_sampled": f"case when {_IS_SAMPLED} and {_IS_CALL} then 1 else 0 end",
    "calls_unsent_milli": f"case when {_IS_SAMPLED} and {_IS_CALL} then adjusted_count_milli - {MILLI} else 0 end",
    "cost_unsent_nano": f"coalesce({UNSENT_OF.format('cost_nano')}, 0)",
}
"""Counted as the rollups count them: the usage of a stream whose request is not known is no call."""


def called(
    name: str, first: int, last: int, clients: Clients, equals: Mapping[str, str | None]
) -> tuple[str, list[Any]]:
    """SQL and parameters: of each call of the minutes [first, last) its minute, one of `PEOPLE`, and `MEASURES`."""
    where, parameters = narrowed(clients, equals)
    columns = ", ".join(f"{sql} as {measure}" for measure, sql in MEASURES.items())
    rows = f'select minute, "{name}", {columns} from calls'  # noqa: S608 - of names of ours
    kinds = f" where minute >= ? and minute < ? and op_kind in {CALL_KINDS} and {where}"
    return rows + kinds, [first, last, *parameters]
