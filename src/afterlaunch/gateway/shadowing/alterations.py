"""What a trial alters in a copy: a bound on the answer, a reasoning effort, the last messages only, a prompt that the
provider keeps. Pure; `document` is altered in place. What cannot be altered so is not mirrored: a copy that is as the
caller's would be compared as if it were not."""

from __future__ import annotations

from typing import Any

from afterlaunch.contracts.shadow import Alteration
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES, Protocol

_LEADING = ("system", "developer")
_NEWER_BOUND = ("openai", "azure")  # their reasoning models refuse max_tokens
_EPHEMERAL = {"type": "ephemeral"}


class Unfit(Exception):
    """It is not mirrored; the argument is a named reason."""


def alter(document: dict[str, Any], wire: Protocol, wanted: Alteration, provider: str) -> None:
    """Raises Unfit."""
    if wanted.most_output is not None:
        _bound(document, wire, wanted.most_output, provider)
    if wanted.effort is not None:
        _effort(document, wire, wanted.effort)
    if wanted.messages is not None:
        _last(document, wire, wanted.messages)
    if wanted.keep_prompt:
        _kept(document, wire)


def _bound(document: dict[str, Any], wire: Protocol, most: int, provider: str) -> None:
    if wire is CHAT:
        newer = "max_completion_tokens" in document or ("max_tokens" not in document and provider in _NEWER_BOUND)
        name = "max_completion_tokens" if newer else "max_tokens"
    elif wire is RESPONSES or wire is MESSAGES:
        name = "max_output_tokens" if wire is RESPONSES else "max_tokens"
    else:
        raise Unfit("not-alterable")
    thinking = document.get("thinking")
    if wire is MESSAGES and isinstance(thinking, dict) and _number(thinking.get("budget_tokens"), 0) >= most:
        raise Unfit("not-alterable")  # thinking must fit into the answer
    document[name] = min(most, _number(document.get(name), most))


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _effort(document: dict[str, Any], wire: Protocol, effort: str) -> None:
    if wire is CHAT:
        document["reasoning_effort"] = effort
    elif wire is RESPONSES:
        told = document.get("reasoning")
        document["reasoning"] = {**(told if isinstance(told, dict) else {}), "effort": effort}
    else:
        raise Unfit("not-alterable")


def _last(document: dict[str, Any], wire: Protocol, most: int) -> None:
    """What leads (instructions) stays; the rest begins with what a person said: an answer of a tool without its call
    would be refused."""
    name = "input" if wire is RESPONSES else "messages"
    said = document.get(name)
    if wire is RESPONSES and isinstance(said, str):
        return
    if wire not in (CHAT, MESSAGES, RESPONSES) or not isinstance(said, list):
        raise Unfit("not-alterable")
    lead = next((at for at, one in enumerate(said) if _role(one) not in _LEADING), len(said))
    begin = next((at for at in range(max(lead, len(said) - most), len(said)) if _of_person(said[at])), lead)
    document[name] = [*said[:lead], *said[begin:]]


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None


def _of_person(message: object) -> bool:
    if not isinstance(message, dict) or message.get("role") != "user":
        return False
    parts = message.get("content")
    return not any(
        isinstance(one, dict) and one.get("type") == "tool_result" for one in (parts if isinstance(parts, list) else ())
    )


def _kept(document: dict[str, Any], wire: Protocol) -> None:
    """Marks the end of the instructions for the prompt cache, where the provider wants a mark."""
    system = document.get("system")
    if wire is not MESSAGES or _marked(document):
        raise Unfit("not-alterable")
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) and system else system
    if not isinstance(blocks, list) or not blocks or not isinstance(blocks[-1], dict):
        raise Unfit("not-alterable")
    document["system"] = [*blocks[:-1], {**blocks[-1], "cache_control": _EPHEMERAL}]


def _marked(value: object) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "cache_control" in one:
                return True
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return False
