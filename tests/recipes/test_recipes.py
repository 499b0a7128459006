"""Every recipe of the docs, as it stands there, with the real library, against a real server.

`make recipes` makes the environments and runs this; where one is missing its recipe is skipped.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.demo.provider import GOOD_TEXT, REFUSED_TEXT, Bill
from afterlaunch.ground import clock
from tests.recipes.house import House, free_port
from tests.recipes.pages import Page, page

pytestmark = pytest.mark.process
WHO = {
    "tenant": "bakery",
    "user": "u-17",
    "session": "s-4",
    "system": "support",
    "environment": "prod",
    "client": "acme",
}
SAID = (
    "Where is my order",
    "Which team is this for",
    "When do orders leave",
    "Orders leave in",
    GOOD_TEXT,
    REFUSED_TEXT,
)


@dataclass(frozen=True)
class Recipe:
    """`agents`: of each call, in order. `gateway`: how many of the last calls go through the gateway."""

    name: str
    agents: tuple[str, ...]
    gateway: int = 0


RECIPES = [
    Recipe("openai", ("desk",) * 5, gateway=1),
    Recipe("anthropic", ("desk",) * 2),
    Recipe("langchain", ("desk", "desk", "triage")),
    Recipe("llamaindex", ("handbook",) * 3),
    Recipe("openai-agents", ("desk",) * 2),
    Recipe("litellm", ("desk",) * 2),
]
BY_NAME = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


def there(name: str) -> Page:
    """The page, if its environment is installed."""
    found = page(name)
    if not found.python.exists():
        pytest.skip(f"{found.python} is missing: `make recipes` installs the libraries of the recipes")
    return found


def run(house: House, where: Page, program: str, **settings: str) -> None:
    """As an application of the client, with the provider's addresses in its environment."""
    direct = {"OPENAI_API_KEY": "sk-mine", "ANTHROPIC_API_KEY": "sk-mine", "ANTHROPIC_BASE_URL": house.provider.url}
    direct |= dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), house.provider.url + "/v1")
    ours = {"AFTERLAUNCH_ENDPOINT": house.url, "AFTERLAUNCH_TOKEN": house.token}
    ours |= {"AFTERLAUNCH_GATEWAY_URL": house.gateway, "AFTERLAUNCH_KEY": house.key}
    file = house.folder / f"{where.name}-recipe.py"
    file.write_text(program)
    env = {"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True", **direct, **ours, **settings}
    done = subprocess.run([where.python, file], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Telemetry" not in done.stderr, done.stderr[-4000:]


def once_each(calls: list[dict[str, Any]], bills: list[Bill]) -> None:
    """Every call of the provider's bill stands there once, with its tokens and its price."""
    assert len(calls) == len(bills), [(call["model"], call["scopes"]) for call in calls]
    for call, bill in zip(calls, bills, strict=True):
        assert call["in_uncached"] + call["in_cache_read"] == bill.inputs and call["in_cache_read"] == bill.cached
        assert call["out_visible"] == bill.output
        assert call["cost_nano"] == math.ceil(bill.usd * 10**9) and not call["conflict"]


@BY_NAME
def test_a_recipe_tells_each_call_once_with_its_tokens_cost_and_owner(house: House, recipe: Recipe) -> None:
    where, since, begins = there(recipe.name), len(house.provider.bills), clock.now().isoformat()
    run(house, where, where.program)
    bills = house.bills(since)
    calls = house.calls(begins, len(bills))
    once_each(calls, bills)
    for number, (call, agent) in enumerate(zip(calls, recipe.agents, strict=True)):
        through = number >= len(calls) - recipe.gateway
        assert {name: call[name] for name in WHO} == WHO
        assert (call["agent"], call["route"], call["release"]) == (agent, "answers", "2.4.1")
        assert call["version"] == ("v1" if through else "v7"), "the arm's prompt version, else the application's"
        assert ("afterlaunch.gateway" in call["scopes"]) == through


@BY_NAME
def test_content_stays_at_home_when_it_is_told_to(house: House, recipe: Recipe) -> None:
    where, since, begins = there(recipe.name), len(house.provider.bills), clock.now().isoformat()
    run(house, where, where.program, AFTERLAUNCH_CONTENT="off")
    house.calls(begins, len(house.bills(since)))
    spans = house.get("/api/v1/spans", system="support", limit="1000", **{"from": begins})["spans"]
    logs = house.get("/api/v1/logs", system="support", limit="1000", **{"from": begins})["logs"]
    assert spans
    for one in [*spans, *logs]:
        told = orjson.dumps(one).decode()
        assert not [words for words in SAID if words in told], told


def test_feedback_arrives_at_the_trace_that_it_judges(house: House) -> None:
    where, begins = there("openai"), clock.now().isoformat()
    run(house, where, where.program)
    last = house.calls(begins, 5)[-1]
    (judged,) = house.get("/api/v1/logs", trace_id=last["trace_id"])["logs"]
    assert judged["event"] == "gen_ai.evaluation.result" and judged["system"] == "support"
    assert judged["attributes"] == {
        "gen_ai.evaluation.name": "user_feedback",
        "gen_ai.evaluation.score.value": "1.0",
        "gen_ai.evaluation.explanation": "That helped.",
        "gen_ai.response.id": last["response_id"],
    }


def test_what_was_looked_up_stands_in_the_trace(house: House) -> None:
    where, begins = there("llamaindex"), clock.now().isoformat()
    run(house, where, where.program)
    house.calls(begins, 3)
    spans = house.get("/api/v1/spans", system="support", limit="1000", **{"from": begins})["spans"]
    (found,) = [span for span in spans if span["op_kind"] == "retrieval"]
    assert (found["name"], found["tenant"], found["agent"]) == ("retrieval handbook", "bakery", "handbook")
    assert all(name in orjson.dumps(found).decode() for name in ("mornings", "sundays", "2026-11-01T06:00:00Z"))


@contextmanager
def litellm_proxy(house: House, configuration: str, **settings: str) -> Iterator[str]:
    """LiteLLM's proxy, telling its own spans to the house; yields its address."""
    where, port = there("litellm-proxy"), free_port()
    file = house.folder / "litellm.yaml"
    file.write_text(configuration)
    telling = {"OTEL_EXPORTER": "otlp_http", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    telling |= {"OTEL_EXPORTER_OTLP_ENDPOINT": house.url}
    telling |= {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {house.token}"}
    env = {
        "PATH": "/usr/bin:/bin",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": house.secret,
        **telling,
    }
    command = [where.environment / "bin" / "litellm", "--config", file, "--host", "127.0.0.1", "--port", str(port)]
    log = house.folder / "litellm.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env | settings, stdout=out, stderr=out, cwd=house.folder)
        try:
            address = f"http://127.0.0.1:{port}"
            house.wait(lambda: house.alive(f"{address}/health/liveliness"), "LiteLLM does not answer", seconds=180)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def test_litellms_proxy_in_front_of_the_gateway(house: House) -> None:
    proxy, application = there("litellm-proxy"), there("openai")
    configuration, _, _ = proxy.blocks("yaml")
    since, begins = len(house.provider.bills), clock.now().isoformat()
    ours = {"AFTERLAUNCH_GATEWAY_BASE": f"{house.gateway}/v1", "AFTERLAUNCH_KEY": house.key}
    with litellm_proxy(house, configuration, **ours) as address:
        run(house, application, proxy.blocks("python")[0], LITELLM_URL=address, LITELLM_KEY=house.secret)
        _by_three(house, begins, house.bills(since), ["answers"] * 2)


def test_litellms_proxy_behind_the_gateway(house: House, tmp_path: Path) -> None:
    proxy, application = there("litellm-proxy"), there("openai")
    _, routes, configuration = proxy.blocks("yaml")
    since, begins = len(house.provider.bills), clock.now().isoformat()
    direct = {"OPENAI_API_KEY": "sk-mine", "ANTHROPIC_API_KEY": "sk-mine"}
    direct |= {"OPENAI_BASE_URL": f"{house.provider.url}/v1", "ANTHROPIC_API_BASE": house.provider.url}
    with litellm_proxy(house, configuration, **direct) as address:
        (tmp_path / "routes.yaml").write_text(routes.replace("http://127.0.0.1:4000", address))
        house.cli("apply", "-f", tmp_path / "routes.yaml")
        words = ("--name", "litellm", "--route", "through-openai", "--more", "through-anthropic")
        key = house.cli("key", "create", *words)
        house.wait(lambda: house.takes(key, "through-anthropic"), "the gateway does not know the key")
        run(house, application, proxy.blocks("python")[1], AFTERLAUNCH_KEY=key)
        _by_three(house, begins, house.bills(since), ["through-openai"] * 2 + ["through-anthropic"] * 2)


def _by_three(house: House, begins: str, bills: list[Bill], routes: list[str]) -> None:
    """Application, proxy and gateway told every call; it counts once."""
    scopes = ["afterlaunch.gateway", "litellm", "opentelemetry.instrumentation.openai.v1"]

    def all_told() -> bool:
        return [call["scopes"] for call in house.calls(begins, len(bills))] == [scopes] * len(bills)

    house.wait(all_told, "not every call was told by the application, the proxy and the gateway")
    calls = house.calls(begins, len(bills))
    once_each(calls, bills)
    for call, route in zip(calls, routes, strict=True):
        assert {name: call[name] for name in WHO} == WHO
        assert (call["agent"], call["route"], call["release"], call["version"]) == ("desk", route, "2.4.1", "v1")
