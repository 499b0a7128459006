"""What a caller sees and what a provider sees."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from afterlaunch.gateway.tests.house import KEY, OTHER_KEY, Canned, House, until

STREAM = [(b"content-type", b"text/event-stream")]
BODY = b'{ "model" : "gpt-4o", "messages":[{"role":"user","content":"h\\u00e9 \\"model\\":1"}] ,"x_unknown": 1.50e3 }'
ANSWER = b'{"id":"chatcmpl-1","model":"gpt-4o-2024","x":1.0e2,"usage":{"prompt_tokens":3,"completion_tokens":0}}'


def call(
    house: House, body: bytes = BODY, path: str = "/v1/chat/completions", key: str = KEY, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(house.url).netloc, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, {"authorization": f"Bearer {key}", **named})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_both_bodies_pass_unchanged_and_the_callers_key_stays_here(gateway_house: House) -> None:
    headers = [(b"content-type", b"application/json"), (b"x-request-id", b"req_9"), (b"x-ratelimit-limit", b"5")]
    gateway_house.provider.answer = lambda _: Canned([ANSWER[:9], ANSWER[9:]], headers=headers)
    status, said, body = call(gateway_house, path="/v1/chat/completions?beta=true", x_custom="kept", te="trailers")
    assert (status, body) == (200, ANSWER)
    assert said["x-request-id"] == "req_9" and said["x-ratelimit-limit"] == "5"
    assert said["afterlaunch-arm"] == "baseline" and len(said["afterlaunch-call-id"]) == 32
    seen = gateway_house.provider.requests[0]
    assert (seen.body, seen.path, seen.query) == (BODY, "/v1/chat/completions", "beta=true")
    assert seen.headers["authorization"] == "Bearer sk-of-the-house"
    assert seen.headers["accept-encoding"] == "identity" and seen.headers["x-custom"] == "kept"
    assert "te" not in seen.headers and KEY not in json.dumps(seen.headers)


def test_an_arms_model_replaces_only_the_models_own_bytes(gateway_house: House) -> None:
    gateway_house.publish(baseline_model="gpt-5-mini")
    call(gateway_house)
    assert gateway_house.provider.requests[0].body == BODY.replace(b'"gpt-4o"', b'"gpt-5-mini"')


def test_a_stream_without_usage_is_asked_for_it_and_the_extra_event_is_withheld(gateway_house: House) -> None:
    first = (
        b'data: {"id":"c","choices":[{"delta":{"content":"hi \\"usage\\":{"},"finish_reason":null}],"usage":null}\n\n'
    )
    extra = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'
    done = b"data: [DONE]\n\n"
    gateway_house.provider.answer = lambda _: Canned(
        [first[:30], first[30:] + extra[:20], extra[20:], done], headers=STREAM
    )
    status, _, body = call(gateway_house, b'{"stream":true,"model":"m"}')
    assert (status, body) == (200, first + done)
    assert json.loads(gateway_house.provider.requests[0].body)["stream_options"] == {"include_usage": True}
    until(lambda: gateway_house.server.attempts())
    seen = gateway_house.server.attempts()[0]
    assert (seen["gen_ai.usage.input_tokens"], seen["gen_ai.usage.output_tokens"]) == (7, 2)


def test_a_caller_who_asked_for_usage_gets_the_event(gateway_house: House) -> None:
    stream = [b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n', b"data: [DONE]\n\n"]
    gateway_house.provider.answer = lambda _: Canned(stream, headers=STREAM)
    asked = b'{"stream":true,"stream_options":{"include_usage":true},"model":"m"}'
    assert call(gateway_house, asked)[2] == b"".join(stream)
    assert gateway_house.provider.requests[0].body == asked


def test_an_upstream_that_does_not_know_stream_options_is_asked_again_without(gateway_house: House) -> None:
    def answer(request: object) -> Canned:
        if b"stream_options" in request.body:  # type: ignore[attr-defined]
            return Canned([b'{"error":{"message":"unknown field stream_options"}}'], status=400)
        return Canned([b"data: [DONE]\n\n"], headers=STREAM)

    gateway_house.provider.answer = answer
    for _ in range(2):
        assert call(gateway_house, b'{"stream":true,"model":"m"}')[0] == 200
    assert [b"stream_options" in seen.body for seen in gateway_house.provider.requests] == [True, False, False]
    until(lambda: len(gateway_house.server.attempts()) == 3)
    assert [a["afterlaunch.usage_state"] for a in gateway_house.server.attempts()] == ["unknown"] * 3


def test_refusals_speak_the_protocol_and_name_their_reason(gateway_house: House) -> None:
    status, said, body = call(gateway_house, key="al_k1_wrong")
    assert (status, said["afterlaunch-reason"]) == (401, "key-unknown")
    assert json.loads(body)["error"]["type"] == "authentication_error"
    status, said, body = call(gateway_house, path="/v1/messages", key="sk-other")
    assert (status, json.loads(body)["type"]) == (401, "error")
    assert call(gateway_house, afterlaunch_route="secret")[1]["afterlaunch-reason"] == "route-not-allowed"
    assert call(gateway_house, path="/r/secret/v1/chat/completions")[0] == 403
    assert call(gateway_house, path="/admin")[0] == 404
    tenant = call(gateway_house, key=OTHER_KEY, afterlaunch_tenant="u2")
    assert (tenant[0], tenant[1]["afterlaunch-reason"]) == (403, "tenant-not-allowed")
    assert not gateway_house.provider.requests


def test_a_providers_error_passes_as_it_is_and_is_reported(gateway_house: House) -> None:
    error = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}'
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"3")]
    gateway_house.provider.answer = lambda _: Canned([error], status=429, headers=headers)
    status, said, body = call(gateway_house)
    assert (status, body, said["retry-after"]) == (429, error, "3")
    assert "afterlaunch-reason" not in said
    until(lambda: gateway_house.server.attempts())
    seen = gateway_house.server.attempts()[0]
    assert (seen["error.type"], seen["http.response.status_code"]) == ("rate_limit_exceeded", 429)
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("upstream-error", "unknown")


def test_an_unreachable_provider_is_a_502_with_a_reason(gateway_house: House) -> None:
    gateway_house.provider_url = "http://127.0.0.1:1"
    gateway_house.publish()
    status, said, _ = call(gateway_house)
    assert (status, said["afterlaunch-reason"]) == (502, "upstream-unreachable")
    until(lambda: gateway_house.server.attempts())
    assert gateway_house.server.attempts()[0]["error.type"] == "connection_error"


def test_a_stream_that_is_cut_stays_visibly_cut(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([b'data: {"choices":[]}\n\n'], headers=STREAM, cut=True)
    try:
        call(gateway_house, b'{"stream":true,"model":"m"}')
        raise AssertionError("the caller took a cut stream for a whole one")
    except http.client.IncompleteRead as cut:
        assert cut.partial == b'data: {"choices":[]}\n\n'
    until(lambda: gateway_house.server.attempts())
    assert gateway_house.server.attempts()[0]["afterlaunch.call_state"] == "upstream-cut"


def test_other_paths_pass_and_are_counted_but_not_metered(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([b'{"input_tokens":9}'])
    assert call(gateway_house, path="/r/letters/v1/messages/count_tokens")[2] == b'{"input_tokens":9}'
    assert gateway_house.provider.requests[0].headers["x-api-key"] == "sk-of-the-house"
    until(lambda: gateway_house.server.attempts())
    assert "gen_ai.operation.name" not in gateway_house.server.attempts()[0]
