"""Golden prompts: through the product's own gateway, and directly in each protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.evidence.models import Entry
from afterlaunch.gateway.tests.house import SHARED, Canned, House, Received, house, until
from afterlaunch.ground import clock, settings
from afterlaunch.ground.actors import Role, automation
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Invalid
from afterlaunch.probes.actions import Values, put_probe
from afterlaunch.probes.cost import Tokens, cost_nano, tokens_of
from afterlaunch.probes.kinds import KINDS, Context
from afterlaunch.probes.kinds.golden import joined
from afterlaunch.probes.kinds.kind import tried
from afterlaunch.probes.models import Probe, ProbeResult
from afterlaunch.probes.outcomes import Outcome, Result
from afterlaunch.probes.runner import Runner
from afterlaunch.probes.tests.conftest import AT, World
from afterlaunch.probes.tests.servers import Said, web
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import CallerKey
from afterlaunch.routes.snapshot import build

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 200}}
CHAT = {"model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "It is Paris."}}], "usage": USAGE}
RESPONSES = {
    "model": "gpt-4o-2024-08-06",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "It is Paris."}]},
    ],
    "usage": {"input_tokens": 1_000, "output_tokens": 100},
}
MESSAGES = {
    "model": "claude-sonnet-4-20250514",
    "content": [{"type": "text", "text": "It is Paris."}],
    "usage": {"input_tokens": 1_000, "output_tokens": 100, "cache_read_input_tokens": 500},
}
PARIS = [{"kind": "contains", "text": "Paris"}]


def run(**config: Any) -> Outcome:
    kind = KINDS["golden"]
    given = {"prompt": "The capital of France?", "model": "m", "assertions": PARIS, **config}
    return tried(kind, kind.check(given), Context(5.0, True, clock.now()))


@pytest.mark.usefixtures("loopback_allowed")
class TestDirectly:
    @pytest.mark.parametrize(
        ("protocol", "path", "told"),
        [
            ("chat", "/v1/chat/completions", CHAT),
            ("responses", "/v1/responses", RESPONSES),
            ("messages", "/v1/messages", MESSAGES),
        ],
    )
    def test_each_protocol_is_asked_and_priced(
        self, protocol: str, path: str, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROBE_KEY", "sk-of-the-probe")
        with web(lambda _: Said(body=orjson.dumps(told))) as site:
            found = run(protocol=protocol, url=site.url, credential="env:PROBE_KEY", system="Be brief.")
        (asked,) = site.asked
        assert asked.path == path and b"France" in asked.body and b"Be brief." in asked.body
        key = asked.headers["x-api-key"] if protocol == "messages" else asked.headers["authorization"]
        assert key.endswith("sk-of-the-probe")
        assert found.result is Result.OK and found.answer == "It is Paris." and (found.cost_nano or 0) > 0

    def test_a_wrong_answer_says_which_assertion_failed(self) -> None:
        with web(lambda _: Said(body=orjson.dumps(CHAT))) as site:
            wanted = [*PARIS, {"kind": "not_contains", "text": "It is"}, {"kind": "cost", "max_usd": 0.0001}]
            found = run(url=site.url, assertions=wanted)
        assert found.result is Result.FAIL and [check.ok for check in found.checks] == [True, False, False]

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (Said(401, b'{"error": {"message": "bad key sk-abcdefghij1234"}}'), "not_let_in"),
            (Said(500, b"oops"), "provider"),
            (Said(body=b"<html>"), "no_answer_text"),
            (Said(body=b"[]"), "no_answer_text"),
            (Said(body=b'{"choices": [{"message": {"content": null}}]}'), "no_answer_text"),
            (Said(body=b'{"choices": 3}'), "no_answer_text"),
        ],
    )
    def test_no_answer_is_a_failure_that_tells_no_secret(self, said: Said, reason: str) -> None:
        with web(lambda _: said) as site:
            found = run(url=site.url)
        assert (found.result, found.reason) == (Result.FAIL, reason) and "abcdefghij" not in found.said

    def test_what_it_cost_is_not_known_without_usage(self) -> None:
        with web(lambda _: Said(body=orjson.dumps({**CHAT, "usage": None}))) as site:
            assert run(url=site.url).cost_nano is None


def test_tokens_are_counted_once() -> None:
    assert tokens_of(USAGE, False) == Tokens(800, 200, output=100)
    assert tokens_of(MESSAGES["usage"], True) == Tokens(1_000, 500, output=100)
    assert tokens_of({"prompt_tokens": True, "completion_tokens": 1}, False) is None
    assert cost_nano("openai", "gpt-4o", Tokens(1_000_000, output=0), AT) == 2_500_000_000
    assert cost_nano("openai", "no-such-model", Tokens(1), AT) is None


@pytest.mark.parametrize(
    ("base", "whole"),
    [
        ("https://x.example", "https://x.example/v1/chat/completions"),
        ("https://x.example/v1/", "https://x.example/v1/chat/completions"),
        ("https://x.example/v1/chat/completions", "https://x.example/v1/chat/completions"),
        ("http://g/r/answers", "http://g/r/answers/v1/chat/completions"),
    ],
)
def test_addresses_of_endpoints_are_written_as_people_write_them(base: str, whole: str) -> None:
    assert joined(base, "/v1/chat/completions") == whole


# -- through the gateway ---------------------------------------------------------------------------------------------


@pytest.fixture
def running_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    with house(tmp_path) as made:
        monkeypatch.setenv("AFTERLAUNCH_GATEWAY_KEY", SHARED.decode())
        monkeypatch.setenv("AFTERLAUNCH_GATEWAY_URL", made.url)
        settings.reload()
        yield made
    monkeypatch.undo()
    settings.reload()


def golden(world: World, running: House) -> Probe:
    """A route of the product's own, and a golden prompt through it, put in force at the real gateway."""
    engine = automation("test")
    put_upstream(engine, "open", running.provider_url, "openai", "env:PROVIDER_SECRET")
    put_route(engine, "answers", world.system, ArmValues("open", "gpt-4o"))
    config = {"route": "answers", "prompt": "The capital of France?", "assertions": PARIS}
    made = put_probe(
        world.person(Role.OPERATOR, "acme"), world.system, "capital", Values("golden", config, interval=60, retries=0)
    )
    epoch = running.gateway.holder.epoch + 1
    running.server.publish(build(epoch))
    until(lambda: running.gateway.holder.epoch == epoch)
    return made


def answered(_: Received) -> Canned:
    return Canned([orjson.dumps(CHAT)])


@pytest.mark.django_db
class TestThroughTheGateway:
    def test_it_needs_no_key_of_anybodys_and_its_calls_are_told_from_those_of_users(
        self, world: World, running_house: House, fixed: FixedClock
    ) -> None:
        running_house.provider.answer = answered
        row = golden(world, running_house)
        assert Runner("home", lambda _: None).run(fixed.advance(1), 20) == 1
        result = ProbeResult.objects.get()
        assert result.result == "ok", result.said
        assert (result.cost_nano or 0) > 0 and result.answer == "It is Paris."
        (asked,) = running_house.provider.requests
        assert asked.headers["authorization"] == "Bearer sk-of-the-house" and b'"gpt-4o"' in asked.body
        until(running_house.server.attempts)
        assert running_house.server.attempts()[0]["gen_ai.agent.name"] == "afterlaunch-probes"
        row.refresh_from_db()
        assert row.state == "up" and row.spent_nano == result.cost_nano

    def test_a_provider_that_fails_is_a_failure_and_a_key_that_is_unknown_is_not(
        self, world: World, running_house: House, fixed: FixedClock
    ) -> None:
        running_house.provider.answer = lambda _: Canned([b'{"error": {"message": "overloaded"}}'], status=503)
        row = golden(world, running_house)
        runner = Runner("home", lambda _: None)
        runner.run(fixed.advance(1), 20)
        row.refresh_from_db()
        assert row.state == "down" and "overloaded" in row.said
        CallerKey.objects.all().delete()
        epoch = running_house.gateway.holder.epoch + 1
        running_house.server.publish(build(epoch))
        until(lambda: running_house.gateway.holder.epoch == epoch)
        runner.run(fixed.advance(70), 20)
        last = ProbeResult.objects.first()
        assert last is not None and (last.result, last.reason) == ("not_run", "gateway")

    def test_the_key_is_kept_nowhere(self, world: World, running_house: House) -> None:
        golden(world, running_house)
        from afterlaunch.routes.actions import probe_token

        secret = probe_token(world.client).rpartition("_")[2]
        told = orjson.dumps([str(one.__dict__) for model in (CallerKey, Entry, Probe) for one in model.objects.all()])
        assert secret.encode() not in told

    def test_a_route_of_another_client_is_no_route(self, world: World, running_house: House) -> None:
        from afterlaunch.accounts.models import Client
        from afterlaunch.estate.models import System

        golden(world, running_house)
        other = System.objects.create(client=Client.objects.get(slug="other"), key="x", name="X")
        with pytest.raises(Invalid, match="no route"):
            put_probe(automation("t"), other, "steal", Values("golden", {"route": "answers", "prompt": "x"}))
