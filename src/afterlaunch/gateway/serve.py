"""Starts the gateway's process."""

from __future__ import annotations

import logging

import uvicorn

from afterlaunch.gateway.application import Gateway
from afterlaunch.gateway.server_link import link_from
from afterlaunch.ground import clock
from afterlaunch.ground.redaction import Masking
from afterlaunch.ground.settings import settings


class _NoteOfCut(logging.Filter):
    """A stream that the upstream cut is left unfinished on purpose; uvicorn would call that an error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "without completing response" not in record.getMessage()


def config(gateway: Gateway, host: str, port: int) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_NoteOfCut())
    return uvicorn.Config(
        gateway,
        host=host,
        port=port,
        http="httptools",
        loop="auto",  # uvloop where it is installed
        lifespan="on",
        interface="asgi3",
        access_log=False,
        log_config=None,  # ours, which keeps secrets out
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
        ws="none",
        backlog=4096,
    )


def main(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    chosen = settings()
    lines = logging.StreamHandler()
    lines.setFormatter(Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=chosen.text("LOG_LEVEL"), handlers=[lines])
    clock.use(clock.from_setting(chosen.text("CLOCK")))
    gateway = Gateway(link_from(chosen), chosen.data / "gateway")
    uvicorn.Server(config(gateway, host, port)).run()
