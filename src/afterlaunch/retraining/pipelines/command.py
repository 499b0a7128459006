"""A command on the engine's machine, such as `mlflow run`; only where the machine's owner switched commands on.

It is started apart from the engine, in a folder of its own, by `runner`, which writes down how it ended: an engine that
starts anew finds it there. Its standard output's last line may be the result as JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.ground.settings import settings
from afterlaunch.retraining.pipelines.words import FAILED, RUNNING, SUCCEEDED, Ask, NotTaken, Order, Seen, Started

ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "VIRTUAL_ENV", "SSL_CERT_FILE")
RESULT = 64 << 10  # bytes of the last line


class Command:
    repeatable = True

    def start(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order) -> Started:
        if not settings()["RETRAINING_COMMANDS"]:
            raise NotTaken("Commands are switched off on this machine (AFTERLAUNCH_RETRAINING_COMMANDS).")
        folder = _folder(order)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (folder / "output").exists():
            return Started(order.key)  # it was started before
        (folder / "order.json").write_bytes(orjson.dumps(order.told))
        given = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        given |= {"AFTERLAUNCH_KEY": order.key, "AFTERLAUNCH_CALLBACK": order.callback}
        given |= {"AFTERLAUNCH_ORDER": str(folder / "order.json")}
        runner = Path(__file__).with_name("runner.py")
        with (folder / "output").open("xb") as output:
            subprocess.Popen(  # noqa: S603 - an administrator of the house wrote it, and the owner allows commands
                [sys.executable, "-I", str(runner), str(folder), *config["argv"]],
                cwd=config.get("folder") or folder,
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Started(order.key)

    def look(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order, external: str) -> Seen | None:
        folder = _folder(order)
        if not folder.is_dir():
            return None  # another machine's engine started it
        try:
            code = int((folder / "ended").read_text())
        except FileNotFoundError:
            return Seen(RUNNING, "", external)
        last = _last_line(folder / "output")
        if code:
            return Seen(FAILED, f"It ended with {code}: {last[-300:]}", external)
        return Seen(SUCCEEDED, "It ended with 0.", external, result=_result(last))


def _folder(order: Order) -> Path:
    return settings().data / "retraining" / order.key


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - RESULT))
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _result(line: str) -> dict[str, Any]:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
