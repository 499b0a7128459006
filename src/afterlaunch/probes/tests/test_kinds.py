"""Each kind of probe against real servers on loopback."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.probes.kinds import KINDS, Context
from afterlaunch.probes.kinds.kind import tried
from afterlaunch.probes.outcomes import ADVICE, Outcome, Result
from afterlaunch.probes.tests.servers import Authority, Said, free_port, name_server, tcp, web

pytestmark = pytest.mark.usefixtures("loopback_allowed")


def run(kind: str, seconds: float = 5.0, trusted: bool = True, **config: Any) -> Outcome:
    one = KINDS[kind]
    found = tried(one, one.check(config), Context(seconds, trusted, clock.now()))
    assert found.reason == "ok" or found.reason in ADVICE
    return found


# -- HTTP ------------------------------------------------------------------------------------------------------------


def test_an_answer_with_the_right_status_and_body_is_ok() -> None:
    with web(lambda _: Said(body=b'{"data": [{"state": "ready"}]}')) as site:
        found = run(
            "http",
            url=site.url,
            assertions=[
                {"kind": "contains", "text": "READY", "ignore_case": True},
                {"kind": "json_path", "path": "$.data[0].state", "equals": "ready"},
                {"kind": "json_schema", "schema": {"type": "object", "required": ["data"]}},
                {"kind": "latency", "max_ms": 5_000},
            ],
        )
    assert found.result is Result.OK and len(found.checks) == 5 and found.milliseconds is not None


@pytest.mark.parametrize(
    ("status", "told", "ok"),
    [(200, "200-299", True), (404, "200-299", False), (404, "404", True), (204, "200, 204", True), (301, "301", True)],
)
def test_statuses_that_are_fine_are_named(status: int, told: str, ok: bool) -> None:
    with web(lambda _: Said(status, b"")) as site:
        assert (run("http", url=site.url, status=told).result is Result.OK) == ok


def test_which_assertion_failed_is_said_with_the_beginning_of_the_answer() -> None:
    with web(lambda _: Said(body=b"we are closed, key sk-verysecretkey99")) as site:
        found = run("http", url=site.url, assertions=[{"kind": "contains", "text": "open"}])
    assert found.result is Result.FAIL and found.reason == "assertion" and "open" in found.said
    assert "closed" in found.answer and "verysecret" not in found.answer


def test_redirects_are_followed_and_credentials_stay_with_their_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_TOKEN", "hidden")
    with web() as other, web(lambda asked: Said(302, b"", {"Location": f"{other.url}/there"})) as site:
        found = run("http", url=site.url, bearer="env:PROBE_TOKEN")
        assert found.result is Result.OK and found.facts["status"] == 200
        assert site.asked[0].headers["authorization"] == "Bearer hidden"
        assert "authorization" not in other.asked[0].headers and other.asked[0].path == "/there"


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with web(lambda _: Said(302, b"", {"Location": "http://10.1.2.3/inside"})) as site:
        assert run("http", url=site.url).reason == "address_refused"


def test_redirects_in_a_circle_end() -> None:
    with web(lambda asked: Said(302, b"", {"Location": asked.path})) as site:
        found = run("http", url=site.url)
    assert (found.result, found.reason) == (Result.FAIL, "redirects") and len(site.asked) == 6


def test_redirects_that_are_not_followed_are_answers() -> None:
    with web(lambda _: Said(302, b"", {"Location": "/x"})) as site:
        assert run("http", url=site.url, follow=False, status="302").result is Result.OK


@pytest.mark.parametrize("said", [Said(slow=3), Said(body=b"x" * 500, drip=0.05)])
def test_one_that_is_slow_fails_in_time(said: Said) -> None:
    with web(lambda _: said) as site:
        found = run("http", seconds=0.4, url=site.url)
    assert (found.result, found.reason) == (Result.FAIL, "timed_out") and (found.milliseconds or 0) < 2_000


def test_one_that_is_not_there_fails() -> None:
    assert run("http", url=f"http://127.0.0.1:{free_port()}").reason == "unreachable"


def test_a_credential_that_is_missing_is_no_failure_of_the_system() -> None:
    with web() as site:
        found = run("http", url=site.url, bearer="env:NOT_SET_ANYWHERE")
    assert (found.result, found.reason) == (Result.NOT_RUN, "credential") and not site.asked


def test_what_nobody_vouched_for_stays_public() -> None:
    with web() as site:
        found = run("http", trusted=False, url=site.url)
    assert (found.result, found.reason) == (Result.NOT_RUN, "address_refused") and not site.asked


def test_a_post_sends_its_body() -> None:
    with web() as site:
        run("http", url=site.url, method="POST", body="ping", headers={"Content-Type": "text/plain"})
    assert (site.asked[0].method, site.asked[0].body) == ("POST", b"ping")


# -- TCP -------------------------------------------------------------------------------------------------------------


def test_a_port_that_accepts_is_ok() -> None:
    with tcp() as port:
        assert run("tcp", host="127.0.0.1", port=port).result is Result.OK
    assert run("tcp", host="127.0.0.1", port=free_port()).reason == "unreachable"


def test_what_it_says_can_be_expected() -> None:
    with tcp(b"220 mail ready\r\n") as port:
        assert run("tcp", host="127.0.0.1", port=port, expect="220").result is Result.OK
        assert run("tcp", host="127.0.0.1", port=port, send="hello", expect="echo hello").result is Result.OK
        assert run("tcp", seconds=0.5, host="127.0.0.1", port=port, expect="554").reason == "timed_out"


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("root"))


def tls(authority: Authority, host: str, left: timedelta, **config: Any) -> Outcome:
    with tcp(context=authority.server(host, left)) as port:
        given = {"ca": f"file:{authority.file}", "server_name": "site.test", **config}
        return run("tls", host="127.0.0.1", port=port, **given)


def test_a_good_certificate_tells_its_days(authority: Authority) -> None:
    found = tls(authority, "site.test", timedelta(days=40))
    assert found.result is Result.OK and 39 < found.facts["days_left"] < 41
    assert found.facts["issuer"] == "A root of tests"


@pytest.mark.parametrize(
    ("host", "days", "config", "reason"),
    [
        ("site.test", 10, {}, "expires"),
        ("site.test", -3, {}, "expired"),
        ("other.test", 40, {}, "wrong_name"),
        ("site.test", 40, {"ca": ""}, "not_trusted"),
        ("site.test", 40, {"days": 60}, "expires"),
    ],
)
def test_a_bad_certificate_says_what_is_bad(
    authority: Authority, host: str, days: int, config: dict[str, Any], reason: str
) -> None:
    found = tls(authority, host, timedelta(days=days), **config)
    assert (found.result, found.reason) == (Result.FAIL, reason), found.said
    assert "days_left" in found.facts


def test_what_speaks_no_tls_is_said_so(authority: Authority) -> None:
    with tcp(b"220 plain\r\n") as port:
        assert run("tls", host="127.0.0.1", port=port).reason == "not_tls"


# -- DNS -------------------------------------------------------------------------------------------------------------

RECORDS = {
    ("api.example.org", "A"): ["203.0.113.7", "203.0.113.8"],
    ("example.org", "MX"): ["10 Mail.example.org."],
    ("example.org", "TXT"): ['"v=spf1 " "-all"'],
}


@pytest.mark.parametrize(
    ("name", "kind", "config", "reason"),
    [
        ("api.example.org", "A", {}, "ok"),
        ("api.example.org", "A", {"expect": ["203.0.113.7"]}, "ok"),
        ("api.example.org", "A", {"expect": ["203.0.113.7"], "how": "exactly"}, "wrong_record"),
        ("api.example.org", "A", {"expect": "203.0.113.8, 203.0.113.7", "how": "exactly"}, "ok"),
        ("api.example.org", "A", {"expect": ["192.0.2.1"]}, "wrong_record"),
        ("example.org", "MX", {"expect": ["10 mail.example.org."]}, "ok"),
        ("example.org", "TXT", {"expect": ["v=spf1 -all"]}, "ok"),
        ("example.org", "AAAA", {}, "no_record"),
        ("nowhere.example.org", "A", {}, "no_record"),
    ],
)
def test_a_record_is_what_it_should_be(name: str, kind: str, config: dict[str, Any], reason: str) -> None:
    with name_server(RECORDS) as port:
        found = run("dns", name=name, type=kind, server="127.0.0.1", port=port, **config)
    assert found.reason == reason, found.said


def test_a_name_server_that_fails_or_is_silent_is_a_failure() -> None:
    with name_server(RECORDS, rcode=2) as port:
        assert run("dns", name="api.example.org", server="127.0.0.1", port=port).reason == "name_server"
    with name_server(RECORDS, answers=False) as port:
        found = run("dns", seconds=0.5, name="api.example.org", server="127.0.0.1", port=port)
        assert (found.result, found.reason) == (Result.FAIL, "timed_out")


# -- what can't be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("http", {}),
        ("http", {"url": "ftp://x.example"}),
        ("http", {"url": "https://me:pw@x.example"}),
        ("http", {"url": "https://x.example:99999"}),
        ("http", {"url": "https://x.example", "headers": {"Authorization": "Bearer x"}}),
        ("http", {"url": "https://x.example", "headers": {"X-A": "a\r\nX-B: b"}}),
        ("http", {"url": "https://x.example", "body": "x"}),
        ("http", {"url": "https://x.example", "bearer": "secret"}),
        ("http", {"url": "https://x.example", "status": "ok"}),
        ("http", {"url": "https://x.example", "nonsense": 1}),
        ("http", {"url": "https://x.example", "assertions": [{"kind": "matches", "pattern": "("}]}),
        ("tcp", {"host": "a/b", "port": 1}),
        ("tcp", {"host": "a", "port": 0}),
        ("tls", {"host": "a", "days": -1}),
        ("dns", {"name": "a..b"}),
        ("dns", {"name": "example.org", "type": "AXFR"}),
        ("dns", {"name": "example.org", "how": "exactly"}),
        ("golden", {"prompt": "x"}),
        ("golden", {"prompt": "x", "route": "a", "url": "https://x.example", "model": "m"}),
        ("golden", {"prompt": "x", "url": "https://x.example"}),
        ("golden", {"prompt": "x", "url": "https://x.example", "model": "m", "credential": "sk-abc"}),
    ],
)
def test_what_makes_no_sense_is_refused(kind: str, config: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        KINDS[kind].check(config)
