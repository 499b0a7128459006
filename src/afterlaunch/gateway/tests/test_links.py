"""Links of answers lead to named hosts only: however they are written, and wherever an answer is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.contracts.guard_checks import Check
from afterlaunch.gateway.guarding import checks
from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.checks import Seen, redact_of
from afterlaunch.gateway.guarding.links import Hosts
from afterlaunch.gateway.tests.house import House
from afterlaunch.gateway.tests.test_guard import ask, policy, publish, says, streams

CHECK = Check("urls", names=("good.example", "*.docs.example"))
ALLOWED = (
    "no link at all, see a // comment, path/a//b.c and use https: only",
    "see https://good.example.",
    "(https://good.example/a?b=c), **http://GOOD.example:8080/x**",
    "[1](https://good.example)[2](https://a.b.docs.example/x#y)",
    "//good.example/x.png",
    "`https://good.example`",
)
OTHERS = (
    "https://evil.example",
    "![](//evil.example/x.png)",
    "www.evil.example",
    "[1](https://good.example)[2](https://evil.example/x)",
    "https://good.example/?to=https://evil.example",
    "https://good.example@evil.example/",
    "https://evil.example\\@good.example",
    "https://good.example\\@evil.example",
    "https://good.example.evil.example",
    "https://good.example。evil.example",
    "https://good.example,x.evil.example",
    "https://good.example).evil.example",
    "https://good.example" + ")" * 300 + "@evil.example",
    "https://evil.example#.docs.example",
    "https://xdocs.example",
    "https://docs.example",
    "https:/evil.example",
    "https:evil.example",
    "HTTPS:\\\\evil.example",
    "http://%67ood.example",
    "https://[::1]/",
    "ftp://10.0.0.1",
    "slack://evil",
    "https&#58;//evil.example",
)


@pytest.mark.parametrize("text", ALLOWED)
def test_links_to_named_hosts_pass_as_they_are(text: str) -> None:
    assert checks.test_of(CHECK)(Seen([text])) is None
    assert redact_of("p", CHECK)(text) == text


@pytest.mark.parametrize("text", OTHERS)
def test_whatever_leads_elsewhere_is_found_and_replaced_or_told_as_an_exception(text: str) -> None:
    around = f"Look: {text} and https://good.example/kept"
    assert checks.test_of(CHECK)(Seen([around])) == "a link to a host that is not allowed"
    try:
        new = redact_of("p", CHECK)(around)
    except Unreadable as problem:
        assert str(problem) == "hidden-link" and "&" in text
        return
    assert "[redacted: p]" in new and checks.test_of(CHECK)(Seen([new])) is None
    assert new.startswith("Look: ") and new.endswith("and https://good.example/kept")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["https:", "/", "\\", "//", "good.example", "evil.example", "@", ")", "www.", "&#58;",
                                 ".", ",", " ", "[a](", "?u=", "x"]), max_size=25))  # fmt: skip
def test_what_was_redacted_holds_no_link_to_another_host(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        new = redact_of("p", CHECK)(text)
    except Unreadable:
        return
    assert not Hosts(CHECK.names).others(new) and checks.test_of(CHECK)(Seen([new])) is None
    assert (new == text) == (checks.test_of(CHECK)(Seen([text])) is None)


@pytest.mark.parametrize("name", ["https://good.example", "good.example/x", "*", "*.", "a*.example", "", "a b"])
def test_a_name_is_a_host(name: str) -> None:
    assert Check("urls", names=(name,)).wrong() is not None
    assert CHECK.wrong() is None and Check("urls").wrong() is not None


BAD = "Read https://evil.example/?q=secret now"


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_answers_and_streams_with_another_link_are_denied_or_redacted(gateway_house: House, cut: int) -> None:
    pieces = [BAD[at : at + cut] for at in range(0, len(BAD), cut)]
    check = {"kind": "urls", "names": ["good.example"]}
    for answer, more in ((says(BAD), {}), (streams(*pieces), {"stream": True})):
        body: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **more}
        gateway_house.provider.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        publish(gateway_house, policy("response", "deny", check, stream="buffer"))
        status, said, _ = ask(gateway_house, body)
        assert (status, said["afterlaunch-reason"]) == (403, "guard-denied")
        gateway_house.provider.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        publish(gateway_house, policy("response", "redact", check, stream="buffer"))
        status, _, read = ask(gateway_house, body)
        assert status == 200 and b"evil" not in read
        events = [line[6:] for line in read.splitlines() if line.startswith(b"data: {")] or [read]
        choices = [json.loads(one)["choices"][0] for one in events]
        told = "".join((one.get("delta") or one["message"])["content"] for one in choices)
        assert told == "Read [redacted: p] now"
