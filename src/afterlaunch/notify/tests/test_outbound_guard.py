from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from afterlaunch.ground import settings
from afterlaunch.ground.outbound import Refused, Unreachable, check_address, post
from afterlaunch.notify.tests.fakes import provider


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    settings.reload()
    yield
    monkeypatch.undo()
    settings.reload()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://2130706433/",
        "https://localhost/",
        "http://93.184.216.34/",
        "ftp://93.184.216.34/",
        "https://user:pw@93.184.216.34/",
        "https://:99999/",
    ],
)
def test_private_addresses_and_odd_forms_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_address(url)


def test_the_connection_goes_to_the_address_that_was_checked(
    loopback_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolver(host: str, port: Any, **more: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port))]

    with provider(204) as fake:
        port = int(fake.url.rsplit(":", 1)[1].split("/")[0])
        real_resolver = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *a, **k: resolver(host, *a, **k) if host == "rebind.test" else real_resolver(host, *a, **k),
        )
        assert post(f"http://rebind.test:{port}/hook", b"{}", []).status == 204
        assert asked == ["rebind.test"] and fake.got[0].headers["host"] == f"rebind.test:{port}"


def test_a_redirect_is_an_answer_and_is_not_followed(loopback_allowed: None) -> None:
    with provider(302, Location="http://127.0.0.1:1/elsewhere") as fake:
        assert post(fake.url, b"{}", []).status == 302 and len(fake.got) == 1


def test_a_hanging_provider_is_cut_off(loopback_allowed: None) -> None:
    with provider("hang") as fake:
        began = time.perf_counter()
        with pytest.raises(Unreachable, match="no answer within"):
            post(fake.url, b"{}", [], total=0.5)
        assert time.perf_counter() - began < 5
