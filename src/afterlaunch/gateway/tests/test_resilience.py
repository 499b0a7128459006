"""Upstreams that fail, limits, remembered answers and callers who leave, as a caller meets them."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import orjson
import pytest

from afterlaunch.contracts.handling import Fallback, Handling, Leaving, Limits, Resilience
from afterlaunch.contracts.snapshot import Upstream
from afterlaunch.gateway.tests.house import Canned, House, Received, snapshot_of, until
from afterlaunch.gateway.tests.test_callers_who_leave import leave_early
from afterlaunch.gateway.tests.test_forwarding import ANSWER, STREAM, call

GOOD = Canned([ANSWER])
SPARE = (Fallback("spare", "gpt-spare"),)
EVENT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}\n\n'


def handled(house: House, handling: Handling, key_limits: Limits | None = None, slow: float = 5) -> None:
    """Publish the house's routes with this handling; `spare` is the same provider below another path."""
    epoch = house.gateway.holder.epoch + 1
    made = snapshot_of(house.provider_url, epoch=epoch)
    first = replace(made.upstreams[0], timeout_seconds=slow)
    spare = Upstream("spare", house.provider_url + "/spare", "openai", "env:PROVIDER_SECRET", timeout_seconds=5)
    routes = tuple(replace(route, handling=handling) if route.name == "answers" else route for route in made.routes)
    keys = tuple(replace(key, limits=key_limits or Limits()) for key in made.keys)
    house.server.publish(replace(made, upstreams=(first, *made.upstreams[1:], spare), routes=routes, keys=keys))
    until(lambda: house.gateway.holder.epoch == epoch)


def by_path(first: Canned, spare: Canned = GOOD) -> object:
    return lambda asked: spare if asked.path.startswith("/spare") else first


@pytest.mark.parametrize("status", [401, 402, 404, 500, 503, 529])
def test_another_upstream_serves_and_every_attempt_is_told(gateway_house: House, status: int) -> None:
    handled(gateway_house, Handling(Resilience(fallbacks=SPARE, longest_wait=0.1)))
    gateway_house.provider.answer = by_path(Canned([b'{"error":{}}'], status=status))  # type: ignore[assignment]
    got, said, body = call(gateway_house)
    assert (got, body) == (200, ANSWER) and said["afterlaunch-arm"] == "baseline"
    tried = gateway_house.provider.requests
    assert json.loads(tried[-1].body)["model"] == "gpt-spare" and tried[-1].path == "/spare/v1/chat/completions"
    until(lambda: len(gateway_house.server.attempts()) == len(tried))
    seen = gateway_house.server.attempts()
    assert [one["afterlaunch.attempt"] for one in seen] == list(range(1, len(tried) + 1))
    assert [one["afterlaunch.call_state"] for one in seen] == ["upstream-error"] * (len(tried) - 1) + ["complete"]
    assert seen[0]["afterlaunch.arm"] == "baseline" and "afterlaunch.arm" not in seen[-1]
    assert (seen[-1]["afterlaunch.arm_assigned"], seen[-1]["afterlaunch.upstream"]) == ("baseline", "spare")


def test_an_upstream_that_fails_in_a_row_rests_and_is_probed_again(gateway_house: House) -> None:
    handled(gateway_house, Handling(Resilience(attempts=2, fallbacks=SPARE, longest_wait=0)))
    gateway_house.provider.answer = by_path(Canned([b"{}"], status=503))  # type: ignore[assignment]
    for _ in range(8):
        assert call(gateway_house)[0] == 200
    asked = [one.path.startswith("/spare") for one in gateway_house.provider.requests]
    assert asked.count(False) == 5 and asked[-3:] == [True] * 3


def test_a_caller_who_leaves_while_an_upstream_is_probed_leaves_it_to_the_next(
    gateway_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afterlaunch.gateway.health.REST", 0.3)
    handled(gateway_house, Handling(Resilience(attempts=2, fallbacks=SPARE, longest_wait=0)))
    gateway_house.provider.answer = by_path(Canned([b"{}"], status=503))  # type: ignore[assignment]
    for _ in range(5):
        call(gateway_house)
    time.sleep(0.4)
    asked = len(gateway_house.provider.requests)
    gateway_house.provider.answer = by_path(Canned([b"x"] * 50, pause=0.05, status=400))  # type: ignore[assignment]
    leave_early(gateway_house, b'{"model":"m"}', b"")
    until(lambda: gateway_house.provider.aborted == 1, 5)
    gateway_house.provider.answer = lambda _: GOOD
    assert call(gateway_house)[0] == 200
    assert [one.path for one in gateway_house.provider.requests[asked:]] == ["/v1/chat/completions"] * 2


def test_what_the_caller_sent_wrong_is_not_tried_elsewhere(gateway_house: House) -> None:
    handled(gateway_house, Handling(Resilience(fallbacks=SPARE)))
    wrong = b'{"error":{"message":"max_tokens is too large"}}'
    gateway_house.provider.answer = by_path(Canned([wrong[:9], wrong[9:]], status=400))  # type: ignore[assignment]
    assert call(gateway_house)[::2] == (400, wrong)
    assert len(gateway_house.provider.requests) == 1


def test_a_prompt_that_is_too_long_goes_to_the_upstream_that_takes_longer_ones(gateway_house: House) -> None:
    larger = Fallback("spare", larger_context=True)
    handled(gateway_house, Handling(Resilience(fallbacks=(larger,))))
    too_long = Canned([b'{"error":{"code":"context_length_exceeded"}}'], status=400)
    gateway_house.provider.answer = by_path(too_long)  # type: ignore[assignment]
    assert call(gateway_house)[0] == 200
    gateway_house.provider.answer = by_path(Canned([b"{}"], status=503))  # type: ignore[assignment]
    assert call(gateway_house)[0] == 503


def test_nothing_is_tried_after_the_first_byte(gateway_house: House) -> None:
    handled(gateway_house, Handling(Resilience(fallbacks=SPARE)))
    gateway_house.provider.answer = by_path(Canned([EVENT], headers=STREAM, cut=True))  # type: ignore[assignment]
    with pytest.raises(Exception, match="IncompleteRead"):
        call(gateway_house, b'{"stream":true,"model":"m"}')
    assert len(gateway_house.provider.requests) == 1
    until(lambda: gateway_house.server.attempts())
    assert gateway_house.server.attempts()[0]["afterlaunch.call_state"] == "upstream-cut"


def test_an_upstream_that_does_not_begin_in_time_is_left_for_another(gateway_house: House) -> None:
    handled(gateway_house, Handling(Resilience(fallbacks=SPARE, first_byte=0.3)))

    def answer(asked: Received) -> Canned:
        if not asked.path.startswith("/spare"):
            time.sleep(0.8)  # the provider's loop stands still: no head comes
        return GOOD

    gateway_house.provider.answer = answer
    began = time.perf_counter()
    got = call(gateway_house)[0]
    assert got in (200, 504) and time.perf_counter() - began < 3
    until(lambda: len(gateway_house.server.attempts()) >= 2)
    assert gateway_house.server.attempts()[0]["error.type"] == "timeout"


def test_a_calls_time_ends_also_while_its_answer_flows(gateway_house: House) -> None:
    handled(gateway_house, Handling(Resilience(deadline=0.5)))
    gateway_house.provider.answer = lambda _: Canned([EVENT] * 200, headers=STREAM, pause=0.05)
    began = time.perf_counter()
    with pytest.raises(Exception, match="IncompleteRead"):
        call(gateway_house, b'{"stream":true,"model":"m"}')
    assert time.perf_counter() - began < 3
    until(lambda: gateway_house.server.attempts())
    seen = gateway_house.server.attempts()[0]
    assert (seen["afterlaunch.call_state"], seen["error.type"]) == ("upstream-cut", "stream_timeout")
    assert seen["afterlaunch.usage_state"] == "estimated" and int(str(seen["afterlaunch.estimate.output_tokens"])) > 0


def test_limits_of_key_tenant_and_route_are_told_apart(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: GOOD
    handled(gateway_house, Handling(), key_limits=Limits(requests=2))
    assert [call(gateway_house)[0] for _ in range(3)] == [200, 200, 429]
    said = call(gateway_house)[1]
    assert said["afterlaunch-reason"] == "key-requests-limit" and 25 <= int(said["retry-after"]) <= 31
    handled(gateway_house, Handling(tenant_limits=Limits(requests=1)))
    assert [call(gateway_house, afterlaunch_tenant=name)[0] for name in ("a", "b", "a")] == [200, 200, 429]
    handled(gateway_house, Handling(limits=Limits(tokens=3)))
    assert call(gateway_house)[0] == 200  # 3 tokens
    until(lambda: call(gateway_house)[1].get("afterlaunch-reason") == "route-tokens-limit", 3)


def test_an_answer_is_given_again_to_the_same_request_only(gateway_house: House) -> None:
    handled(gateway_house, Handling(cache_seconds=60))
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    first, again = call(gateway_house), call(gateway_house)
    assert first[2] == again[2] == ANSWER and "afterlaunch-cache" not in first[1]
    assert again[1]["afterlaunch-cache"] == "hit" and again[1]["content-type"] == "application/json"
    call(gateway_house, afterlaunch_tenant="other")
    call(gateway_house, b'{"model":"gpt-4o","messages":[]}')
    call(gateway_house, cache_control="no-cache")
    assert len(gateway_house.provider.requests) == 4
    gateway_house.provider.answer = lambda _: Canned([b"{}"], status=500)
    assert call(gateway_house, b'{"model":"fails"}')[0] == 500
    gateway_house.provider.answer = lambda _: Canned([EVENT, USAGE, b"data: [DONE]\n\n"], headers=STREAM)
    streams = [call(gateway_house, b'{"stream":true,"model":"m"}') for _ in range(2)]
    assert streams[0][2] == streams[1][2] == EVENT + b"data: [DONE]\n\n"
    assert streams[1][1]["afterlaunch-cache"] == "hit"
    until(lambda: any("afterlaunch.response_cache" in str(span) for _, span in gateway_house.server.spans))


def test_a_cache_that_only_observes_tells_what_it_would_have_given(gateway_house: House) -> None:
    handled(gateway_house, Handling(cache_seconds=60, cache_observe=True))

    def said(text: str, number: int) -> Canned:
        return Canned([orjson.dumps({"id": number, "choices": [{"message": {"content": text}}], "usage": {}})])

    answers = [said("nine to five", 1), said("nine to five", 2), said("nine to five", 1), said("closed", 3)]
    for answer in answers:
        gateway_house.provider.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        _, headers, body = call(gateway_house)
        assert "afterlaunch-cache" not in headers and orjson.loads(body)["id"] == orjson.loads(answer.chunks[0])["id"]
    assert len(gateway_house.provider.requests) == 4
    until(lambda: len(gateway_house.server.attempts()) == 4)
    told = [one.get("afterlaunch.response_cache") for one in gateway_house.server.attempts()]
    assert sorted(str(one) for one in told if one) == [
        "would_hit_differs",
        "would_hit_same_bytes",
        "would_hit_same_text",
    ]


def test_sizes_are_those_of_the_route(gateway_house: House) -> None:
    handled(gateway_house, Handling(largest_request=50, largest_answer=20))
    gateway_house.provider.answer = lambda _: Canned([ANSWER], headers=[(b"content-length", b"%d" % len(ANSWER))])
    assert call(gateway_house)[1]["afterlaunch-reason"] == "request-too-large"
    got, said, _ = call(gateway_house, b'{"model":"m"}')
    assert (got, said["afterlaunch-reason"]) == (502, "answer-too-large")
    gateway_house.provider.answer = lambda _: Canned([ANSWER[:15], ANSWER[15:]], pause=0.05)
    with pytest.raises(Exception, match="IncompleteRead"):
        call(gateway_house, b'{"model":"m"}')


def test_a_caller_who_leaves_is_read_on_for_the_exact_usage(gateway_house: House) -> None:
    handled(gateway_house, Handling(leaving=Leaving("drain", 10)))
    chunks = [EVENT] * 30 + [USAGE, b"data: [DONE]\n\n"]
    gateway_house.provider.answer = lambda _: Canned(chunks, headers=STREAM, pause=0.01)
    leave_early(gateway_house, b'{"stream":true,"model":"m"}', b"data:")
    until(lambda: gateway_house.server.attempts())
    seen = gateway_house.server.attempts()[0]
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("caller-gone", "exact")
    assert seen["gen_ai.usage.output_tokens"] == 3 and gateway_house.provider.aborted == 0


def test_own_headers_can_be_left_out(gateway_house: House) -> None:
    handled(gateway_house, Handling(own_headers=False))
    gateway_house.provider.answer = lambda _: GOOD
    assert not any(name.startswith("afterlaunch-") for name in call(gateway_house)[1])
