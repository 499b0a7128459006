"""What comes of trying something once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """`NOT_RUN`: we could not try. That is no telemetry, never a failure of what is probed."""

    OK = "ok"
    FAIL = "fail"
    NOT_RUN = "not_run"


@dataclass(frozen=True)
class Check:
    """One assertion on an answer, and what it found."""

    kind: str
    ok: bool
    said: str


@dataclass(frozen=True)
class Outcome:
    """`reason` is a name (a key of ADVICE where something can be done); `said` a sentence. `facts`: small figures of
    the kind's own (status, days left, tokens). `answer`: the beginning of what was answered. `cost_nano` None: not
    known; 0 only where nothing was bought."""

    result: Result
    reason: str = "ok"
    said: str = ""
    milliseconds: float | None = None
    checks: Sequence[Check] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    answer: str = ""
    cost_nano: int | None = 0


ADVICE = {
    "address_refused": "An administrator of the house must declare it, and its network must stand in"
    " AFTERLAUNCH_OUTBOUND_ALLOW; elsewhere use a public address.",
    "unreachable": "Is it up, and does a firewall let this server reach it? Try curl from this machine.",
    "timed_out": "It takes longer than the probe waits: see what keeps it, or raise the time limit.",
    "credential": "Mend the reference, or set what it names where the server runs.",
    "not_let_in": "It wants a credential, or another one.",
    "status": "See its own log.",
    "redirects": "It leads on and on, or to an address that may not be called.",
    "assertion": "The answer came, and was not what it should be: see the assertions.",
    "expires": "Renew the certificate, and see why it was not renewed by itself.",
    "not_trusted": "The chain does not lead to a root that is trusted here: send the intermediate certificates too.",
    "wrong_name": "The certificate is for other names.",
    "expired": "Renew the certificate.",
    "not_tls": "What answers speaks no TLS: check the port.",
    "no_record": "The name server has no such record.",
    "wrong_record": "The records differ from what is expected: was it changed on purpose?",
    "name_server": "The name server did not answer well: try another, or see its log.",
    "too_large": "It answers more than a probe reads.",
    "gateway": "Is the gateway up, and has it the newest configuration?",
    "cap": "Its spending for today is used up. Raise the cap, or probe less often.",
    "no_answer_text": "The endpoint answered, but not in the protocol that the probe speaks.",
    "provider": "The provider refused the call or failed: see the message.",
    "our_fault": "This is a fault of the server: see its log.",
}


def failed(reason: str, said: str, milliseconds: float | None = None, **more: Any) -> Outcome:
    return Outcome(Result.FAIL, reason, said, milliseconds, **more)


def not_run(reason: str, said: str) -> Outcome:
    return Outcome(Result.NOT_RUN, reason, said)
