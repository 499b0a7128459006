"""One tree of errors. Each says whose fault it is and what the caller may do.

    AfterlaunchError
    ├── Invalid            400  the request is wrong: mend it, do not retry
    ├── NotSignedIn        401  credentials are missing or wrong
    ├── NotAllowed         403  this actor may not do this
    ├── NotFound           404  it does not exist, or not for this actor
    ├── Conflict           409  the state has moved on: read again
    ├── TooLarge           413  split it
    ├── Unsupported        415  another content type or encoding
    └── Overloaded         503  retry after `retry_after` seconds
        ├── RateLimited    429  this sender alone is too fast: retry after `retry_after` seconds
        ├── Unavailable    503  a store or a neighbour is down: retry after `retry_after` seconds
        └── TimedOut       504  it took too long: retry after `retry_after` seconds, repeating it is safe

`app.problems` turns them into RFC 9457 documents; `telemetry.answers` into google.rpc.Status.
"""

from __future__ import annotations


class AfterlaunchError(Exception):
    """`message` says what is wrong; `hint` says how to mend it."""

    status = 500
    code = "error"
    retryable = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Invalid(AfterlaunchError):
    status, code = 400, "invalid"


class NotSignedIn(AfterlaunchError):
    status, code = 401, "not_signed_in"


class NotAllowed(AfterlaunchError):
    status, code = 403, "not_allowed"


class NotFound(AfterlaunchError):
    status, code = 404, "not_found"


class Conflict(AfterlaunchError):
    status, code = 409, "conflict"


class TooLarge(AfterlaunchError):
    status, code = 413, "too_large"


class Unsupported(AfterlaunchError):
    status, code = 415, "unsupported"


class Overloaded(AfterlaunchError):
    status, code, retryable = 503, "overloaded", True

    def __init__(self, message: str, hint: str = "", retry_after: int = 2) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    status, code = 429, "rate_limited"


class Unavailable(Overloaded):
    code = "unavailable"


class TimedOut(Overloaded):
    status, code = 504, "timed_out"
