"""What senders of telemetry are told when it does not go well: google.rpc.Status over HTTP and gRPC. Pure.

| HTTP | gRPC | retried by the standard |
|---|---|---|
| 400, 405, 415, 401, 403, 404 | INVALID_ARGUMENT, UNIMPLEMENTED, UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND | no |
| 413 | RESOURCE_EXHAUSTED without RetryInfo | no |
| 429 | RESOURCE_EXHAUSTED with RetryInfo | yes |
| 503, 504 | UNAVAILABLE, DEADLINE_EXCEEDED, with RetryInfo | yes |

What may pass by itself is a 503. What would not, and is a fault of ours, is a 400 with a dead letter. 500 is not meant.

Source: OTLP specification 1.x, sections "Failures" and "OTLP/gRPC Throttling".
"""

from __future__ import annotations

import re

from google.protobuf.json_format import MessageToJson
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from afterlaunch.ground.errors import AfterlaunchError, Overloaded

# HTTP status to the number of the gRPC status code.
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 12, 429: 8, 500: 13, 503: 14, 504: 4}
UNKNOWN = 2
_FIELD = re.compile(r"(?P<field>\w+(?:\[\d+\]|\.\w+)+): (?P<why>.+)", re.S)


def status_of(problem: AfterlaunchError) -> Status:
    """With BadRequest where the request is wrong, naming its field if the message does; with RetryInfo where sending
    it again may help."""
    text = " ".join((problem.message, problem.hint)).strip()
    made = Status(code=CODES.get(problem.status, UNKNOWN), message=text)
    if isinstance(problem, Overloaded):
        retry = RetryInfo()
        retry.retry_delay.FromSeconds(problem.retry_after)
        made.details.add().Pack(retry)
    elif problem.status == 400:
        found = _FIELD.match(problem.message)
        bad = BadRequest()
        bad.field_violations.add(
            field=found["field"] if found else "", description=found["why"] if found else problem.message
        )
        made.details.add().Pack(bad)
    return made


def encoded(status: Status, json: bool) -> bytes:
    return MessageToJson(status, indent=None).encode() if json else status.SerializeToString()
