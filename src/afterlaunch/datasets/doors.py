"""The address at which deliveries come in: a token of the client, a bounded body, and 200 only after the commit."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any

import orjson

from afterlaunch.data_contracts.contract import Contract
from afterlaunch.datasets import actions, bodies, outcomes
from afterlaunch.datasets.views import check_document
from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.answering import answered, asked_one, environment_of, sender_of
from afterlaunch.receivers.wire import Answer, Request, WrongMethod, as_json

log = logging.getLogger(__name__)
ADDRESS = re.compile(rf"/api/v1/systems/([0-9]{{1,18}})/datasets/({actions.NAME.pattern})/checks")
RESULT = "application/json"


def serves(path: str) -> bool:
    return ADDRESS.fullmatch(path) is not None


def answer(request: Request) -> Answer:
    return answered(request, _routed, "a check", log)


def _routed(request: Request) -> Answer:
    matched = ADDRESS.fullmatch(request.path)
    assert matched is not None
    actor = sender_of(request)
    if request.method != "POST":
        raise WrongMethod("Only POST is taken here.")
    dataset = actions.place_for_check(actor, int(matched[1]), matched[2])
    environment = environment_of(request)
    told = request.headers.get("content-type", "")
    kind, delimiter = told.partition(";")[0].strip().lower(), asked_one(request, "delimiter")
    if len(delimiter) > 1:
        raise Invalid("A delimiter is one character.")

    def outcome(contract: Contract, now: datetime) -> dict[str, Any]:
        if kind == RESULT:
            return _result(request.body)
        return bodies.checked(request.body, told, delimiter, contract, now)

    digest, key = actions.digest_of(request.body, _form(told, delimiter)), actions.key_of(request.headers)
    source = "pipeline" if kind == RESULT else "body"
    check, fresh = actions.receive(actor, dataset, environment, digest, key, source, outcome)
    return as_json(check_document(check) | {"duplicate": not fresh})


def _form(content_type: str, delimiter: str) -> str:
    kind, _, parameters = (part.strip().lower() for part in content_type.partition(";"))
    return "\0".join(one for one in (kind, parameters, delimiter) if one)


def _result(body: bytes) -> dict[str, Any]:
    try:
        return outcomes.taken(orjson.loads(body))
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"The body is not JSON: {problem.msg}.", outcomes.HINT) from problem
