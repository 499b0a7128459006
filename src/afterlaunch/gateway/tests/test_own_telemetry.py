"""Every call arrives as spans, in the caller's trace, also when the server was away for a while."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.gateway.tests.house import Canned, House, attributes, until
from afterlaunch.gateway.tests.test_forwarding import ANSWER, call

TRACE = "0af7651916cd43dd8448eb211c80319c"


def spans(house: House, count: int) -> list[tuple[dict[str, str], Span]]:
    until(lambda: len(house.server.spans) >= count)
    return house.server.spans


def test_a_call_is_a_server_span_and_a_client_span_in_the_callers_trace(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([ANSWER])
    gateway_house.publish(share=10_000, candidate_model="gpt-new")
    said = call(gateway_house, afterlaunch_user="u1", traceparent=f"00-{TRACE}-b7ad6b7169203331-01", baggage="a=b")[1]
    about, server = spans(gateway_house, 2)[0]
    client = spans(gateway_house, 2)[1][1]
    assert about["service.name"] == "afterlaunch-gateway" and about["deployment.environment.name"] == "prod"
    assert (about["afterlaunch.client"], about["afterlaunch.system"]) == ("acme", "helpdesk")
    assert server.trace_id.hex() == client.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == "b7ad6b7169203331" and client.parent_span_id == server.span_id
    assert (server.kind, client.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert server.start_time_unix_nano <= client.start_time_unix_nano < client.end_time_unix_nano
    seen = attributes(client)
    expected = {
        "afterlaunch.gateway": True,
        "afterlaunch.route": "answers",
        "afterlaunch.arm": "candidate",
        "afterlaunch.change": "7",
        "afterlaunch.call_id": said["afterlaunch-call-id"],
        "afterlaunch.epoch": 2,
        "gen_ai.prompt.version": "p2",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-new",
        "gen_ai.response.model": "gpt-4o-2024",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 0,
        "afterlaunch.usage_state": "exact",
        "user.id": "u1",
    }
    assert {key: seen.get(key) for key in expected} == expected
    forwarded = gateway_house.provider.requests[0].headers
    assert not {"traceparent", "baggage", "afterlaunch-user"} & set(forwarded)


def test_a_bad_traceparent_starts_a_trace_of_its_own(gateway_house: House) -> None:
    for bad in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff-" + TRACE + "-b7ad6b7169203331-01", "nonsense"):
        call(gateway_house, traceparent=bad)
    seen = {span.trace_id.hex() for _, span in spans(gateway_house, 6)}
    assert len(seen) == 3 and TRACE not in seen


def test_while_the_server_refuses_spans_wait_on_disk_and_none_is_lost(gateway_house: House) -> None:
    gateway_house.server.trace_status = 503
    for _ in range(20):
        call(gateway_house)
    until(lambda: gateway_house.gateway._exporter.spool_bytes > 0)
    call(gateway_house)
    gateway_house.server.trace_status = 200
    assert len({span.span_id for _, span in spans(gateway_house, 42)}) == 42
    until(lambda: gateway_house.gateway._exporter.spool_bytes == 0)
    assert gateway_house.server.refusals < 10  # Retry-After is honoured


def test_nothing_of_what_was_said_waits_on_disk(gateway_house: House) -> None:
    gateway_house.server.trace_status = 503
    said = b"erika@example.org, 4111 1111 1111 1111"
    gateway_house.provider.answer = lambda _: Canned([ANSWER[:-1] + b',"text":"' + said + b'"}'])
    asked = b'{"model":"gpt-4o","messages":[{"role":"user","content":"' + said + b'"}]}'
    answers = [call(gateway_house, asked)[2] for _ in range(20)]
    assert all(said in answer for answer in answers)
    exporter = gateway_house.gateway._exporter
    until(lambda: exporter.spool_bytes > 0)
    held = b"".join(file.read_bytes() for file in gateway_house.gateway._folder.rglob("*") if file.is_file())
    assert b"chatcmpl-1" in held and b"erika" not in held and b"4111" not in held
