"""What kind of failure it was and whose fault (telemetry conventions §8). Pure; called for failed spans only."""

from __future__ import annotations

import re

FAULTS = {
    "rate_limited": "provider",
    "quota_exhausted": "account",
    "overloaded": "provider",
    "provider_error": "provider",
    "timeout": "provider",
    "network": "network",
    "auth": "account",
    "model_not_found": "caller",
    "context_length": "caller",
    "content_filter": "model policy",
    "invalid_request": "caller",
    "tool_error": "tool",
    "retrieval_error": "retrieval",
    "cancelled": "user",
    "application": "application",
    "unknown": "unknown",
}
# The body refines the status: looked for first.
_WORDS = (
    ("quota_exhausted", ("insufficient_quota", "billing_hard_limit_reached", "credit balance")),
    ("context_length", ("context_length_exceeded", "prompt is too long", "maximum context length")),
    ("content_filter", ("content_policy_violation", "responsibleaipolicyviolation", "content_filter")),
)
_TYPES = {
    "ratelimiterror": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limit_exceeded": "rate_limited",
    "throttlingexception": "rate_limited",
    "resource_exhausted": "rate_limited",
    "toomanyrequests": "rate_limited",
    "overloaded_error": "overloaded",
    "overloadederror": "overloaded",
    "serviceunavailableerror": "overloaded",
    "modelnotreadyexception": "overloaded",
    "api_error": "provider_error",
    "internalservererror": "provider_error",
    "server_error": "provider_error",
    "timeout": "timeout",
    "timeouterror": "timeout",
    "apitimeouterror": "timeout",
    "deadline_exceeded": "timeout",
    "readtimeout": "timeout",
    "connecttimeout": "timeout",
    "apiconnectionerror": "network",
    "connectionerror": "network",
    "connecterror": "network",
    "upstream_connect": "network",
    "upstream_cut": "provider_error",
    "authenticationerror": "auth",
    "authentication_error": "auth",
    "permissiondeniederror": "auth",
    "permission_error": "auth",
    "invalid_api_key": "auth",
    "notfounderror": "model_not_found",
    "not_found_error": "model_not_found",
    "model_not_found": "model_not_found",
    "badrequesterror": "invalid_request",
    "invalid_request_error": "invalid_request",
    "validationexception": "invalid_request",
    "unprocessableentityerror": "invalid_request",
    "cancellederror": "cancelled",
    "cancelled": "cancelled",
    "caller_gone": "cancelled",
}
_STATUS = {401: "auth", 402: "quota_exhausted", 403: "auth", 404: "model_not_found", 408: "timeout"}
_STATUS |= {
    413: "context_length",
    429: "rate_limited",
    499: "cancelled",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_CODE = re.compile(r"[Ee]rror code: (\d{3})")
_BY_POSITION = {"tool": "tool_error", "retrieval": "retrieval_error", "rerank": "retrieval_error"}


def classify(op_kind: str, http_status: int | None, error_type: str | None, message: str | None) -> tuple[str, str]:
    """(error_kind, fault) by the order of evidence: words of the body, HTTP status, error type, position."""
    text = f"{message or ''} {error_type or ''}".lower()
    for kind, words in _WORDS:
        if any(word in text for word in words):
            return kind, FAULTS[kind]
    found = _by_status(http_status, message) or _by_type(error_type, message) or _BY_POSITION.get(op_kind)
    kind = found or ("application" if error_type or message else "unknown")
    return kind, FAULTS[kind]


def _by_status(http_status: int | None, message: str | None) -> str | None:
    status = http_status
    if (status is None or status < 400) and message and (told := _CODE.search(message)):
        status = int(told.group(1))
    if status is None or status < 400:
        return None
    return _STATUS.get(status) or ("invalid_request" if status < 500 else "provider_error")


def _by_type(error_type: str | None, message: str | None) -> str | None:
    for candidate in (error_type, (message or "").partition(":")[0]):
        if candidate and (kind := _TYPES.get(candidate.rpartition(".")[2].strip().lower())):
            return kind
    return None
