"""The demo neither trips over what runs already nor touches what is configured."""

import os
import socket

import pytest

from afterlaunch.demo.surroundings import free_port, settle


def test_a_port_that_is_taken_is_replaced_by_the_next_free_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert taken < free_port(taken) < taken + 50


def test_a_real_installation_in_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AFTERLAUNCH_DATABASE_URL", "OTEL_SDK_DISABLED", "OPENAI_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    settle({"AFTERLAUNCH_DATA": "/tmp/x"})
    kept = {name: value for name, value in os.environ.items() if name.startswith(("AFTERLAUNCH_", "OTEL_", "OPENAI_"))}
    assert kept == {"AFTERLAUNCH_DATA": "/tmp/x"} and "ANTHROPIC_AUTH_TOKEN" not in os.environ
    assert os.environ["NO_PROXY"] == "127.0.0.1,localhost"
