"""A golden prompt: a prompt whose answer is known well enough to be checked.

Through a route of the gateway, or directly to an endpoint that speaks OpenAI's or Anthropic's protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from afterlaunch import __version__
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.outbound import Document, fetch
from afterlaunch.ground.redaction import masked
from afterlaunch.probes import assertions
from afterlaunch.probes.assertions import Answer
from afterlaunch.probes.cost import cost_nano, tokens_of
from afterlaunch.probes.kinds.http import url
from afterlaunch.probes.kinds.kind import (
    SHOWN,
    Config,
    Context,
    Field,
    Through,
    one_of,
    read,
    reference,
    secret,
    text,
    whole,
)
from afterlaunch.probes.outcomes import Outcome, Result, failed, not_run

BODY_LIMIT = 2 * 2**20
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
OURS_TO_MEND = ("key-unknown", "key-missing", "route-unknown", "route-not-allowed", "key-revoked", "key-expired")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or not 0 <= float(value) <= 2:
        raise ValueError(value)
    return float(value)


def _history(value: Any) -> list[dict[str, str]]:
    """What user and assistant said before the prompt."""
    if not isinstance(value, list) or len(value) > 50:
        raise ValueError(value)
    for one in value:
        if not isinstance(one, dict) or set(one) != {"role", "content"} or one["role"] not in ("user", "assistant"):
            raise ValueError(one)
        if not isinstance(one["content"], str) or len(one["content"]) > 50_000:
            raise ValueError(one)
    return value


FIELDS = {
    "route": text(60, "the name of a route of the gateway"),
    "url": Field("the address of an endpoint", url, ""),
    "protocol": one_of(*PATHS, default="chat"),
    "model": text(200, "the name of a model"),
    "provider": text(60, "whose prices hold, such as openai or anthropic"),
    "credential": reference(),
    "system": text(20_000, "the system prompt"),
    "history": Field("a list of {role: user or assistant, content}", _history, ()),
    "prompt": text(50_000, "the prompt", needed=True),
    "max_tokens": whole(1, 100_000, 512),
    "temperature": Field("a number from 0 to 2", _number),
    "assertions": Field("a list of assertions", assertions.check, ()),
}


class Golden:
    name, label = "golden", "Golden prompt"
    reaches, secrets = ("url", "credential"), ("credential",)

    def check(self, config: Config) -> dict[str, Any]:
        taken = read(config, FIELDS)
        if bool(taken["route"]) == bool(taken["url"]):
            raise Invalid("A golden prompt goes through a route of the gateway, or directly to an address.")
        if taken["url"] and not taken["model"]:
            raise Invalid("A golden prompt that goes directly to an address needs a model.")
        if taken["route"] and taken["credential"]:
            raise Invalid("Through a route no credential is needed: the gateway has the provider's.")
        return taken

    def subject(self, config: Config) -> str:
        return f"route {config['route']}" if config["route"] else f"{config['model']} at {config['url']}"

    def run(self, config: Config, context: Context) -> Outcome:
        """The answer, its cost, and every assertion on both."""
        if config["route"] and context.through is None:
            return not_run("gateway", f"There is no route {config['route']!r} any more.")
        began = time.monotonic()
        document = _ask(config, context)
        spent = (time.monotonic() - began) * 1_000
        if document.status >= 400:
            return _refused(config, document, spent)
        told = _parsed(document)
        said = _answer(told, config["protocol"]) if told is not None else None
        if told is None or said is None:
            return failed("no_answer_text", "It answered in another protocol, or without text.", spent, cost_nano=None)
        return _judged(config, context, told, said, spent)


def _ask(config: Config, context: Context) -> Document:
    body = orjson.dumps(body_of(config, context.through))
    headers = [("Content-Type", "application/json"), ("User-Agent", f"afterlaunch-probe/{__version__}")]
    base = context.through.base_url if context.through else config["url"]
    key = context.through.token if context.through else config["credential"] and secret(config["credential"])
    if config["protocol"] == "messages":
        headers += [("anthropic-version", "2023-06-01"), *([("x-api-key", key)] if key else [])]
    elif key:
        headers.append(("Authorization", f"Bearer {key}"))
    # The gateway's address is the house's own setting, not a user's.
    return fetch(
        "POST", joined(base, PATHS[config["protocol"]]), body, headers, context.seconds, BODY_LIMIT,
        private=context.trusted, vouched=context.through is not None,
    )  # fmt: skip


def joined(base: str, path: str) -> str:
    """A base URL may end with /v1, or be the whole address already."""
    plain = base.rstrip("/")
    if plain.endswith(path):
        return plain
    return plain + (path.removeprefix("/v1") if plain.endswith("/v1") else path)


def body_of(config: Config, through: Through | None = None) -> dict[str, Any]:
    """What is asked, in the protocol's own words. A route may put another model in the place of ours."""
    system, prompt, most = config["system"], config["prompt"], config["max_tokens"]
    said = [*config.get("history", ()), {"role": "user", "content": prompt}]
    asked: dict[str, Any] = {"model": config["model"] or "route"}
    if config["temperature"] is not None:
        asked["temperature"] = config["temperature"]
    if config["protocol"] == "messages":
        asked |= {"max_tokens": most, "messages": said}
        return asked | ({"system": system} if system else {})
    if config["protocol"] == "responses":
        asked |= {"max_output_tokens": most, "input": said if len(said) > 1 else prompt, "store": False}
        return asked | ({"instructions": system} if system else {})
    provider = through.provider if through else config["provider"] or "openai"
    own = provider.startswith(("openai", "azure"))
    asked["max_completion_tokens" if own else "max_tokens"] = most
    messages = [{"role": "system", "content": system}] if system else []
    return asked | {"messages": [*messages, *said]}


def _parsed(document: Document) -> Mapping[str, Any] | None:
    try:
        told = orjson.loads(document.body)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _answer(told: Mapping[str, Any], protocol: str) -> str | None:
    """The text of an answer; None: it has none."""
    try:
        if protocol == "chat":
            found = told["choices"][0]["message"]["content"]
            return found if isinstance(found, str) else None
        if protocol == "messages":
            return _texts(told["content"], "text")
        parts = [part for item in told["output"] if item.get("type") == "message" for part in item["content"]]
        return _texts(parts, "output_text")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None


def _texts(parts: Any, kind: str) -> str | None:
    found = [part["text"] for part in parts if part.get("type") == kind and isinstance(part["text"], str)]
    return "".join(found) if found else None


def _refused(config: Config, document: Document, spent: float) -> Outcome:
    """The gateway's own refusal of our key is ours to mend, and tells nothing about the system."""
    named = document.headers.get("afterlaunch-reason", "")
    told = _parsed(document) or {}
    problem = told.get("error")
    message = problem.get("message") if isinstance(problem, dict) else None
    said = masked(f"{document.status}: {message or document.body[:200].decode('utf-8', 'replace')}"[:400])
    if config["route"] and named in OURS_TO_MEND:
        return not_run("gateway", f"The gateway refuses the key of the probes ({named}).")
    facts = {"status": document.status, **({"refused_by_gateway": named} if named else {})}
    reason = "not_let_in" if document.status in (401, 403) else "provider"
    return failed(reason, said, spent, facts=facts, cost_nano=None if document.status >= 500 else 0)


@dataclass(frozen=True)
class _Bought:
    cost: int | None
    facts: dict[str, Any]


def _bought(config: Config, context: Context, told: Mapping[str, Any]) -> _Bought:
    anthropic = config["protocol"] == "messages"
    tokens = tokens_of(told.get("usage"), anthropic)
    model = told.get("model") if isinstance(told.get("model"), str) else None
    default = "anthropic" if anthropic else "openai"
    provider = context.through.provider if context.through else config["provider"] or default
    price = cost_nano(provider, model, tokens, context.at)
    if price is None and config["model"] and config["model"] != model:
        price = cost_nano(provider, config["model"], tokens, context.at)
    facts: dict[str, Any] = {"model": (model or config["model"])[:100]}
    if tokens is not None:
        facts |= {"tokens_in": sum(vars(tokens).values()) - tokens.output - tokens.reasoning}
        facts |= {"tokens_out": tokens.output + tokens.reasoning}
    return _Bought(price, facts)


def _judged(config: Config, context: Context, told: Mapping[str, Any], said: str, spent: float) -> Outcome:
    bought = _bought(config, context, told)
    checks = assertions.judged(config["assertions"], Answer(said, spent, bought.cost))
    more: dict[str, Any] = {
        "checks": checks,
        "facts": bought.facts,
        "answer": masked(said[:SHOWN]),
        "cost_nano": bought.cost,
    }
    wrong = next((check for check in checks if not check.ok), None)
    if wrong is None:
        return Outcome(Result.OK, milliseconds=spent, **more)
    return failed("assertion", wrong.said, spent, **more)
