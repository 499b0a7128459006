"""What was decided is started, once, and followed to its end. Rows are claimed under a lease; outside calls come
between transactions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from django.db import transaction

from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError, Invalid, TooLarge
from afterlaunch.ground.outbound import Document, Unreachable, fetch
from afterlaunch.ground.references import dereferenced
from afterlaunch.retraining import actions, registry, results
from afterlaunch.retraining.deciding import decide_all
from afterlaunch.retraining.models import Policy, Run
from afterlaunch.retraining.pipelines import PIPELINES
from afterlaunch.retraining.pipelines.words import FAILED, RUNNING, SUCCEEDED, NotTaken, Order, Seen, Started

log = logging.getLogger(__name__)
AT_ONCE = 20
LEASE, SECONDS, LIMIT = 120.0, 20.0, 1 << 20
RETRY = (10, 30, 120, 600, 1_800)  # seconds after each attempt that brought no answer
POLL = timedelta(seconds=60)
CREDENTIALS = ("Authorization", "PRIVATE-TOKEN")
REGISTERS = timedelta(minutes=30)  # after its success, so long may a pipeline take to register its model

__all__ = ["decide_all", "work"]


def work(now: datetime) -> None:
    """The duty: what is due is claimed one by one, so that several engines share it. What fails of one run is raised
    after the others had their turn; its lease decides when it is tried again."""
    failed = list[Exception]()
    due = Run.objects.filter(state__in=("queued", "starting", RUNNING), due_at__lte=now).order_by("due_at", "pk")
    for pk, state in list(due.values_list("pk", "state")[:AT_ONCE]):
        later = clock.now() + clock.lease(LEASE)
        following = "starting" if state == "queued" else state
        claimed = Run.objects.filter(pk=pk, state=state, due_at__lte=now)
        if not claimed.update(state=following, due_at=later):
            continue
        run = Run.objects.select_related("policy__system__client").get(pk=pk)
        try:
            if state == RUNNING:
                _follow(run)
            else:
                _start(run, unanswered=state == "starting")
        except Exception as problem:  # noqa: BLE001 - raised below
            failed.append(problem)
    if failed:
        raise failed[0]


def _start(run: Run, unanswered: bool) -> None:
    """`unanswered`: it was being started before, by an engine that did not live to say how it went."""
    pipeline = PIPELINES[run.pipeline["kind"]]
    if unanswered and not pipeline.repeatable:
        _failed(run, "It may have been started: no answer is known. It is not started a second time.")
        return
    if run.attempts > len(RETRY):
        _failed(run, f"{run.attempts} attempts to start it were cut off.")
        return
    Run.objects.filter(pk=run.pk).update(attempts=run.attempts + 1)
    run.attempts += 1
    try:
        config, secret = _config(run)
        started = pipeline.start(_ask(run.policy), config, secret, order_of(run))
    except Unreachable as problem:
        _again(run, str(problem), retry=pipeline.repeatable or not problem.sent)
    except NotTaken as problem:
        _again(run, problem.message, retry=problem.again and pipeline.repeatable)
    except (AfterlaunchError, OSError) as problem:
        _failed(run, getattr(problem, "message", str(problem)))
    else:
        _started(run, started)


def _config(run: Run) -> tuple[Mapping[str, Any], str]:
    config = run.pipeline
    reference = config.get("credential") or config.get("secret") or ""
    return config, dereferenced(reference, "the engine") if reference else ""


def _ask(policy: Policy) -> Any:
    return partial(ask, policy.trusted)


def ask(trusted: bool, method: str, url: str, headers: Mapping[str, str], body: Any) -> Document:
    """Through the guard; `trusted`: the allow-list is for this policy too."""
    given = dict(headers)
    if body is not None and not isinstance(body, bytes):
        given.setdefault("Content-Type", "application/json")
        body = orjson.dumps(body)
    return _without(fetch(method, url, body, list(given.items()), SECONDS, LIMIT, private=trusted), headers)


def _without(answer: Document, headers: Mapping[str, str]) -> Document:
    """Some servers repeat what they were sent; parts of answers are shown."""
    body = answer.body
    for name in CREDENTIALS:
        if secret := headers.get(name, "").rpartition(" ")[2]:
            body = body.replace(secret.encode(), b"[masked]")
    return replace(answer, body=body)


def order_of(run: Run) -> Order:
    policy, values = run.policy, run.policy.values
    told = {
        "key": run.key,
        "client": policy.system.client.slug,
        "system": policy.system.key,
        "environment": values.environment,
        "model": policy.name,
        "run": run.number,
        "trigger": run.trigger,
        "why": run.why[:1_000],
        "cut_off": run.cut_off.isoformat(),
        "callback": actions.callback_of(run),
    }
    return Order(run.key, str(told["callback"]), run.decided_at, told)


@transaction.atomic
def _started(run: Run, started: Started) -> None:
    now = clock.now()
    fields = {"state": RUNNING, "started_at": now, "due_at": now + POLL, "message": ""}
    told = {"external": started.external[:300], "address": started.address[:1_000]}
    if Run.objects.filter(pk=run.pk, state="starting").update(**fields, **told):
        actions.tell_started(run)
    elif Run.objects.filter(pk=run.pk, external="").update(external=told["external"]):  # it told of itself already
        Run.objects.filter(pk=run.pk, address="").update(address=told["address"])
        actions.tell_started(run)


def _again(run: Run, message: str, retry: bool) -> None:
    if not retry or run.attempts > len(RETRY):
        _failed(run, message)
        return
    due = clock.now() + clock.lease(RETRY[run.attempts - 1])
    Run.objects.filter(pk=run.pk, state="starting").update(state="queued", due_at=due, message=message[:2_000])


def _failed(run: Run, message: str) -> None:
    actions.told(run, FAILED, message, "", "", None)


def _follow(run: Run) -> None:
    """A callback may tell first; whoever does, the run ends once."""
    now, values = clock.now(), run.policy.values
    if run.started_at is not None and now - run.started_at > timedelta(hours=values.timeout):
        _failed(run, f"No end within {values.timeout} hours.")
        return
    try:
        config, secret = _config(run)
        if run.result is not None:
            seen: Seen | None = Seen(SUCCEEDED, run.message, run.external, run.address, run.result)
        else:
            seen = PIPELINES[config["kind"]].look(_ask(run.policy), config, secret, order_of(run), run.external)
        result = _result(run, seen) if seen is not None and seen.state == SUCCEEDED else {}
    except (AfterlaunchError, Unreachable, OSError, ValueError) as problem:
        _look_later(run, getattr(problem, "message", str(problem)))
        return
    if seen is None:
        _look_later(run, run.message)
    elif seen.state == RUNNING:
        told = {"external": seen.external or run.external, "address": (seen.address or run.address)[:1_000]}
        Run.objects.filter(pk=run.pk, state=RUNNING).update(due_at=now + POLL, **told)
    elif result is None:
        _look_later(run, "It succeeded; its model is not in the registry yet.")
    else:
        try:
            results.checked(result)
        except (Invalid, TooLarge) as problem:
            _failed(run, f"It succeeded; what it tells of its model can't be taken: {problem.message}")
            return
        try:
            actions.told(run, seen.state, seen.message, seen.external, seen.address, result)
        except AfterlaunchError as problem:
            log.warning("run %s told something else meanwhile: %s", run.pk, problem.message)
            _look_later(run, problem.message)


def _look_later(run: Run, message: str) -> None:
    Run.objects.filter(pk=run.pk, state=RUNNING).update(due_at=clock.now() + POLL, message=message[:2_000])


def _result(run: Run, seen: Seen) -> Mapping[str, Any] | None:
    """From the registry where one is named; None: not there yet, and it may still come."""
    config = run.policy.values.registry
    if not config:
        return seen.result
    secret = dereferenced(config["credential"], "the engine") if config.get("credential") else ""
    since = run.started_at or run.decided_at
    found = registry.newest(_ask(run.policy), config, secret, run.decided_at, run.key)
    if found is not None:
        return found | {name: told for name, told in seen.result.items() if told and not found.get(name)}
    if clock.now() - since > timedelta(hours=run.policy.values.timeout) - REGISTERS:
        raise NotTaken("It succeeded, and no model came to the registry.")
    return None
