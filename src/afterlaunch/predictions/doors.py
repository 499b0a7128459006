"""Addresses at which rows come in: a token of the client, a bounded body, and 200 only after the commit."""

from __future__ import annotations

import logging
import re
from typing import Any

import orjson

from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.predictions import actions, bodies
from afterlaunch.predictions.views import reference_document
from afterlaunch.receivers.answering import answered, asked_one, environment_of, instant_of, sender_of
from afterlaunch.receivers.wire import Answer, Request, WrongMethod, as_json

log = logging.getLogger(__name__)
ADDRESS = re.compile(r"/api/v1/(?:systems/([0-9]{1,18})/)?(predictions|references)")
PERIOD = "application/json"


def serves(path: str) -> bool:
    return ADDRESS.fullmatch(path) is not None


def answer(request: Request) -> Answer:
    return answered(request, _routed, "a body of predictions", log)


def _routed(request: Request) -> Answer:
    matched = ADDRESS.fullmatch(request.path)
    assert matched is not None
    actor = sender_of(request)
    if request.method != "POST":
        raise WrongMethod("Only POST is taken here.")
    role = Role.INGEST if matched[2] == "predictions" else Role.OPERATOR
    client, key = place_of(actor, request, matched[1], role)
    environment = environment_of(request)
    if role is Role.INGEST:
        return _predictions(actor, client, key, environment, request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == PERIOD:
        return _period(actor, client, key, environment, request)
    rows = bodies.read(request.body, request.headers.get("content-type", ""))
    digest = actions.digest_of(request.body)
    return as_json(reference_document(actions.make_reference(actor, client, key, environment, rows, digest)))


def place_of(actor: Actor, request: Request, pk: str | None, role: Role) -> tuple[str, str]:
    if pk is not None:
        system = actions.system_for(actor, int(pk), role)
        return system.client.slug, system.key
    return actions.place_for(actor, asked_one(request, "client"), asked_one(request, "system"), role)


def _predictions(actor: Actor, client: str, key: str, environment: str, request: Request) -> Answer:
    digest = actions.digest_of(request.body)
    batch = actions.batch_key(request.headers, digest)
    found = actions.known_batch(client, key, environment, batch, digest)
    fresh, strange, lacking = False, list[str](), list[str]()
    if found is None:
        rows = bodies.read(request.body, request.headers.get("content-type", ""))
        found, fresh, strange, lacking = actions.receive(actor, client, key, environment, rows, batch, digest)
    told: dict[str, Any] = {"status": "ok", "rows": found.rows, "windows": found.windows, "duplicate": not fresh}
    told["reference"] = found.reference.version
    if fresh:
        told |= {"columns_ignored": strange, "columns_missing": lacking}
    return as_json(told)


def _period(actor: Actor, client: str, key: str, environment: str, request: Request) -> Answer:
    try:
        asked = orjson.loads(request.body)
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"The body is not JSON: {problem.msg}.") from problem
    if not isinstance(asked, dict) or set(asked) != {"from", "to"}:
        raise Invalid("A period has 'from' and 'to'.", '{"from": "2026-03-01T00:00:00Z", "to": "2026-03-08T00:00:00Z"}')
    start, end = (instant_of(asked[name], name) for name in ("from", "to"))
    system = System.objects.select_related("client").filter(client__slug=client, key=key).first()
    if system is None:
        raise Conflict(f"Nothing was received of {key} yet.", "Send a table to this address.")
    return as_json(reference_document(actions.make_from_period(actor, system, environment, start, end)))
