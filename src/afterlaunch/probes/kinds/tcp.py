"""A connection over TCP, and what it says first, where that is asked."""

from __future__ import annotations

import time
from typing import Any

from afterlaunch.ground.outbound import connected
from afterlaunch.probes.kinds.kind import Config, Context, host, read, text, whole
from afterlaunch.probes.outcomes import Check, Outcome, Result, failed

FIELDS = {
    "host": host(),
    "port": whole(1, 65_535, needed=True),
    "send": text(1_000, "what is sent after the connection is made"),
    "expect": text(1_000, "text that the answer must begin with or hold"),
}
READ = 4_096


class Tcp:
    name, label = "tcp", "TCP"
    reaches, secrets = ("host", "port"), ()

    def check(self, config: Config) -> dict[str, Any]:
        return read(config, FIELDS)

    def subject(self, config: Config) -> str:
        return f"{config['host']}:{config['port']}"

    def run(self, config: Config, context: Context) -> Outcome:
        began = time.monotonic()
        with connected(config["host"], config["port"], context.seconds, context.trusted) as line:
            made = (time.monotonic() - began) * 1_000
            if not config["expect"]:
                return Outcome(Result.OK, milliseconds=made)
            if config["send"]:
                line.send(config["send"].encode())
            said = line.receive(READ, config["expect"].encode()).decode("utf-8", "replace")
        found = config["expect"] in said
        check = Check("expect", found, f"It {'says' if found else 'does not say'} what is expected.")
        if found:
            return Outcome(Result.OK, milliseconds=made, checks=[check])
        return failed("assertion", check.said, made, checks=[check], answer=said[:500])
