"""A gateway and a server that know each other only by their addresses: holds, decisions and counts travel both ways."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from afterlaunch.accounts.actions import digest
from afterlaunch.accounts.models import Client, Token
from afterlaunch.contracts.guard_counts import Counts
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.gateway.tests.house import SHARED, Provider, gateway_at, running, until
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.settings import reload
from afterlaunch.guard import holding
from afterlaunch.guard.actions import put_policy, put_queue
from afterlaunch.guard.counting import sums
from afterlaunch.guard.models import Hold
from afterlaunch.routes.actions import ArmValues, create_key, put_route, put_upstream
from afterlaunch.routes.models import Published

HOUSE = automation("house")
RITA = Actor("person", "Rita", (Held(Role.RESPONDER, "acme"),))
REFUND = json.dumps({"model": "m", "messages": [{"role": "user", "content": "refund 900"}]})


@pytest.mark.django_db(transaction=True)
def test_a_person_decides_on_the_server_what_a_gateway_holds(
    live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERLAUNCH_GATEWAY_KEY", SHARED.decode())
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    reload()
    Token.objects.create(
        name="gateway", digest=digest("gateway-token"), hint="gate", role="ingest", created_at=clock.now(),
        created_by="house",
    )  # fmt: skip
    provider = Provider()
    with running(provider) as url, gateway_at(live_server.url, tmp_path) as (gateway_url, gateway):
        ask = _asker(gateway_url, _route(url))
        newest = Published.objects.latest("epoch").epoch
        until(lambda: gateway.holder.epoch == newest)
        status, headers = ask()
        assert (status, headers["afterlaunch-reason"]) == (423, "held")
        hold = Hold.objects.get()
        assert (hold.state, hold.why, str(hold.pk)) == ("waiting", "a blocked term", headers["afterlaunch-hold"])
        holding.decide(RITA, hold, True, "the customer is right")
        assert [ask()[0] for _ in range(2)] == [200, 423]
        holding.decide(RITA, Hold.objects.get(state="waiting"), False, "once is enough")
        assert ask()[1]["afterlaunch-reason"] == "guard-denied"
        assert len(provider.requests) == 1
        until(lambda: _counted(hold.policy_id).matched == 4)
    found = _counted(hold.policy_id)
    assert (found.evaluated, found.held, found.exceptions) == (4, 4, 0)
    monkeypatch.undo()
    reload()


def _route(provider: str) -> str:
    """A caller's key to a route whose refunds are held."""
    client = Client.objects.create(slug="acme", name="Acme", created_at=clock.now())
    note_sightings([Sighting("acme", "desk", "prod")], clock.now())
    put_upstream(HOUSE, "open", provider, "openai", "env:PROVIDER_SECRET")
    system = System.objects.select_related("client").get(key="desk")
    route = put_route(HOUSE, "answers", system, ArmValues("open"))
    put_queue(HOUSE, client, "desk", None)
    terms = {"kind": "terms", "terms": ["refund"]}
    spec = {"where": "request", "check": terms, "action": "hold", "fail": "closed"}
    put_policy(HOUSE, route, "refunds", {**spec, "approval": {"queue": "desk", "fallback": "deny"}})
    return create_key(HOUSE, "app", route)[1]


def _asker(url: str, key: str) -> Callable[[], tuple[int, dict[str, str]]]:
    def ask() -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        connection.request("POST", "/v1/chat/completions", REFUND, {"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    return ask


def _counted(policy: int) -> Counts:
    now = clock.now()
    return sums([policy], now - timedelta(hours=1), now + timedelta(seconds=1)).get(policy, Counts())
