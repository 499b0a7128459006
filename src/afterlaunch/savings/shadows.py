"""A recommendation is tried as a shadow of its route: copies of a share of the calls go to the other model, or are
altered as it says, within a budget of their own, and no longer than until the saving is shown or refuted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from django.db import transaction

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.routes.actions import alter_handling
from afterlaunch.routes.models import Route, Upstream
from afterlaunch.routes.shadow_use import ShadowStanding, standing
from afterlaunch.savings.actions import by_id, decide
from afterlaunch.savings.models import Recommendation

OPEN = ("projected", "not_assessed", "declined", "accepted", "in_shadow")
SHARE, SHARE_OF_COST = 10.0, 0.1
MESSAGES_OF_A_TURN = 2
LESS_EFFORT = "low"
ASKS_FOR_A_MARK = ("anthropic",)  # others keep prompts by themselves


@dataclass(frozen=True)
class Trial:
    """Where a recommendation can be tried. `how`: what of handling.shadow does so, `words` the same for people;
    `upstreams`: the route's own first; `usd_a_day`: a proposal."""

    route: Route
    how: Mapping[str, Any]
    words: str
    upstreams: Sequence[str]
    usd_a_day: float
    running: bool
    other: bool  # the route has a shadow that somebody else set
    standing: ShadowStanding | None  # of the one that runs, whoever set it


def trial_of(row: Recommendation) -> Trial | None:
    """None where no shadow can show it: a kind that only the ledger shows, or no route of the gateway."""
    name, how = row.place.get("route"), _how(row)
    if how is None or not name:
        return None
    route = Route.objects.filter(name=name, system__client=row.client).prefetch_related("arms__upstream").first()
    baseline = route.arm("baseline") if route else None
    if route is None or baseline is None:
        return None
    own = baseline.upstream
    with_keys = Upstream.objects.exclude(credential="passthrough")  # a caller's key is not sent for nobody
    if row.kind != "model_swap":
        with_keys = with_keys.filter(provider=own.provider)  # the same model, elsewhere, is another price
    upstreams = sorted(with_keys, key=lambda one: (one.pk != own.pk, one.provider != own.provider, one.name))
    month = int(row.figures.get("month_nano") or 0) / 1e9
    ours = _ours(route, row, how[0])
    set_ = bool(route.handling.get("shadow", {}).get("share"))
    proposed = max(round(month / 30 * SHARE_OF_COST, 2), 0.1)
    names, stands = [one.name for one in upstreams], standing(route, clock.now())
    return Trial(route, *how, names, proposed, ours, set_ and not ours, stands)


def _how(row: Recommendation) -> tuple[dict[str, Any], str] | None:
    """What of handling.shadow tries it, and the words for it."""
    if row.kind == "model_swap" and row.target:
        return {"model": row.target}, f"answered by {row.target}"
    if row.kind == "output_limit" and row.target.isdigit():
        return {"alter": {"most_output": int(row.target)}}, f"answered in at most {int(row.target):,} tokens"
    if row.kind == "prompt_trimming" and row.target.isdigit():
        last = MESSAGES_OF_A_TURN * int(row.target)
        return {"alter": {"messages": last}}, f"answered from the last {last} messages"
    if row.kind == "reasoning_effort":
        return {"alter": {"effort": LESS_EFFORT}}, f"answered with {LESS_EFFORT} reasoning effort"
    if row.kind == "prompt_caching" and row.place.get("provider") in ASKS_FOR_A_MARK:
        return {"alter": {"keep_prompt": True}}, "sent with its instructions marked for the prompt cache"
    return None


def _ours(route: Route, row: Recommendation, how: Mapping[str, Any]) -> bool:
    shadow = route.handling.get("shadow", {})
    alike = all(shadow.get(name) == how.get(name) for name in ("model", "alter"))
    return bool(shadow.get("share")) and alike and bool(row.figures.get("shadow"))


@transaction.atomic
def start(actor: Actor, row: Recommendation, upstream: str, percent: float, usd_a_day: float) -> Recommendation:
    """Accepts the recommendation, if nobody has, and mirrors `percent` of its route's calls as it says.

    Raises Conflict, Invalid."""
    actor.require(Role.OPERATOR, row.client.slug)
    trial = trial_of(row)
    if trial is None:
        raise Conflict(
            "This cannot be tried as a shadow.",
            "It takes a route of the gateway, and something that a copy can have otherwise.",
        )
    if row.state not in OPEN:
        raise Conflict(f"It is {row.state.replace('_', ' ')}.", "Look again.")
    if trial.other:
        raise Conflict("The route has another shadow.", f"End it at the settings of {trial.route.name} first.")
    if not isfinite(percent) or not 0.01 <= percent <= 100:
        raise Invalid("A share lies between 0.01 and 100 percent.")
    if not isfinite(usd_a_day) or usd_a_day <= 0:
        raise Invalid("A shadow needs a budget above zero.", "It ends for the day when it is used up.")
    if upstream not in trial.upstreams:
        raise Invalid(f"{upstream!r} is no upstream with a key of its own.", "A shadow never sends a caller's key.")
    if row.state in ("projected", "not_assessed", "declined"):
        row = decide(actor, row, True, "tried as a shadow")
    shadow = {
        "share": round(percent * 100),
        "upstream": upstream,
        **trial.how,
        "budget": {"limit": usd_a_day, "unit": "usd", "window": "day"},
    }
    alter_handling(actor, trial.route, {"shadow": shadow})
    row.figures = {**row.figures, "shadow": trial.route.name}
    row.save(update_fields=["figures"])
    told = {"route": trial.route.name, "upstream": upstream, "how": trial.words, "share": shadow["share"]}
    record(actor, "saving.shadow_started", f"saving/{row.pk}", row.client.slug, told | {"usd_a_day": f"{usd_a_day:g}"})
    return row


@transaction.atomic
def stop(actor: Actor, row: Recommendation) -> Recommendation:
    """What was measured stays. Raises Conflict where none runs."""
    actor.require(Role.OPERATOR, row.client.slug)
    trial = trial_of(row)
    if trial is None or not trial.running:
        raise Conflict("No shadow of this recommendation runs.", "Look again.")
    alter_handling(actor, trial.route, {"shadow": None})
    row.figures = {name: value for name, value in row.figures.items() if name != "shadow"}
    row.save(update_fields=["figures"])
    record(actor, "saving.shadow_ended", f"saving/{row.pk}", row.client.slug, {"route": trial.route.name})
    return row


def stop_shown(actor: Actor) -> None:
    """Shadows whose question is answered cost money for nothing."""
    for row in Recommendation.objects.filter(state__in=("verified", "refuted", "realised")).select_related("client"):
        if (trial := trial_of(row)) is not None and trial.running:
            stop(actor, by_id(actor, row.pk))
