"""A system's retraining as a page: policies, runs and why each fired or did not, versions made, what was live when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import yaml
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_current_timezone
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.estate.actions import system_by_id
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.yaml_text import load
from afterlaunch.look.requests import Request
from afterlaunch.retraining import actions, deciding, live
from afterlaunch.retraining.definition import written
from afterlaunch.retraining.models import IN_FLIGHT, Policy, Run

RUNS, VERSIONS = 50, 20
DEEDS = {"approve": actions.approve, "decline": actions.decline}
EXAMPLE = """\
schedule: {cron: "0 3 * * 1", zone: UTC}
triggers:
- name: worse
  when: [{judge: performance.accuracy}, {labels: 2000}]
cooldownHours: 24
budget: {runsPerMonth: 4, costPerRun: "12.50", costPerMonth: "40"}
approval: posture
pipeline:
  kind: github
  repository: acme/models
  workflow: train.yml
  ref: main
  credential: env:GITHUB_TOKEN
"""


@require_http_methods(["GET", "HEAD", "POST"])
def retraining(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    if request.method != "POST":
        return _shown(request, system)
    name, text = request.POST.get("name", ""), request.POST.get("spec", "")
    try:
        policy = actions.put_policy(request.actor, system, name, _yaml(text))
    except Invalid as problem:
        return _shown(request, system, name, text, problem)
    messages.success(request, f"The policy of {policy.name} is in force.")
    return redirect(policy)


def _yaml(text: str) -> Any:
    try:
        return load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        raise Invalid(f"Line {mark.line + 1}: this is no YAML." if mark else "This is no YAML.") from problem


@require_POST
def end(request: Request, pk: int, name: str) -> HttpResponse:
    actions.end_policy(request.actor, actions.policy_by_name(request.actor, pk, name))
    return redirect(f"/systems/{pk}/retraining")


@require_POST
def ask(request: Request, pk: int, name: str) -> HttpResponse:
    policy = actions.policy_by_name(request.actor, pk, name)
    run = deciding.ask_for(request.actor, policy, request.POST.get("why", ""))
    messages.success(request, f"Run {run.number}: {run.reason_why}")
    return redirect(policy)


@require_POST
def deed(request: Request, pk: int, name: str, number: int, deed: str) -> HttpResponse:
    if deed not in DEEDS:
        raise NotFound("There is no such deed.")
    policy = actions.policy_by_name(request.actor, pk, name)
    DEEDS[deed](request.actor, actions.run_by_number(policy, number))
    return redirect(policy)


def _shown(
    request: Request, system: System, name: str = "", text: str = "", problem: Invalid | None = None
) -> HttpResponse:
    policies = list(actions.policies_of(system))
    runs = Run.objects.select_related("policy", "registration", "change").filter(policy__system=system)
    now = clock.now()
    at = _instant(request.GET.get("at", ""))
    context: dict[str, Any] = {
        "system": system,
        "rows": [_row(one, now) for one in policies],
        "runs": runs[:RUNS],
        "flying": runs.filter(state__in=IN_FLIGHT).count(),
        "waiting": runs.filter(state="waiting").count(),
        "failed": runs.filter(state="failed").count(),
        "held": runs.filter(state="held").count(),
        "versions": actions.registrations_of(system)[:VERSIONS],
        "at": at,
        "live": live.live_at(system, at or now, kind="model"),
        "routes": live.routes_at(system, at or now),
        "may": request.actor.may(Role.OPERATOR, system.client.slug),
        "problem": problem,
        "name": name,
        "text": text or EXAMPLE,
    }
    return render(request, "retraining/retraining.html", context, status=400 if problem else 200)


def _row(policy: Policy, now: datetime) -> dict[str, Any]:
    values = policy.values
    return {
        "policy": policy,
        "values": values,
        "history": deciding.history(policy, now),
        "text": yaml.safe_dump(written(values), sort_keys=False, allow_unicode=True, width=100),
    }


def _instant(text: str) -> datetime | None:
    """As a form tells it: the reader's wall clock."""
    if not text:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise Invalid("The time is written like 2026-03-01T12:00.")
    return found if found.tzinfo else found.replace(tzinfo=get_current_timezone())
