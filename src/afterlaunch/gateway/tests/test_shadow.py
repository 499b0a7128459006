"""Shadow traffic as callers do not feel it, and as the shadow's upstream and telemetry see it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from afterlaunch.contracts.budgets import Budget
from afterlaunch.contracts.cohort import in_candidate
from afterlaunch.contracts.handling import Fallback, Handling, Resilience
from afterlaunch.contracts.shadow import Shadow, ShadowBudget
from afterlaunch.contracts.snapshot import Upstream
from afterlaunch.gateway.spending.store import Store
from afterlaunch.gateway.tests.house import (
    Canned,
    House,
    Received,
    attributes,
    house,
    snapshot_of,
    until,
)
from afterlaunch.gateway.tests.test_budgets import CARD
from afterlaunch.gateway.tests.test_forwarding import ANSWER, STREAM, call

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"write to ann@example.com"}]}'
TWO = b'{"id":"shadow-2","model":"gpt-next-1","usage":{"prompt_tokens":7,"completion_tokens":5}}'
TOKENS = ShadowBudget(10_000_000, "tokens")
ON = Shadow(share=10_000, upstream="dark", model="gpt-next", budget=TOKENS)


def shadowed(of: House, shadow: Shadow = ON, credential: str = "env:PROVIDER_SECRET", **values: object) -> None:
    """`dark` is the same provider below another path."""
    epoch = of.gateway.holder.epoch + 1
    made = snapshot_of(of.provider_url, epoch=epoch)
    dark = Upstream("dark", of.provider_url + "/dark", "openai", credential, timeout_seconds=5)
    handling = replace(Handling(shadow=shadow), **values)  # type: ignore[arg-type]
    routes = tuple(replace(one, handling=handling) if one.name == "answers" else one for one in made.routes)
    budgets = (Budget("b1", "All", {}, "tokens", 10_000_000, "day"),)
    of.server.publish(replace(made, upstreams=(*made.upstreams, dark), routes=routes, budgets=budgets))
    until(lambda: of.gateway.holder.epoch == epoch)


def answering(of: House, shadow: Canned | Callable[[Received], Canned], plain: Canned | None = None) -> None:
    def answer(asked: Received) -> Canned:
        if asked.path.startswith("/dark"):
            return shadow(asked) if callable(shadow) else shadow
        return plain or Canned([ANSWER])

    of.provider.answer = answer


def mirrored(of: House) -> list[Received]:
    return [one for one in of.provider.requests if one.path.startswith("/dark")]


def spans(of: House) -> list[dict[str, object]]:
    return [one for one in of.server.attempts() if one.get("afterlaunch.arm") == "shadow"]


def counted(of: House, name: str) -> dict[str, float]:
    """By labels, of the gateway's own metrics."""
    lines = urlopen(of.url + "/metrics").read().decode().splitlines()
    found = [line.rpartition(" ") for line in lines if line.startswith(f"afterlaunch_gateway_{name}")]
    return {head: float(value) for head, _, value in found}


def dropped(of: House) -> dict[str, float]:
    return {name.split('reason="')[1].split('"')[0]: count for name, count in counted(of, "shadow_dropped").items()}


def test_a_call_is_mirrored_under_its_own_name_and_the_caller_sees_nothing_of_it(gateway_house: House) -> None:
    shadowed(gateway_house)
    answering(gateway_house, Canned([TWO]))
    status, said, body = call(
        gateway_house, BODY, afterlaunch_session="s1", idempotency_key="once", cookie="a=b", openai_organization="mine"
    )
    assert (status, body, said["afterlaunch-arm"]) == (200, ANSWER, "baseline")
    until(lambda: spans(gateway_house))
    (seen,) = mirrored(gateway_house)
    assert seen.path == "/dark/v1/chat/completions" and seen.headers["authorization"] == "Bearer sk-of-the-house"
    assert not {"idempotency-key", "cookie", "openai-organization"} & set(seen.headers)
    document = json.loads(seen.body)
    assert document["model"] == "gpt-next"
    assert document["messages"] == [{"role": "user", "content": "write to [masked: e-mail]"}]
    (span,) = spans(gateway_house)
    assert span["afterlaunch.call_id"] == said["afterlaunch-call-id"]
    assert (span["afterlaunch.upstream"], span["gen_ai.request.model"]) == ("dark", "gpt-next")
    assert (span["gen_ai.usage.input_tokens"], span["gen_ai.usage.output_tokens"]) == (7, 5)
    assert (span["afterlaunch.call_state"], span["afterlaunch.usage_state"]) == ("complete", "exact")
    assert (span["afterlaunch.assignment"], span["gen_ai.prompt.version"]) == ("shadow", "p1")
    until(lambda: len(gateway_house.server.spans) == 3)
    traces = {one.trace_id: attributes(one).get("afterlaunch.arm") for _, one in gateway_house.server.spans}
    assert sorted(str(arm) for arm in traces.values()) == ["baseline", "shadow"]  # a trace of its own
    state = 'route="answers",state="complete",usage="exact"'
    assert counted(gateway_house, "shadow_mirrored_total{" + state + "}")
    assert not any("shadow" in name for name in counted(gateway_house, "calls_total"))


def test_its_budget_is_its_own(gateway_house: House) -> None:
    shadowed(gateway_house, replace(ON, budget=ShadowBudget(2_000, "tokens")))
    answering(gateway_house, Canned([TWO]))
    body = BODY.replace(b"{", b'{"max_tokens":1500,', 1)
    assert call(gateway_house, body, afterlaunch_session="s1")[0] == 200
    until(lambda: spans(gateway_house))
    until(lambda: counters(gateway_house) == {"b1": (3, 0), "shadow/answers/tokens": (12, 0)})
    answering(gateway_house, Canned([TWO.replace(b'"prompt_tokens":7', b'"prompt_tokens":1200')]))

    def counted(used: int) -> bool:
        return counters(gateway_house) == {"b1": (used, 0), "shadow/answers/tokens": (1217, 0)}

    for used in (6, 9, 12):
        assert call(gateway_house, body, afterlaunch_session="s1")[0] == 200
        until(partial(counted, used))
    assert len(mirrored(gateway_house)) == 2
    assert dropped(gateway_house) == {"budget-exhausted": 2}

    def told() -> list[tuple[int, int, int]]:
        rows = [one for one in gateway_house.server.counters if one["budget"] == "shadow/answers/tokens"]
        return [(one["used"], one["reserved"], one["refused"]) for one in rows]

    until(lambda: told()[-1:] == [(1217, 0, 2)])


def counters(of: House) -> dict[str, tuple[int, int]]:
    with closing(Store(of.gateway.budgets_file)) as store:
        assert store.check() == []
        return {row["budget"]: (row["used"], row["reserved"]) for row in store.changed(0)}


def test_money_without_a_price_is_not_spent(gateway_house: House) -> None:
    shadowed(gateway_house, replace(ON, budget=ShadowBudget(5)))
    answering(gateway_house, Canned([TWO]))
    assert call(gateway_house, BODY, afterlaunch_session="s1")[0] == 200
    until(lambda: dropped(gateway_house) == {"price-unknown": 1})
    gateway_house.server.cards["gpt-other"] = CARD
    shadowed(gateway_house, replace(ON, model="gpt-other", budget=ShadowBudget(5)))
    assert call(gateway_house, BODY, afterlaunch_session="s1")[0] == 200
    until(lambda: counters(gateway_house).get("shadow/answers/usd") == (17_000, 0))


@pytest.mark.parametrize(
    ("shadow", "state", "error"),
    [
        (Canned([b"x"] * 200, pause=0.05), "upstream-cut", "timeout"),
        (Canned([b'{"error":{"code":"broken"}}'], status=500), "upstream-error", "broken"),
        (Canned([b"{"], cut=True), "upstream-cut", "stream_cut"),
        (Canned([b"y" * (10 << 20), b'","usage":{"prompt_tokens":1,"completion_tokens":1}}']), "complete", None),
    ],
)  # fmt: skip
def test_whatever_it_does_changes_nothing_for_callers(
    gateway_house: House, shadow: Canned, state: str, error: str | None
) -> None:
    shadowed(gateway_house, replace(ON, deadline=0.5))
    answering(gateway_house, shadow)
    took = []
    for _ in range(8):
        began = time.perf_counter()
        status, said, body = call(gateway_house, BODY, afterlaunch_session="s1")
        took.append(time.perf_counter() - began)
        assert (status, body) == (200, ANSWER)
        assert said.keys() == {
            "content-type", "afterlaunch-call-id", "afterlaunch-arm", "date", "server", "transfer-encoding",
            "afterlaunch-budget-remaining", "afterlaunch-budget-reset",
        }  # fmt: skip
    assert sorted(took)[4] < 0.2, took
    until(lambda: spans(gateway_house))
    seen = spans(gateway_house)[0]
    assert (seen["afterlaunch.call_state"], seen.get("error.type")) == (state, error)
    until(lambda: len(spans(gateway_house)) + sum(dropped(gateway_house).values()) == 8)
    until(lambda: counters(gateway_house)["shadow/answers/tokens"][1] == 0)
    assert counted(gateway_house, "shadow_bytes") == {"afterlaunch_gateway_shadow_bytes": 0.0}
    plain = [one for one in gateway_house.server.attempts() if one.get("afterlaunch.arm") == "baseline"]
    assert len(plain) == 8 and all("error.type" not in one for one in plain)


def test_what_does_not_fit_is_dropped_and_a_stop_drops_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    with house(tmp_path) as made:
        shadowed(made, replace(ON, in_flight=1, queue=2, redact=()))
        answering(made, Canned([b"x"] * 400, pause=0.05))
        for _ in range(5):
            assert call(made, BODY, afterlaunch_session="s1")[0] == 200
        assert dropped(made) == {"queue-full": 2}
        assert counted(made, "shadow_in_flight") == {"afterlaunch_gateway_shadow_in_flight": 1.0}
        assert counted(made, "shadow_waiting") == {"afterlaunch_gateway_shadow_waiting": 2.0}
        assert counted(made, "shadow_bytes") == {"afterlaunch_gateway_shadow_bytes": 3.0 * len(BODY)}
        until(lambda: mirrored(made))
    assert b'shadow_dropped_total{route="answers",reason="stopped"} 2\n' in made.gateway.metrics.text({})
    assert len(mirrored(made)) == 1 and counters(made)["shadow/answers/tokens"][1] == 0
    assert [one["error.type"] for one in spans(made)] == ["gateway_stopped"]


def test_a_flip_takes_what_waits_out_within_a_second(gateway_house: House) -> None:
    shadowed(gateway_house, replace(ON, in_flight=1))
    answering(gateway_house, Canned([b"x"] * 10, pause=0.05))
    for _ in range(3):
        call(gateway_house, BODY, afterlaunch_session="s1")
    shadowed(gateway_house, Shadow())
    assert call(gateway_house, BODY, afterlaunch_session="s1")[0] == 200
    until(lambda: dropped(gateway_house) == {"no-longer-wanted": 2})
    assert len(mirrored(gateway_house)) == 1


def test_a_unit_is_mirrored_whole_or_not_at_all(gateway_house: House) -> None:
    shadowed(gateway_house, replace(ON, share=3_000))
    answering(gateway_house, Canned([TWO]))
    names = [f"unit-{number}" for number in range(30)]
    for name in names * 2:
        call(gateway_house, BODY, afterlaunch_session=name)
    wanted = [name for name in names if in_candidate("answers", "s1/shadow", name, 3_000)]
    assert 0 < len(wanted) < 20
    until(lambda: len(spans(gateway_house)) + sum(dropped(gateway_house).values()) == 2 * len(wanted))
    assert {str(one["session.id"]) for one in spans(gateway_house)} <= set(wanted)


def test_what_is_not_mirrored_is_counted_with_its_reason(gateway_house: House) -> None:
    shadowed(gateway_house, replace(ON, largest_request=500, without_tenants=("t1",)))
    answering(gateway_house, Canned([TWO]))
    hosted = b'{"model":"m","tools":[{"type":"web_search"}]}'
    for body, path in (
        (hosted, "/v1/responses"),
        (b'{"previous_response_id":"r"}', "/v1/responses"),
        (b"[1]", "/v1/embeddings"),
        (BODY + b" " * 500, "/v1/chat/completions"),
    ):
        assert call(gateway_house, body, path, afterlaunch_session="s1", afterlaunch_tenant="t2")[0] == 200
    call(gateway_house, BODY, afterlaunch_session="s1")
    call(gateway_house, BODY, afterlaunch_tenant="t1")
    call(gateway_house, BODY)
    reasons = {"hosted-tools": 1, "state-at-the-provider": 1, "no-json": 1, "too-large": 1, "tenant": 2, "no-unit": 1}
    until(lambda: dropped(gateway_house) == reasons)
    shadowed(gateway_house, credential="passthrough")
    call(gateway_house, BODY, afterlaunch_session="s1")
    until(lambda: dropped(gateway_house) == {**reasons, "no-credential": 1})
    assert not mirrored(gateway_house) and not spans(gateway_house)


def test_answers_that_its_own_arm_did_not_give_are_not_mirrored(gateway_house: House) -> None:
    fallback = Resilience(attempts=2, fallbacks=(Fallback("anthro"),), longest_wait=0.1)
    shadowed(gateway_house, resilience=fallback, cache_seconds=60)
    answering(gateway_house, Canned([TWO]))
    for _ in range(2):  # the second one is remembered
        assert call(gateway_house, BODY, afterlaunch_session="s1")[0] == 200
    failing = iter([Canned([b"{}"], status=401)])
    answering(gateway_house, Canned([TWO]))
    plain = gateway_house.provider.answer
    gateway_house.provider.answer = lambda asked: (
        next(failing, plain(asked)) if not asked.path.startswith("/dark") else plain(asked)
    )
    assert call(gateway_house, BODY + b" ", afterlaunch_session="s1")[0] == 200
    gateway_house.provider.answer = lambda asked: Canned([b"{}"], status=400)
    assert call(gateway_house, BODY + b"  ", afterlaunch_session="s1")[0] == 400
    until(lambda: spans(gateway_house))
    assert len(mirrored(gateway_house)) == 1 and not dropped(gateway_house)


def test_the_candidate_arm_may_be_the_shadow_and_streams_are_metered(gateway_house: House) -> None:
    epoch = gateway_house.gateway.holder.epoch + 1
    made = snapshot_of(gateway_house.provider_url, epoch=epoch, candidate_model="gpt-next")
    handling = Handling(shadow=Shadow(share=10_000, budget=TOKENS))
    routes = tuple(replace(one, handling=handling) for one in made.routes)
    gateway_house.server.publish(replace(made, routes=routes))
    until(lambda: gateway_house.gateway.holder.epoch == epoch)
    events = [
        b'data: {"id":"c","model":"m","choices":[{"delta":{"content":"x"}}]}\n\n',
        b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n',
        b"data: [DONE]\n\n",
    ]
    gateway_house.provider.answer = lambda _: Canned(events, headers=STREAM)
    assert call(gateway_house, b'{"stream":true,"model":"m"}', afterlaunch_session="s1")[0] == 200
    until(lambda: spans(gateway_house))
    (span,) = spans(gateway_house)
    assert (span["gen_ai.request.model"], span["afterlaunch.change"]) == ("gpt-next", "7")
    assert span["gen_ai.usage.output_tokens"] == 2 and "gen_ai.response.time_to_first_chunk" in span
    _, second = gateway_house.provider.requests
    assert json.loads(second.body) == {"stream": True, "model": "gpt-next", "stream_options": {"include_usage": True}}
    letters = b'{"model":"claude","max_tokens":5}'
    call(gateway_house, letters, "/v1/messages", afterlaunch_route="letters", afterlaunch_session="s1")
    until(lambda: dropped(gateway_house) == {"no-candidate": 1})
