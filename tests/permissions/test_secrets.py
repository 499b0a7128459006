"""Secrets are kept as digests and never reach a log, whatever goes wrong around them."""

from __future__ import annotations

import asyncio
import io
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser

from afterlaunch.accounts.actions import create_token
from afterlaunch.accounts.models import SignInLink, Token
from afterlaunch.ground.actors import automation
from afterlaunch.ground.redaction import masked
from afterlaunch.routes.models import CallerKey
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.ingest import Ingest
from afterlaunch.telemetry.intake import Door, Intake
from afterlaunch.telemetry.store import current
from tests.permissions.conftest import undone
from tests.permissions.world import World, telemetry

pytestmark = pytest.mark.django_db
MARK = "S3cr3tV4lu3"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Everything that is logged, as the server would write it, at the most talkative level."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    made = logging.config.DictConfigurator(settings.LOGGING)  # type: ignore[attr-defined]
    handler.setFormatter(made.configure_formatter(settings.LOGGING["formatters"]["plain"]))
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


def test_no_secret_reaches_the_log(world: World, stream: io.StringIO) -> None:
    browser = world.browser("admin of house")
    browser.raise_request_exception = False
    plain = Browser(raise_request_exception=False)
    with undone():
        for path in (
            f"/sign-in/{MARK}",
            f"/ack/{MARK}.{MARK}",
            world.fill("/ack/{ack}"),
            world.fill("/sign-in/{sign_in}"),
        ):
            plain.post(path, {"confirm": MARK})
            plain.put(path)
        for scheme in ("Bearer", "Basic", "bearer"):
            plain.get("/api/v1/systems", headers={"authorization": f"{scheme} alt_{MARK}"})
        plain.post("/accounts/login/", {"login": "a@example.org", "password": MARK})
        made = browser.post("/settings/tokens", {"name": "n", "role": "viewer", "client": ""})
        browser.post("/settings/contacts/add", {"kind": "slack", "address": f"https://10.0.0.1/services/{MARK}"})
        browser.post("/settings/contacts/add", {"kind": "webhook", "address": f"http://user:{MARK}@127.0.0.1/x"})
        browser.post("/settings/people", {"email": "q@example.org", "role": "viewer", "client": ""})
        asyncio.run(post_telemetry(f"Bearer alt_{MARK}"))
    log = stream.getvalue()
    assert "/sign-in/…" in log and "/ack/…" in log, "the walk logged something"
    secret = str(made.context["secret"])
    for one in (MARK, secret, world.fill("{ack}"), world.fill("{sign_in}"), *world.tokens.values()):
        assert one not in log


async def post_telemetry(header: str) -> None:
    buffer = Buffer(current(), 2**20)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": telemetry("north"), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", header.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "headers": headers, "client": ("198.51.100.9", 1)}
    try:
        await Ingest(Intake(buffer, 2**20, Door(True)))(scope, receive, send)
    finally:
        buffer.close()
    assert sent[0]["status"] in (401, 503)


@pytest.mark.parametrize(
    "said",
    [
        f"Unauthorized: /sign-in/{MARK}",
        f"Bad Request: /ack/{MARK}.x-y?z=1",
        f"Authorization: Bearer {MARK}",
        f"'authorization': 'Bearer {MARK}'",
        f"x-api-key: {MARK}",
        f"alt_{MARK}{MARK}",
        "al_0123456789ab_5ec2e7",
        f"sk-{MARK}abc",
        f"sk-ant-{MARK}",
        f"smtp://mail:{MARK}@host:25",
        f"postgresql://u:{MARK}@h/db",
        f"https://hooks.slack.com/services/T0/{MARK}",
        f"whsec_{MARK}",
        f"cookie: sessionid={MARK}",
    ],
)
def test_what_looks_like_a_secret_is_cut_out(said: str) -> None:
    assert MARK not in masked(said) and "5ec2e7" not in masked(said) and "…" in masked(said)


def test_ordinary_lines_stay_as_they_are() -> None:
    for line in (
        "Not Found: /systems/12",
        "the gateway ended with code -9; starting it again",
        "task-12 asked basic questions",
    ):
        assert masked(line) == line


def test_tokens_links_and_keys_are_kept_as_digests(world: World) -> None:
    with undone():
        _, secret = create_token(automation("test"), "t", "viewer", None)
        held = [*world.tokens.values(), secret, str(world.ids["north"]["sign_in"])]
        for model in (Token, SignInLink, CallerKey):
            kept = " ".join(str(value) for row in model.objects.values_list() for value in row)
            assert not any(one in kept for one in held)
        with connection.cursor() as cursor:
            cursor.execute("select body from evidence_entry")
            log = b" ".join(bytes(row[0]) for row in cursor.fetchall()).decode()
        assert not any(one in log for one in held)
