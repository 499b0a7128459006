"""What the demo takes from the machine it runs on: ports and environment variables, and no more than it must."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

# A shell that is set up for a real installation, real providers or a proxy must not leak into the play.
FOREIGN = ("AFTERLAUNCH_", "OTEL_", "OPENAI_", "ANTHROPIC_", "TRACELOOP_")
LOOPBACK = "127.0.0.1,localhost"
TRIES = 50


def free_port(wanted: int | None = None) -> int:
    """`wanted` or the next one above it that nobody listens on; None: any."""
    for port in range(wanted, wanted + TRIES) if wanted else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError(f"no port from {wanted} to {(wanted or 0) + TRIES - 1} is free: choose another with --port")


def settle(variables: Mapping[str, str]) -> None:
    """Take everything foreign out of the environment, for us and for the processes we start, and put ours in."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    os.environ.update(variables)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = LOOPBACK
