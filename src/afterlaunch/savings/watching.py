"""Trials that need no copies: the calls go on as they are, and what a rule would have saved on them is added up.
Repeated questions need the route's cache to observe; failed attempts and batches are read from what calls tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict
from afterlaunch.routes.actions import alter_handling
from afterlaunch.routes.models import Route
from afterlaunch.savings import gathering, replays
from afterlaunch.savings.actions import by_id, decide, note, terms_of
from afterlaunch.savings.facts import Place
from afterlaunch.savings.models import Recommendation
from afterlaunch.savings.replays import Replayed

KINDS = ("response_caching", "failed_attempts", "batch")
OPEN = ("projected", "declined", "accepted")
LONGEST = timedelta(days=14)
"""A trial that lasts longer is of its last two weeks."""
WORDS = {
    "response_caching": "Every call is answered by its upstream as before; the route's cache only tells which answers"
    " it would have given again, and whether the upstream said the same.",
    "failed_attempts": "Calls go on as they are. Counted is what was tried within a minute after two failures in a row"
    " of one transaction, session or trace: what it cost, and whether it was answered after all.",
    "batch": "Calls go on as they are. Counted is which of them could have waited: their transaction or session is"
    " told, and nothing followed in it for a day. A call is judged when its day is over.",
}


@dataclass(frozen=True)
class Watch:
    """`why_not`: what keeps it from being watched. `route`: whose cache observes, None where no cache is needed."""

    words: str
    running: bool
    why_not: str
    route: Route | None = None
    seconds: int = 0


def watch_of(row: Recommendation) -> Watch | None:
    """None for kinds that are tried on copies."""
    if row.kind not in KINDS:
        return None
    running = bool(row.figures.get("watched_from"))
    if row.kind == "batch" and "factor" not in row.figures:
        return Watch(WORDS[row.kind], running, "Say first in the terms of the route how long an answer may take.")
    if row.kind != "response_caching":
        return Watch(WORDS[row.kind], running, "")
    route = Route.objects.filter(name=row.place.get("route") or "", system__client=row.client).first()
    terms = next((one.terms for one in terms_of(row.client) if (one.system, one.route) == _where(row)), None)
    if route is None:
        return Watch(WORDS[row.kind], running, "Its calls pass no route of the gateway.")
    if terms is None or not terms.freshness_minutes:
        return Watch(WORDS[row.kind], running, "Say first in the terms of the route how old an answer may be.", route)
    why = "The route gives remembered answers already." if not running and route.handling.get("cache_seconds") else ""
    return Watch(WORDS[row.kind], running, why, route, terms.freshness_minutes * 60)


def _where(row: Recommendation) -> tuple[str, str]:
    return row.place.get("system") or "", row.place.get("route") or ""


@transaction.atomic
def start(actor: Actor, row: Recommendation) -> Recommendation:
    """Accepts it, if nobody has, and watches its calls from now on. Raises Conflict."""
    actor.require(Role.OPERATOR, row.client.slug)
    watch = watch_of(row)
    if watch is None or watch.why_not:
        raise Conflict("This cannot be watched.", watch.why_not if watch else "It is tried on copies.")
    if watch.running or row.state not in OPEN:
        raise Conflict(f"It is {'on trial' if watch.running else row.state.replace('_', ' ')}.", "Look again.")
    if row.state != "accepted":
        row = decide(actor, row, True, "watched")
    if watch.route is not None:
        alter_handling(actor, watch.route, {"cache_seconds": watch.seconds, "cache_observe": True})
    row.figures = {**row.figures, "watched_from": clock.now().isoformat()}
    row.state = "in_shadow"
    row.save(update_fields=["figures", "state"])
    told = {"kind": row.kind, "route": row.place.get("route") or ""}
    record(actor, "saving.watch_started", f"saving/{row.pk}", row.client.slug, told)
    return row


@transaction.atomic
def stop(actor: Actor, row: Recommendation) -> Recommendation:
    """What was measured stays. Raises Conflict where none runs."""
    actor.require(Role.OPERATOR, row.client.slug)
    watch = watch_of(row)
    if watch is None or not watch.running:
        raise Conflict("No trial of this recommendation runs.", "Look again.")
    if watch.route is not None and watch.route.handling.get("cache_observe"):
        alter_handling(actor, watch.route, {"cache_seconds": None, "cache_observe": None})
    row.figures = {name: value for name, value in row.figures.items() if name != "watched_from"}
    if row.state == "in_shadow":
        row.state = "accepted"
    row.save(update_fields=["figures", "state"])
    record(actor, "saving.watch_ended", f"saving/{row.pk}", row.client.slug, {"kind": row.kind})
    return row


def stop_shown(actor: Actor) -> None:
    for row in Recommendation.objects.filter(kind__in=KINDS, state__in=("verified", "refuted", "realised")):
        if row.figures.get("watched_from"):
            stop(actor, by_id(actor, row.pk))


def measure(now: datetime) -> None:
    """What the trials that run have shown."""
    for row in Recommendation.objects.filter(kind__in=KINDS, state="in_shadow").select_related("client", "system"):
        if row.figures.get("watched_from"):
            found = replayed(row, Place(**row.place), now)
            state = "refuted" if found.refuted else "verified" if found.saves else "in_shadow"
            note(row, state, _kept(row, found), now)


def _kept(row: Recommendation, found: Replayed) -> dict[str, Any]:
    out: dict[str, Any] = {"by": "watched", "before": found.calls, "after": found.taken, "lost": found.lost}
    out["hours"] = found.hours
    if found.share is not None and found.low is not None and found.high is not None:
        base = int(row.figures["month_nano"])
        out |= {"share": round(found.share, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
        out |= {f"{name}_nano": int(out[name] * base) for name in ("low", "share", "high")}
    return out


def replayed(row: Recommendation, place: Place, now: datetime) -> Replayed:
    """What the rule would have done with the calls since the trial began."""
    since = max(datetime.fromisoformat(row.figures["watched_from"]), now - LONGEST)
    calls = gathering.seen(place, since, now, row.kind)
    match row.kind:
        case "response_caching":
            return replays.summed(replays.repeated(calls))
        case "failed_attempts":
            return replays.summed(replays.tried_again(calls))
    return replays.summed(replays.batched(calls, float(row.figures["factor"]), clock.to_ns(now)))
