"""The address at which labels come in: a token of the client, a bounded body, and 200 only after the commit."""

from __future__ import annotations

import logging
import re
from typing import Any

from afterlaunch.ground.actors import Role
from afterlaunch.labels import actions
from afterlaunch.predictions import bodies
from afterlaunch.predictions.actions import batch_key, digest_of
from afterlaunch.predictions.doors import place_of
from afterlaunch.receivers.answering import answered, asked_one, environment_of, instant_of, sender_of
from afterlaunch.receivers.wire import Answer, Request, WrongMethod, as_json

log = logging.getLogger(__name__)
ADDRESS = re.compile(r"/api/v1/(?:systems/([0-9]{1,18})/)?labels")


def serves(path: str) -> bool:
    return ADDRESS.fullmatch(path) is not None


def answer(request: Request) -> Answer:
    return answered(request, _taken, "a body of labels", log)


def _taken(request: Request) -> Answer:
    matched = ADDRESS.fullmatch(request.path)
    assert matched is not None
    actor = sender_of(request)
    if request.method != "POST":
        raise WrongMethod("Only POST is taken here.")
    client, key = place_of(actor, request, matched[1], Role.INGEST)
    environment = environment_of(request)
    until = asked_one(request, "complete_until")
    complete = instant_of(until, "complete_until") if until else None
    digest = digest_of(request.body)
    batch = batch_key(request.headers, digest)
    found, fresh = None, False
    if complete is None:  # else it is noted of a body that was taken before, too
        found = actions.known_batch(client, key, environment, batch, digest)
    if found is None:
        rows = bodies.read(request.body, request.headers.get("content-type", ""))
        found, fresh = actions.receive(actor, client, key, environment, rows, batch, digest, complete)
    told: dict[str, Any] = {"status": "ok", "rows": found.rows, "duplicate": not fresh}
    return as_json(told)
