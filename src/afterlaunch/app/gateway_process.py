"""The gateway beside `up`: a child process, started again when it dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

from afterlaunch.ground.settings import settings

log = logging.getLogger(__name__)
FLUSH_SECONDS = 15.0  # for its telemetry, after the calls have ended
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)


class GatewayProcess:
    """Runs `python -m afterlaunch serve gateway` with this process's environment."""

    def __init__(self, host: str, port: int) -> None:
        self._command = [sys.executable, "-m", "afterlaunch", "serve", "gateway", "--host", host, "--port", str(port)]
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="gateway-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def stop(self) -> None:
        self._stop.set()
        child = self._child
        if child and child.poll() is None:
            child.terminate()
            try:
                child.wait(timeout=float(settings()["GATEWAY_DRAIN_SECONDS"]) + FLUSH_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        deaths = 0
        while not self._stop.is_set():
            self._child = subprocess.Popen(self._command, env=os.environ.copy())  # noqa: S603 - our own command
            code = self._child.wait()
            if self._stop.is_set():
                return
            pause = PAUSES[min(deaths, len(PAUSES) - 1)]
            log.error("the gateway ended with code %s; starting it again in %s s", code, pause)
            deaths += 1
            self._stop.wait(pause)
