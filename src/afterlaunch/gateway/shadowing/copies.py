"""What of a caller's request may be mirrored, and how the copy looks. Pure.

The copy need not be byte for byte the caller's: it is written anew, so that a member which stands there twice is read
by everybody as it was read here. What cannot be mirrored safely or fairly is not mirrored, for a named reason.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import orjson

from afterlaunch.contracts.cohort import in_candidate
from afterlaunch.contracts.shadow import Shadow
from afterlaunch.contracts.snapshot import Key, Route
from afterlaunch.gateway.attempts import most_output
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.reading import Request
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES, Protocol
from afterlaunch.gateway.request import Asked, Assignment
from afterlaunch.gateway.shadowing.alterations import Unfit, alter

_HEADERS = frozenset((b"content-type", b"accept", b"anthropic-version", b"anthropic-beta", b"openai-beta"))
_QUERY = frozenset(("api-version", "beta"))
# Run by the application, as far as the model may name them; whatever else has a type is run by the provider.
_OWN_TOOLS = frozenset(("function", "custom"))
_OWN_ANTHROPIC = ("bash_", "text_editor_", "computer_", "memory_")
_HOSTED = ("web_search_options", "mcp_servers", "plugins", "data_sources", "container")
_AT_THE_PROVIDER = ("previous_response_id", "conversation", "prompt")


class Copy(NamedTuple):
    """A call whose answer has gone to its caller."""

    asked: Asked
    key: Key
    route: Route
    assignment: Assignment
    tenant: str | None
    epoch: int
    call_id: str
    body: bytes


class Sent(NamedTuple):
    body: bytes
    model: str | None
    streaming: bool
    most_output: int | None


def chosen(shadow: Shadow, copy: Copy) -> bool:
    """Whether its unit belongs to the shadow's share: drawn apart from the rollout's share, or a candidate that is
    rolled out would take its units out of the shadow first. Raises Unfit where there is no unit to draw by."""
    if copy.assignment.arm.name != "baseline" or copy.asked.protocol.operation is None or copy.asked.method != "POST":
        return False
    if copy.assignment.unit is None:
        raise Unfit("no-unit")
    if not in_candidate(copy.route.name, f"{copy.route.salt}/shadow", copy.assignment.unit, shadow.share):
        return False
    if shadow.without_tenants and (copy.tenant is None or copy.tenant in shadow.without_tenants):
        raise Unfit("tenant")
    if len(copy.body) > shadow.largest_request:
        raise Unfit("too-large")
    return True


def mirrored(copy: Copy, shadow: Shadow, model: str | None, provider: str = "") -> Sent:
    """`model` None: the caller's own; `provider`: who gets the copy. Raises Unfit."""
    wire = copy.asked.protocol
    try:
        document = orjson.loads(copy.body)
    except orjson.JSONDecodeError:
        raise Unfit("no-json") from None
    if not isinstance(document, dict):
        raise Unfit("no-json")
    _refuse_state(document, wire)
    _refuse_hosted_tools(document, wire)
    if shadow.alter is not None:
        alter(document, wire, shadow.alter, provider)
    if model is not None:
        document["model"] = model
    if wire is RESPONSES:
        document.pop("background", None)
        document["store"] = False  # absent, it is true
    else:
        document.pop("store", None)
    streaming = document.get("stream") is True
    if streaming and wire is CHAT and copy.route.inject_usage:
        options = document.get("stream_options")
        document["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    named = document.get("model")
    body = _redacted(orjson.dumps(document), shadow.redact)
    return Sent(body, named if isinstance(named, str) else None, streaming, most_output(document))


def _refuse_state(document: dict[str, Any], wire: Protocol) -> None:
    """What the provider keeps of earlier turns the other one does not know: without it the answers do not compare."""
    if wire is not RESPONSES:
        return
    items = document.get("input")
    kept = any(isinstance(one, dict) and one.get("type") == "item_reference" for one in _list(items))
    if kept or any(document.get(name) is not None for name in _AT_THE_PROVIDER):
        raise Unfit("state-at-the-provider")


def _refuse_hosted_tools(document: dict[str, Any], wire: Protocol) -> None:
    """A tool that the provider runs costs and acts: what is not known to be the application's own counts as one."""
    if any(document.get(name) is not None for name in _HOSTED):
        raise Unfit("hosted-tools")
    tools = document.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise Unfit("hosted-tools")
    for tool in _list(tools):
        kind = tool.get("type", "custom" if wire is MESSAGES else None) if isinstance(tool, dict) else None
        own = isinstance(kind, str) and (kind in _OWN_TOOLS or (wire is MESSAGES and kind.startswith(_OWN_ANTHROPIC)))
        if not own:
            raise Unfit("hosted-tools")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _redacted(body: bytes, kinds: tuple[str, ...]) -> bytes:
    if not kinds:
        return body
    from afterlaunch.ground.sensitive.patterns import masked

    try:
        return Request(body).redacted("request", lambda text: masked(text, kinds))
    except Unreadable as problem:
        raise Unfit(str(problem)) from problem


def headers_of(asked: Asked) -> list[tuple[bytes, bytes]]:
    """No idempotency key, no cookie, no account, nothing that we do not know: those belong to the caller's call."""
    return [pair for pair in asked.forward if pair[0] in _HEADERS]


def query_of(asked: Asked) -> str:
    kept = [pair for pair in parse_qsl(asked.query) if pair[0] in _QUERY]
    return "?" + urlencode(kept) if kept else ""
