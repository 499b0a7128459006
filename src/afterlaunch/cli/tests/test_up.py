"""What somebody who starts it is told."""

import socket

import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app


@pytest.mark.parametrize("flag", ["--port", "--gateway-port"])
def test_a_port_that_is_taken_is_named_before_anything_starts(flag: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        rest = ["--gateway-port", "0"] if flag == "--port" else ["--port", "0"]
        done = CliRunner().invoke(app, ["up", flag, port, *rest])
    assert done.exit_code == 2
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.output and flag in done.output
