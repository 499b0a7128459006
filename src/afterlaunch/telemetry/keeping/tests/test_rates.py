"""A share of traces that an operator tells holds for senders that do not tell their own, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import store
from afterlaunch.telemetry.intake import TRACES
from afterlaunch.telemetry.keeping.actions import decide, rules
from afterlaunch.telemetry.keeping.content import SPAN_SHAPE
from afterlaunch.telemetry.keeping.watch import Watched, guarded
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

pytestmark = pytest.mark.django_db
ENGINE = automation("engine")
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


@pytest.fixture
def north() -> Client:
    return Client.objects.create(slug="north", name="North", created_at=clock.now())


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[None]:
    store.open_store(tmp_path / "t.duckdb")
    yield
    store.close_store()


def counts(client: str, *told: dict[str, Any], system: str = "desk") -> list[int | None]:
    spans = [span({**CHAT, **one}, number=number) for number, one in enumerate(told, 1)]
    data = body(*spans, resource={"service.name": system})
    signal = guarded(TRACES, SPAN_SHAPE, Watched(rules))
    alone: list[int | None] = signal.decode(data, PROTOBUF, client, 0).table["adjusted_count_milli"].to_pylist()
    assert signal.together is not None
    (made, _) = signal.together([data, data], client, 0)
    assert made.table["adjusted_count_milli"].to_pylist() == alone * 2
    return alone


def test_the_nearest_decision_holds_where_a_sender_tells_nothing(north: Client) -> None:
    assert counts("north", {}) == [None]
    decide(ENGINE, north, sampled=0.1)
    decide(ENGINE, north, "other", sampled=0.25)
    told: tuple[dict[str, Any], ...] = (
        {},
        {"sampling.ratio": 0.5},
        {"sampling.ratio": 1},
        {"afterlaunch.gateway": True},
    )
    assert counts("north", *told) == [10_000, 2_000, 1_000, 1_000]
    assert counts("north", {}, system="other") == [4_000] and counts("south", {}) == [None]
    litellm = {"metadata.user_api_key_hash": "h"}  # a gateway's own report: it sees every call
    assert counts("north", litellm) == [None]
    decide(ENGINE, None, sampled=0.5)
    assert counts("south", {}) == [2_000]
    decide(ENGINE, north, sampled=0)  # inherited again
    assert counts("north", {}) == [2_000]


@pytest.mark.parametrize("share", [-0.1, 1.01, 1e-9, True])
def test_what_is_no_share_is_refused(north: Client, share: float) -> None:
    with pytest.raises(Invalid):
        decide(ENGINE, north, sampled=share)


@pytest.mark.usefixtures("opened")
def test_page_and_api_tell_it_and_it_is_evidence(north: Client) -> None:
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    assert '<th class="number">Traces sent</th>' not in browser.get("/settings/keeping").content.decode()
    browser.post("/settings/keeping", {"client": "north", "sampled": "12.5 %"})
    page = browser.get("/settings/keeping").content.decode()
    assert "12.5%" in page and "as told" in page  # of the client, and of the house
    assert browser.get("/api/v1/keeping", {"client": "north"}).json()["sampled"] == 0.125
    body = {"client": "north", "sampled": 0.5}
    assert browser.post("/api/v1/keeping", body, content_type="application/json").json()["sampled"] == 0.5
    entry = Entry.objects.filter(deed="keeping.decided").order_by("-index").first()
    assert entry is not None and orjson.loads(bytes(entry.body))["details"]["after"]["sampled"] == "0.5"
    assert browser.post("/settings/keeping", {"client": "north", "sampled": "much"}).status_code == 400
