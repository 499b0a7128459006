"""Whatever document comes, a shadow is read or refused; whatever request comes, it is mirrored safely or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.contracts.budgets import WINDOWS
from afterlaunch.contracts.guard_checks import PII
from afterlaunch.contracts.handling import Handling
from afterlaunch.contracts.plain import made, sparse
from afterlaunch.contracts.shadow import EFFORTS, Alteration, Shadow, ShadowBudget
from afterlaunch.contracts.snapshot import Snapshot, seal, unseal
from afterlaunch.gateway.protocols import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Protocol
from afterlaunch.gateway.request import Asked, Assignment
from afterlaunch.gateway.shadowing.alterations import Unfit
from afterlaunch.gateway.shadowing.copies import Copy, headers_of, mirrored, query_of
from afterlaunch.gateway.tests.house import SHARED, snapshot_of
from afterlaunch.gateway.tests.test_guard_fuzz import JSON

ON = Shadow(share=10_000, upstream="open", budget=ShadowBudget(5))
ROUTE, KEY = snapshot_of("http://x").routes[0], snapshot_of("http://x").keys[0]
NUMBERS = st.integers(-5, 20_000) | st.floats(allow_nan=True) | st.integers(-(10**30), 10**30)
TOOLS = st.lists(
    st.fixed_dictionaries({}, optional={"type": st.sampled_from(["function", "web_search", "mcp", "bash_1"]) | JSON})
    | JSON,
    max_size=3,
)
MEMBERS = ("store", "background", "previous_response_id", "conversation", "stream", "stream_options", "tools", "model",
           "messages", "input", "n", "max_tokens", "mcp_servers", "container")  # fmt: skip


def copy_of(body: bytes, wire: Protocol) -> Copy:
    asked = Asked("POST", "/v1/x", "", wire, None)
    return Copy(asked, KEY, ROUTE, Assignment(ROUTE.arms[0], "share", "u"), None, 1, "c", body)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "share": NUMBERS, "upstream": st.sampled_from(["open", "nowhere"]) | JSON, "model": st.text(max_size=3),
            "budget": st.fixed_dictionaries(
                {"limit": NUMBERS},
                optional={
                    "unit": st.sampled_from(["usd", "tokens", "requests", "eur"]),
                    "window": st.sampled_from([*WINDOWS, "y"]),
                    "zone": st.sampled_from(["Europe/Berlin", "../etc", "", "Mars"]) | st.text(max_size=5),
                },
            ) | JSON,
            "in_flight": NUMBERS, "queue": NUMBERS, "queue_bytes": NUMBERS, "largest_request": NUMBERS,
            "deadline": NUMBERS, "redact": st.lists(st.sampled_from(PII) | st.text(max_size=3), max_size=3) | JSON,
            "without_tenants": JSON, "unknown": JSON,
            "alter": st.fixed_dictionaries(
                {}, optional={"most_output": NUMBERS, "effort": st.sampled_from(EFFORTS) | JSON, "messages": NUMBERS,
                              "keep_prompt": st.booleans() | JSON},
            ) | JSON,
        },
    )
)  # fmt: skip
def test_any_document_is_a_shadow_that_works_or_is_refused(document: dict[str, Any]) -> None:
    try:
        handling = made(Handling, {"shadow": document})
    except ValueError:
        return
    if handling.check({"open"}) is None:
        whole = snapshot_of("http://x")
        snapshot: Snapshot = replace(whole, routes=(replace(ROUTE, handling=handling),), keys=())
        again = unseal(seal(snapshot, SHARED), SHARED).routes[0].handling
        assert again == handling == made(Handling, sparse(handling))
        assert again.shadow.budget is None or again.shadow.budget.of("r").check() is None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6),
    st.none() | TOOLS,
    st.sampled_from([CHAT, RESPONSES, MESSAGES, EMBEDDINGS]),
    st.none() | st.builds(Alteration, st.none() | st.just(5), st.none() | st.just("low"), st.none() | st.just(2)),
)
def test_any_request_is_mirrored_safely_or_not_at_all(
    document: dict[str, Any], tools: Any, wire: Protocol, alteration: Alteration | None
) -> None:
    if tools is not None:
        document["tools"] = tools
    try:
        sent = mirrored(copy_of(json.dumps(document).encode(), wire), replace(ON, alter=alteration), "m")
    except Unfit as unfit:
        assert str(unfit) in ("hosted-tools", "state-at-the-provider", "no-json", "not-alterable")
        return
    seen = orjson.loads(sent.body)
    assert seen["model"] == sent.model == "m" and seen.get("store") is (False if wire is RESPONSES else None)
    assert not seen.get("background") or wire is not RESPONSES
    if wire is RESPONSES:
        assert seen.get("previous_response_id") is None and seen.get("conversation") is None
    kinds = [one.get("type") for one in seen.get("tools") or []]
    assert not {"web_search", "mcp"} & {str(kind) for kind in kinds}
    assert seen.get("mcp_servers") is None


LONG = [{"role": "system", "content": "s"}, {"role": "user", "content": "1"}, {"role": "assistant", "tool_calls": []},
        {"role": "tool", "content": "2"}, {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"},
        {"role": "user", "content": "5"}]  # fmt: skip
RESULT = [{"role": "user", "content": "1"}, {"role": "assistant", "content": []},
          {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]  # fmt: skip


@pytest.mark.parametrize(
    ("wire", "alteration", "document", "changed"),
    [
        (CHAT, Alteration(most_output=9), {}, {"max_completion_tokens": 9}),
        (CHAT, Alteration(most_output=9), {"max_tokens": 50}, {"max_tokens": 9}),
        (CHAT, Alteration(most_output=9), {"max_completion_tokens": 3}, {"max_completion_tokens": 3}),
        (RESPONSES, Alteration(most_output=9), {}, {"max_output_tokens": 9}),
        (MESSAGES, Alteration(most_output=9), {"max_tokens": 4096}, {"max_tokens": 9}),
        (MESSAGES, Alteration(most_output=9), {"max_tokens": 4096, "thinking": {"budget_tokens": 1024}}, None),
        (CHAT, Alteration(effort="low"), {"reasoning_effort": "high"}, {"reasoning_effort": "low"}),
        (RESPONSES, Alteration(effort="low"), {"reasoning": {"summary": "auto"}},
         {"reasoning": {"summary": "auto", "effort": "low"}}),
        (MESSAGES, Alteration(effort="low"), {}, None),
        (CHAT, Alteration(messages=3), {"messages": LONG}, {"messages": [LONG[0], *LONG[4:]]}),
        (CHAT, Alteration(messages=5), {"messages": LONG}, {"messages": [LONG[0], *LONG[4:]]}),
        (CHAT, Alteration(messages=50), {"messages": LONG}, {"messages": LONG}),
        (MESSAGES, Alteration(messages=1), {"messages": RESULT}, {"messages": RESULT}),
        (RESPONSES, Alteration(messages=2), {"input": "all of it"}, {"input": "all of it"}),
        (EMBEDDINGS, Alteration(messages=2), {"input": ["a"]}, None),
        (MESSAGES, Alteration(keep_prompt=True), {"system": "be kind"},
         {"system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}]}),
        (MESSAGES, Alteration(keep_prompt=True), {"system": [{"type": "text", "cache_control": {}}]}, None),
        (CHAT, Alteration(keep_prompt=True), {}, None),
    ],
)  # fmt: skip
def test_a_trial_alters_the_copy_or_sends_none(
    wire: Protocol, alteration: Alteration, document: dict[str, Any], changed: dict[str, Any] | None
) -> None:
    copy, shadow = copy_of(orjson.dumps(document), wire), replace(ON, alter=alteration, redact=())
    if changed is None:
        with pytest.raises(Unfit, match="not-alterable"):
            mirrored(copy, shadow, None, "openai")
        return
    sent = orjson.loads(mirrored(copy, shadow, None, "openai").body)
    sent.pop("store", None)
    assert sent == {**document, **changed}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.builds(lambda one: json.dumps(one).encode(), JSON))
def test_any_bytes_are_a_request_or_none(body: bytes) -> None:
    try:
        sent = mirrored(copy_of(body, CHAT), ON, None)
    except Unfit:
        return
    assert isinstance(orjson.loads(sent.body), dict)


@pytest.mark.parametrize(
    ("wire", "document", "reason"),
    [
        (CHAT, {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom"}]}, None),
        (CHAT, {"web_search_options": {}}, "hosted-tools"),
        (RESPONSES, {"tools": [{"type": "function", "name": "f"}, {"type": "code_interpreter"}]}, "hosted-tools"),
        (RESPONSES, {"tools": {"type": "mcp"}}, "hosted-tools"),
        (RESPONSES, {"input": [{"type": "item_reference", "id": "i"}]}, "state-at-the-provider"),
        (RESPONSES, {"prompt": {"id": "pmpt"}}, "state-at-the-provider"),
        (RESPONSES, {"store": True, "background": True, "input": "x"}, None),
        (MESSAGES, {"tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}, None),
        (MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "w"}]}, "hosted-tools"),
        (MESSAGES, {"mcp_servers": [{"url": "https://x"}]}, "hosted-tools"),
    ],
)
def test_tools_that_the_provider_runs_and_what_it_keeps(wire: Protocol, document: object, reason: str | None) -> None:
    copy = copy_of(orjson.dumps(document), wire)
    if reason is None:
        assert mirrored(copy, ON, "m").model == "m"
        return
    with pytest.raises(Unfit, match=reason):
        mirrored(copy, ON, "m")


def test_a_member_that_stands_there_twice_is_read_as_it_was_checked() -> None:
    sent = mirrored(copy_of(b'{"tools":[{"type":"mcp"}],"tools":[],"store":true,"input":"x"}', RESPONSES), ON, None)
    assert orjson.loads(sent.body) == {"tools": [], "store": False, "input": "x"} and sent.body.count(b"tools") == 1


def test_of_headers_and_query_only_what_says_how_to_read_the_request_goes_on() -> None:
    asked = Asked("POST", "/v1/x", "api-version=2&key=secret&beta=true", CHAT, None)
    asked.forward = [(b"content-type", b"a"), (b"idempotency-key", b"i"), (b"x-forwarded-for", b"1"), (b"cookie", b"c")]
    assert headers_of(asked) == [(b"content-type", b"a")] and query_of(asked) == "?api-version=2&beta=true"
