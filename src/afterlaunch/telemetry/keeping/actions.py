"""Deciding how content is kept, and for how long."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.conventions.sampling import MOST
from afterlaunch.telemetry.keeping import content, retention
from afterlaunch.telemetry.keeping.content import CAPTURES, Pattern
from afterlaunch.telemetry.keeping.models import Keeping
from afterlaunch.telemetry.keeping.rules import Decision, Rules
from afterlaunch.telemetry.keeping.watch import changed

LEAST_SHARE = 1 / MOST


def rules() -> Rules:
    """All decisions, read now: one query."""
    return Rules(
        (
            (row.client.slug if row.client else None, row.system),
            Decision(row.capture, tuple(Pattern(**one) for one in row.patterns), row.days, row.sampled),
        )
        for row in Keeping.objects.select_related("client")
    )


def decided_days(client: Client | None) -> dict[str, int]:
    """Only what was decided here, without what is inherited."""
    row = Keeping.objects.filter(client=client, system="").first()
    return dict(row.days) if row else {}


def decisions_seen_by(actor: Actor) -> list[Keeping]:
    """Those of the house, which hold for everybody, and of the clients that the actor may see."""
    seen = actor.sees()
    rows = Keeping.objects.select_related("client")
    return [row for row in rows if seen is None or row.client is None or row.client.slug in seen]


@transaction.atomic
def decide(
    actor: Actor,
    client: Client | None,
    system: str = "",
    capture: str | None = None,
    patterns: Sequence[Pattern] | None = None,
    days: Mapping[str, int] | None = None,
    sampled: float | None = None,
) -> Keeping:
    """Decide for the house (no client), a client, or one of its systems; None leaves as it is. Servers take it within
    seconds. `sampled`: the share of traces that senders send, where they do not tell it; 0: inherited again. Raises
    Invalid, NotAllowed."""
    slug = client.slug if client else None
    actor.require(Role.ADMIN, slug)
    if system and client is None:
        raise Invalid("A system belongs to a client.", "Name the client too.")
    if days and system:
        raise Invalid("How long data is kept is decided for a client, not for a system.")
    row = Keeping.objects.select_for_update().filter(client=client, system=system).first()
    row = row or Keeping(client=client, system=system)
    before = _told(row)
    if capture is not None:
        if capture not in ("", *CAPTURES):
            raise Invalid(f"{capture!r} is no way to capture content.", "Use one of: " + ", ".join(CAPTURES))
        row.capture = capture
    if patterns is not None:
        row.patterns = [vars(one) for one in content.checked(patterns)]
    if days is not None:
        row.days = _days(days, slug)
    if sampled is not None:
        if isinstance(sampled, bool) or not (sampled == 0 or LEAST_SHARE <= sampled <= 1):
            raise Invalid(f"{sampled!r} is no share of traces.", "For example 0.1: one of ten is sent; 0: inherited.")
        row.sampled = float(sampled) or None
    row.save()
    record(actor, "keeping.decided", f"keeping/{row}", slug, {"before": before, "after": _told(row)})
    transaction.on_commit(changed)
    return row


def _days(days: Mapping[str, int], slug: str | None) -> dict[str, int]:
    known = rules()
    inherited = known.days_of(None) if slug else dict(retention.DEFAULT_DAYS)
    taken = retention.checked(days, inherited, house=slug is None)
    if slug is None:  # what a client decided before must still fit
        for client in known.clients():
            own = known.decisions[client, ""].days
            retention.checked(own, {**retention.DEFAULT_DAYS, **taken}, house=False)
    return taken


def _told(row: Keeping) -> dict[str, Any]:
    """Patterns by name and digest: what they look for may itself be telling."""
    digest = hashlib.sha256(orjson.dumps(row.patterns)).hexdigest() if row.patterns else ""
    names = [one["name"] for one in row.patterns]
    return {
        "capture": row.capture,
        "patterns": names,
        "patterns_sha256": digest,
        "days": dict(row.days),
        "sampled": None if row.sampled is None else str(row.sampled),
    }
