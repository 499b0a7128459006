"""Transactions, sessions and users by cost, and one of them: its traces, its figures, and what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look import formats
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import NOT_MIRRORED, narrowed
from afterlaunch.telemetry.records import readable
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.conversation import Turn, turns
from afterlaunch.telemetry.views.finding import APART_NS
from afterlaunch.telemetry.views.grids import COUNT, INSTANT, MS, TEXT, USD, Column, Grid
from afterlaunch.telemetry.views.search import conditions
from afterlaunch.telemetry.views.sheets import Section, Sheet, Tile

MOST = 200
ORDERS = {"cost": "cost desc nulls last", "calls": "calls desc", "failed": "failed desc", "last": "last_ns desc"}
ADVICE = {
    "transaction": "Send afterlaunch.transaction on spans; afterlaunch.context(transaction=…) does it.",
    "session": "Send session.id or gen_ai.conversation.id on spans; afterlaunch.context(session=…) does it.",
    "user": "Send user.id on spans; afterlaunch.context(user=…) does it.",
}
_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in BUCKETS)
_KNOWN = " or ".join(f"{name} is not null" for name in BUCKETS)
FIGURES = f"""count(*) as calls, count(distinct trace_id) as traces,
    sum(case when failed then 1 else 0 end)::bigint as failed,
    sum(case when {_KNOWN} then {_TOKENS} end)::bigint as tokens, sum(cost_nano)::bigint as cost,
    (count(*) - count(cost_nano))::bigint as unknown, min(start_ns) as first_ns, max(start_ns) as last_ns"""
COLUMNS = (
    Column("client", TEXT, "Client"),
    Column("traces", COUNT, "Traces"),
    Column("calls", COUNT, "Calls"),
    Column("failed", COUNT, "Failed"),
    Column("tokens", COUNT, "Tokens"),
    Column("cost_usd", USD, "Cost"),
    Column("calls_with_unknown_cost", COUNT, "Cost unknown", "calls, not in the sum"),
    Column("first", INSTANT, "First"),
    Column("last", INSTANT, "Last"),
)
TRACES = (
    Column("start", INSTANT, "When"),
    Column("trace_id", TEXT, "Trace"),
    Column("agent", TEXT, "Agent"),
    Column("route", TEXT, "Route"),
    Column("calls", COUNT, "Calls"),
    Column("failed", COUNT, "Failed"),
    Column("duration_ms", MS, "From first to last"),
    Column("tokens", COUNT, "Tokens"),
    Column("cost_usd", USD, "Cost"),
    Column("calls_with_unknown_cost", COUNT, "Cost unknown"),
)


def page_of(kind: str, name: str) -> str:
    """The address of one transaction, session or user."""
    from django.utils.http import urlencode

    return f"/calls/{kind}?{urlencode({'id': name})}"


def _where(ask: Asked, more: Mapping[str, str | None]) -> tuple[str, list[Any]]:
    own, of_spans = conditions(ask.search, "calls")
    if of_spans[0]:
        raise Invalid(
            "Transactions, sessions and users can't be narrowed by what only spans tell.", "Search the calls instead."
        )
    seen, mine = narrowed(ask.clients, {})
    parts = [f"start_ns >= ? and start_ns < ? and {NOT_MIRRORED} and {seen}"]
    parameters: list[Any] = [clock.to_ns(ask.start), clock.to_ns(ask.end), *mine]
    if own[0]:
        parts.append(own[0])
        parameters += own[1]
    for column, value in more.items():
        parts.append(f'"{column}" = ?')
        parameters.append(value)
    return " and ".join(parts), parameters


def _listed(kind: str, ask: Asked) -> Sheet:
    order = ask.kept.get("order", "cost")
    if order not in ORDERS:
        raise Invalid(f"{kind.capitalize()}s can't be ordered by {order!r}.", "Orders: " + ", ".join(ORDERS))
    where, parameters = _where(ask, {})
    rows = current().query(
        f'select client, "{kind}" as name, {FIGURES}, count(*) over () as whole from calls'
        f' where {where} and "{kind}" is not null group by client, "{kind}"'
        f' order by {ORDERS[order]}, "{kind}" limit {MOST}',
        parameters,
    )
    (untold,) = current().query(
        f'select count(*) as calls, count("{kind}") as told from calls where {where}', parameters
    )
    for row in rows:
        row[kind] = row["name"]
        _dressed(row)
    whole = rows[0]["whole"] if rows else 0
    links = {kind: lambda row: ask.link(f"/calls/{kind}", id=row[kind], of_client=row["client"])}
    grid = Grid([Column(kind, TEXT, kind.capitalize()), *COLUMNS], rows, links)
    note = f"The first {MOST} of {whole:,} by {order}. " if whole > MOST else ""
    without = untold["calls"] - untold["told"]
    if without:
        note += f"{without:,} of {untold['calls']:,} calls tell no {kind}: they are in none of these."
    section = Section("rows", f"{kind.capitalize()}s by {order}", grid, note, f"No call tells its {kind}", ADVICE[kind])
    return Sheet([section], [Tile(f"{kind.capitalize()}s", formats.compact(whole))])


def transactions(ask: Asked) -> Sheet:
    return _listed("transaction", ask)


def sessions(ask: Asked) -> Sheet:
    return _listed("session", ask)


def users(ask: Asked) -> Sheet:
    return _listed("user", ask)


def _dressed(row: dict[str, Any]) -> None:
    row["cost_usd"], row["calls_with_unknown_cost"] = row["cost"], row["unknown"]
    row["first"], row["last"] = clock.from_ns(row["first_ns"]), clock.from_ns(row["last_ns"])


def one(kind: str, ask: Asked) -> Sheet:
    """The traces of one transaction, session or user, newest first, and, of a user, their sessions."""
    name = ask.kept.get("id", "")
    if not name:
        raise Invalid(f"Which {kind}?", "Give its id.")
    mine: dict[str, str | None] = {kind: name}
    if ask.kept.get("of_client"):
        mine["client"] = ask.kept["of_client"]
    where, parameters = _where(ask, mine)
    (whole,) = current().query(f"select {FIGURES} from calls where {where}", parameters)
    traces = current().query(
        f"select client, trace_id, max(agent) as agent, max(route) as route, {FIGURES},"
        f" max(start_ns + coalesce(duration_ns, 0)) as end_ns from calls where {where}"
        f" group by client, trace_id order by first_ns desc limit {MOST}",
        parameters,
    )
    for row in traces:
        _dressed(row)
        row["trace_id"], row["start"] = row["trace_id"].hex(), row["first"]
        row["duration_ms"] = (row["end_ns"] - row["first_ns"]) / 1e6
    links = {"trace_id": lambda row: f"/traces/{row['trace_id']}"}
    note = f"The newest {MOST} of {whole['traces']:,}." if whole["traces"] > MOST else ""
    sections = [Section("rows", "Traces", Grid(TRACES, traces, links), note)]
    if kind == "user":
        sections.append(_sessions_of(ask, where, parameters))
    unknown = whole["unknown"]
    tiles = [
        Tile("Traces", formats.count(whole["traces"])),
        Tile("Calls", formats.count(whole["calls"])),
        Tile("Failed", formats.percent(whole["failed"] or 0, whole["calls"])),
        Tile("Tokens", formats.compact(whole["tokens"])),
        Tile("Cost", formats.money(whole["cost"]), f"unknown for {unknown:,} calls" if unknown else "",
             "warning" if unknown else ""),
    ]  # fmt: skip
    return Sheet(sections, tiles)


def _sessions_of(ask: Asked, where: str, parameters: list[Any]) -> Section:
    rows = current().query(
        f"select client, session, {FIGURES} from calls where {where} and session is not null"
        f" group by client, session order by last_ns desc limit {MOST}",
        parameters,
    )
    for row in rows:
        _dressed(row)
    links = {"session": lambda row: ask.link("/calls/session", id=row["session"], of_client=row["client"])}
    grid = Grid([Column("session", TEXT, "Session"), *COLUMNS], rows, links)
    return Section("sessions", "Sessions", grid, "", "No session is told", ADVICE["session"])


def said(kind: str, ask: Asked) -> list[Turn]:
    """What was said in one transaction or session, or by one user: the newest calls whose content is kept, in order of
    their start."""
    mine: dict[str, str | None] = {kind: ask.kept.get("id", "")}
    if ask.kept.get("of_client"):
        mine["client"] = ask.kept["of_client"]
    where, parameters = _where(ask, mine)
    calls = current().query(
        f"select client, start_ns, members from calls where {where} order by start_ns desc limit {MOST_SAID}",
        parameters,
    )
    if not calls:
        return []
    seen, clients = narrowed(ask.clients, {})
    members = sorted({member for row in calls for member in row["members"]})
    bounds = [min(row["start_ns"] for row in calls) - APART_NS, max(row["start_ns"] for row in calls) + APART_NS]
    rows = current().query(
        f"select {CONTENT} from spans where start_ns >= ? and start_ns <= ? and {seen}"
        " and span_id in (select unhex(unnest(?))) and (input_text is not null or output_text is not null)"
        " order by start_ns",
        [*bounds, *clients, members],
    )
    own = {(row["client"], member) for row in calls for member in row["members"]}
    return turns(readable(row) for row in rows if (row["client"], row["span_id"].hex()) in own)


CONTENT = (
    "client, trace_id, span_id, parent_span_id, start_ns, name, op_kind, agent, tool, failed, error_kind,"
    " coalesce(model_answered, model_requested) as model, input_text, output_text, attributes"
)
MOST_SAID = 100


def transaction(ask: Asked) -> Sheet:
    return one("transaction", ask)


def session(ask: Asked) -> Sheet:
    return one("session", ask)


def user(ask: Asked) -> Sheet:
    return one("user", ask)
