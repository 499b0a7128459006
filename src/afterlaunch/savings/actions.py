"""Deeds on recommendations: find them, decide on them, say when they are live, and measure what they saved."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.savings import gathering, trials
from afterlaunch.savings.answered import Difference, as_document, differences
from afterlaunch.savings.facts import Place, Terms
from afterlaunch.savings.measuring import Measured, compare
from afterlaunch.savings.models import Recommendation, RouteTerms
from afterlaunch.savings.rules import Idea, ideas

OPEN = ("projected", "not_assessed", "rejected", "gone")
RUNNING = ("accepted", "in_shadow", "verified", "refuted")
LIFE = timedelta(days=30)
TRIED = ("model_swap", "output_limit", "prompt_trimming", "reasoning_effort", "prompt_caching")
"""Kinds that two arms of a route can show; the others show themselves once they are live."""
SETTLES = timedelta(days=3)


def seen_by(actor: Actor) -> QuerySet[Recommendation]:
    seen = actor.sees()
    rows = Recommendation.objects.select_related("client", "system")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def by_id(actor: Actor, pk: int) -> Recommendation:
    found = seen_by(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such recommendation.")
    return found


def key_of(idea: Idea) -> str:
    told = [idea.kind, list(idea.place), idea.target if idea.kind == "model_swap" else ""]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()


def find(client: Client, now: datetime) -> int:
    """Look at everything anew: what is found is kept or brought up to date; what nobody decided on and is found no
    longer is gone. How many stand."""
    prices = gathering.prices(client.slug, now)
    uses = gathering.uses(client.slug, now, _terms(client))
    found = [(one, use.month_nano) for use in uses for one in ideas(use, prices)]
    systems = {row.key: row for row in client.systems.all()}
    keys = set()
    with transaction.atomic():
        known = {row.key: row for row in Recommendation.objects.select_for_update().filter(client=client)}
        for idea, month_nano in found:
            key = key_of(idea)
            if key in keys:
                continue
            keys.add(key)
            _keep(known.get(key), client, systems.get(idea.place.system or ""), key, idea, month_nano, now)
        gone = [row.pk for key, row in known.items() if key not in keys and row.state in OPEN]
        Recommendation.objects.filter(pk__in=gone).exclude(state="gone").update(state="gone")
    return len(keys)


def _keep(
    row: Recommendation | None,
    client: Client,
    system: System | None,
    key: str,
    idea: Idea,
    month_nano: float,
    now: datetime,
) -> None:
    """`month_nano`: what the place costs in 30 days, to which measured shares apply."""
    if row is None:
        row = Recommendation(client=client, key=key, kind=idea.kind, found_at=now)
    elif row.state not in OPEN:  # what somebody decided on stays as it was decided
        Recommendation.objects.filter(pk=row.pk).update(seen_at=now)
        return
    row.system, row.place, row.target, row.title = system, idea.place._asdict(), idea.target, idea.title[:900]
    row.state = "rejected" if idea.refused else "projected" if idea.saving else "not_assessed"
    row.low_nano, row.middle_nano, row.high_nano = (
        (idea.saving.low, idea.saving.middle, idea.saving.high) if idea.saving else (None, None, None)
    )
    row.evidence, row.assumes = list(idea.evidence), idea.assumes
    row.figures = {**idea.figures, "month_nano": int(month_nano)}
    row.risk, row.effort, row.missing, row.seen_at = idea.risk, idea.effort, idea.refused or idea.missing, now
    row.save()


@transaction.atomic
def decide(actor: Actor, row: Recommendation, accept: bool, reason: str = "") -> Recommendation:
    """Accept it, so that what it saves is measured; or decline it, with a reason. What is declined can be accepted
    later. Raises Conflict."""
    actor.require(Role.OPERATOR, row.client.slug)
    row = Recommendation.objects.select_for_update(of=("self",)).select_related("client", "system").get(pk=row.pk)
    if row.state not in ("projected", "declined", "not_assessed", *(("accepted", "in_shadow") if not accept else ())):
        raise Conflict(f"It is {row.state.replace('_', ' ')}.", "Look again.")
    if accept and row.state == "not_assessed" and row.kind not in TRIED:
        raise Conflict("It is not assessed: there is no saving to accept.", row.missing)
    if not accept and not reason.strip():
        raise Invalid("Say why it is declined.", "The next report repeats the reason.")
    row.state = "accepted" if accept else "declined"
    row.decided_at, row.decided_by, row.reason = clock.now(), actor.name, reason.strip()[:1000]
    row.live_at, row.measured, row.measured_at = None, {}, None
    row.save()
    record(actor, f"saving.{row.state}", f"saving/{row.pk}", row.client.slug, _told(row))
    return row


@transaction.atomic
def go_live(actor: Actor, row: Recommendation, at: datetime | None = None) -> Recommendation:
    """It is in production since an instant: from now on its saving is measured against the time before."""
    actor.require(Role.OPERATOR, row.client.slug)
    row = Recommendation.objects.select_for_update(of=("self",)).select_related("client", "system").get(pk=row.pk)
    if row.state not in RUNNING:
        raise Conflict(f"It is {row.state.replace('_', ' ')}.", "Accept it first.")
    at = at or clock.now()
    if at > clock.now():
        raise Invalid("That lies in the future.", "Say it when it is live.")
    row.live_at = at
    row.save(update_fields=["live_at"])
    record(actor, "saving.live", f"saving/{row.pk}", row.client.slug, {**_told(row), "live_at": at.isoformat()})
    return row


def _told(row: Recommendation) -> dict[str, Any]:
    return {"kind": row.kind, "title": row.title, "middle_nano": row.middle_nano, "reason": row.reason}


@transaction.atomic
def say_terms(actor: Actor, client: Client, system: str, route: str, terms: Terms) -> RouteTerms:
    """What holds for answers of one route; the newest saying counts. Raises Invalid."""
    actor.require(Role.OPERATOR, client.slug)
    if bool(terms.metric) != (terms.minimum is not None):
        raise Invalid("An accuracy bar is an evaluation and its minimum.", "Give both, or neither.")
    if terms.margin < 0 or (terms.patience_hours is not None and terms.patience_hours < 0):
        raise Invalid("Margins and times are not negative.")
    if any(not provider or not model for provider, model in terms.candidates) or len(terms.candidates) > 20:
        raise Invalid("A candidate is a provider and a model, at most 20 of them.", "For example openai/gpt-4o-mini")
    row = RouteTerms.objects.create(
        client=client,
        system=system.strip()[:200],
        route=route.strip()[:300],
        metric=terms.metric[:200],
        minimum=terms.minimum,
        margin=terms.margin,
        patience_hours=terms.patience_hours,
        freshness_minutes=terms.freshness_minutes,
        candidates=[list(one) for one in terms.candidates],
        owner=actor.name,
        said_at=clock.now(),
    )
    said = {name: getattr(row, name) for name in ("system", "route", "metric", "candidates", "freshness_minutes")}
    floats = {name: getattr(row, name) for name in ("minimum", "margin", "patience_hours")}
    said |= {name: None if value is None else f"{value:g}" for name, value in floats.items()}
    record(actor, "route.terms", f"client/{client.slug}", client.slug, said)
    return row


def terms_of(client: Client) -> list[RouteTerms]:
    """The newest of each route."""
    newest: dict[tuple[str, str], RouteTerms] = {}
    for row in client.route_terms.order_by("said_at", "pk"):
        newest[row.system, row.route] = row
    return sorted(newest.values(), key=lambda row: (row.system, row.route))


def _terms(client: Client) -> dict[tuple[str | None, str | None], Terms]:
    return {(row.system or None, row.route or None): row.terms for row in terms_of(client)}


def measure(row: Recommendation, now: datetime) -> None:
    """Bring an accepted one up to date with what trial and ledger show; each change of state is evidence."""
    place = Place(**row.place)
    measured, how = _measured(row, place, now)
    kept = _measurement(row, measured, how)
    state = _state(row, measured, how)
    if how in trials.TRIED:
        found = _answered(row, place)
        kept["answers"] = as_document(found)
        if any(one.worse for one in found):
            state = "refuted"
    note(row, state, kept, now)


def note(row: Recommendation, state: str, kept: dict[str, Any], now: datetime) -> None:
    """What a trial or the ledger has shown so far; a change of state is evidence."""
    if state == row.state and kept == row.measured:
        return
    with transaction.atomic():
        Recommendation.objects.filter(pk=row.pk, state=row.state).update(state=state, measured=kept, measured_at=now)
        if state != row.state:
            shown = {name: str(value) for name, value in kept.items() if name != "answers"}  # evidence holds no floats
            told = {**_told(row), "state": state, "measured": shown}
            record(automation("savings.measure"), f"saving.{state}", f"saving/{row.pk}", row.client.slug, told)


def _answered(row: Recommendation, place: Place) -> list[Difference]:
    assert row.decided_at is not None  # it is on trial
    target = row.target if row.kind == "model_swap" else ""
    terms = _terms(row.client).get((place.system, place.route))
    margins = {terms.metric: terms.margin} if terms is not None and terms.metric else {}
    return differences(*trials.answers_of_arms(place, row.decided_at, target), margins)


def _measured(row: Recommendation, place: Place, now: datetime) -> tuple[Measured, str]:
    if row.live_at is not None and now - row.live_at >= SETTLES:
        same = row.kind != "model_swap"
        return compare(*trials.before_and_after(place, row.live_at, same)), "ledger"
    if row.kind in TRIED and row.decided_at is not None:
        baseline, tried, arm = trials.of_arms(place, row.decided_at, row.target if row.kind == "model_swap" else "")
        return compare(baseline, tried), arm
    return Measured(0, 0), ""


def _state(row: Recommendation, measured: Measured, how: str) -> str:
    if how == "ledger":
        return "realised" if measured.saves else "refuted" if measured.costs_more else row.state
    if how and measured.saves:
        return "verified"
    if how and measured.costs_more:
        return "refuted"
    return "in_shadow" if how else row.state


def _measurement(row: Recommendation, measured: Measured, how: str) -> dict[str, Any]:
    if not how:
        return dict(row.measured)
    out: dict[str, Any] = {"by": how, "before": measured.before, "after": measured.after}
    if measured.share is not None and measured.low is not None and measured.high is not None:
        base = int(row.figures["month_nano"])
        out |= {"share": round(measured.share, 4), "low": round(measured.low, 4), "high": round(measured.high, 4)}
        out |= {f"{name}_nano": int(out[name] * base) for name in ("low", "share", "high")}
    return out


def work(now: datetime, clients: Sequence[Client] | None = None) -> None:
    """Look for savings, then measure what was accepted."""
    for client in Client.objects.all() if clients is None else clients:
        find(client, now)
    measure_accepted(now)


def measure_accepted(now: datetime) -> None:
    for row in Recommendation.objects.filter(state__in=(*RUNNING, "realised")).select_related("client", "system"):
        measure(row, now)
