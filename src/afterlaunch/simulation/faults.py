"""Ways to break the product on purpose, each of which a check must find. For tests, and for who doubts the checks."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

from django.db import connection

FAULTS = {  # name: (the check that must find it, what is broken)
    "forget-leased-pages": ("pages-lost", "after a restart, pages that were being sent count as sent"),
    "swallow-alerts": ("alerts-kept", "every fifth delivery of alerts is acknowledged and not stored"),
    "skip-escalations": ("steps-paged", "every other escalation puts its next step off by a day"),
    "page-somebody-else": ("steps-paged", "pages go to the person after the one on call"),
    "send-again": ("sent-twice", "every page is sent again under another key"),
    "shift-clocks": ("clocks-equal", "response clocks run an hour longer"),
    "miss-breaches": ("breaches-stamped", "breaches are taken back"),
    "believe-previews": ("acknowledged", "a link preview acknowledges"),
    "rewrite-timeline": ("timelines-hold", "an entry of a timeline is rewritten"),
    "rewrite-evidence": ("evidence-verifies", "an entry of the evidence log is rewritten"),
    "break-a-duty": ("duties-well", "the duty that looks for missed pages fails"),
}
_deliveries = count(1)


def swallows(broken: Collection[str]) -> bool:
    return "swallow-alerts" in broken and next(_deliveries) % 5 == 0


def fails(broken: Collection[str], duty: str) -> None:
    if "break-a-duty" in broken and duty == "incidents.audit_paging":
        raise RuntimeError("broken on purpose")


def at_start(broken: Collection[str]) -> None:
    if "forget-leased-pages" in broken:
        _do("update notify_page set state = 'accepted', lease_until = null where state = 'leased'")


def commit(broken: Collection[str]) -> None:
    """After everything that the product was asked for."""
    for name in sorted(broken):
        for statement in STATEMENTS.get(name, ()):
            _do(statement)


STATEMENTS = {
    "skip-escalations": (
        "update oncall_escalation set next_at = datetime(next_at, '+1 day'), facts = json_set(facts, '$.skipped', 1)"
        " where state = 'live' and id % 2 = 0 and json_extract(facts, '$.skipped') is null",
    ),
    "page-somebody-else": (
        "update notify_page set person_id = person_id + 1, contact_id = (select min(id) from notify_contactmethod"
        " where user_id = notify_page.person_id + 1), occurrence = occurrence || 'x'"
        " where state = 'pending' and purpose = 'page' and attempts = 0 and occurrence not like '%x'"
        " and exists (select 1 from notify_contactmethod where user_id = notify_page.person_id + 1)",
    ),
    "send-again": (
        "update notify_page set key = key || '-again', state = 'pending', accepted_at = null"
        " where state = 'accepted' and purpose = 'page' and key not like '%-again'",
    ),
    "shift-clocks": (
        "update sla_clock set deadline = datetime(deadline, '+1 hour'), reason = reason || '+'"
        " where reason not like '%+' and deadline is not null",
    ),
    "miss-breaches": ("update sla_clock set breached_at = null, met_at = deadline where breached_at is not null",),
    "rewrite-timeline": (
        "update incidents_timelineentry set text = 'Nothing happened.' where kind = 'acknowledged'"
        " and id = (select min(id) from incidents_timelineentry where kind = 'acknowledged')",
    ),
    "rewrite-evidence": (
        "update evidence_entry set body = cast(replace(body, 'incident.opened', 'incident.opaned') as blob)"
        " where deed = 'incident.opened'"
        " and id = (select min(id) from evidence_entry where deed = 'incident.opened')",
    ),
}


def _do(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
