"""Which stored and which new rows may tell of one call: SQL over `calls` and `fresh`, run inside a commit.

`near` are the stored rows that share a key with a new one; `suspect` the span ids of all rows, old and new, that share
a key with another; `atom` the suspects with one row per span again. What then belongs together decides `calls.group`.
"""

from __future__ import annotations

import math

from afterlaunch.telemetry import schema
from afterlaunch.telemetry.calls import apart_ns

_WINDOW = """minute between (select min(minute) - getvariable('near_minutes') from fresh)
    and (select max(minute) + getvariable('near_minutes') from fresh)"""
NO_TWINS = (
    "create or replace temp table twin (place bigint)",
    "create or replace temp table alike (span_id blob)",
)
_ALIKE = """one.client = other.client and one.instance = other.instance
    and one.model_requested = other.model_requested and one.scopes <> other.scopes
    and one.start_ns <= other.start_ns + other.duration_ns and other.start_ns <= one.start_ns + one.duration_ns
    and not one.gateway and not other.gateway and (one.client, one.instance) in (from two_scopes)"""
_TWIN = f"""create or replace temp table twin as
    select other.rowid as place from fresh one join calls other on {_ALIKE}
        where other.{_WINDOW} and one.response_id is null union
    select other.rowid from fresh one join calls other on {_ALIKE}
        where other.{_WINDOW} and one.response_id is not null and other.response_id is null"""
_NEAR = f"""create or replace temp table near as select *, rowid as place from calls where {_WINDOW}
    and part is distinct from '{schema.NO_LEAF}'
    and (response_id in (select response_id from fresh where response_id is not null)
        or trace_id in (select trace_id from fresh)
        or stream_key in (select stream_key from fresh where stream_key is not null)
        or rowid in (select place from twin))"""
_SEEN = """select client, response_id, trace_id, span_id, scopes, stream_key, instance, model_requested, start_ns,
    duration_ns, gateway from near union all
    select client, response_id, trace_id, span_id, scopes, stream_key, instance, model_requested, start_ns,
    duration_ns, gateway from fresh"""
_LIKE = f"""create or replace temp table alike as with seen as ({_SEEN}),
    pair as (select one.span_id as one, other.span_id as other from seen one join seen other
        on {_ALIKE} and one.span_id <> other.span_id and (one.response_id is null or other.response_id is null))
    select one as span_id from pair union select other from pair"""
_SUSPECT = f"""create or replace temp table suspect as with seen as ({_SEEN}),
    chosen as (
        select client, span_id, trace_id, response_id, stream_key from seen where
            response_id in (select response_id from seen where response_id is not null
                            group by client, response_id having count(*) > 1)
            or trace_id in (select trace_id from seen group by trace_id having count(*) > 1
                            and count(response_id) < count(*) and count(distinct scopes) > 1)
            or stream_key in (select stream_key from seen where stream_key is not null
                              group by stream_key having count(*) > 1)
            or span_id in (from alike))
    select client, span_id from chosen union
    select client, span_id from seen where trace_id in (select trace_id from chosen)
        or response_id in (select response_id from chosen where response_id is not null)
        or stream_key in (select stream_key from chosen where stream_key is not null)"""


def near_minutes() -> int:
    """So many minutes around a new row its fellow members lie: the SQL variable of this name."""
    return math.ceil(apart_ns() / 60_000_000_000) + 1


def look_around(processes: list[tuple[str, str]]) -> tuple[str, ...]:
    """Statements that fill `near` and `suspect`. Key C needs two scopes in one process: `two_scopes` names those
    of the new rows; where a process has one scope only, as most have, nothing is compared."""
    return (_TWIN, _NEAR, _LIKE, _SUSPECT) if processes else (*NO_TWINS, _NEAR, _SUSPECT)


_PARTS = "select client, unhex(unnest(members)) from replaced where len(members) > 1"
_AS_CALL = schema.calls_from(
    "spans",
    f"""cost_confidence is not null and (client, span_id) in ({_PARTS})
    and start_ns between (select min(start_ns) - getvariable('near_minutes') * 60000000000 from replaced)
                     and (select max(start_ns) + getvariable('near_minutes') * 60000000000 from replaced)""",
)
TAKE_APART = (
    "create or replace temp table replaced as"
    " select * exclude (place) from near where (client, span_id) in (from suspect)",
    f"""create or replace temp table atom as
    select * from replaced where len(members) = 1 union all by name
    select * from fresh where (client, span_id) in (from suspect) union all by name
    {_AS_CALL}""",
)
