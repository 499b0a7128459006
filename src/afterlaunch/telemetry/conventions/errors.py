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
    "model_output": "model",
    "tool_error": "tool",
    "retrieval_error": "retrieval",
    "guardrail_block": "policy",
    "agent_limit": "application",
    "cancelled": "user",
    "application": "application",
    "unknown": "unknown",
}
# The body refines the status: looked for first.
_WORDS = (
    ("guardrail_block", ("guardrail_block",)),  # the gateway's own word, whatever the status it answered with
    (
        "quota_exhausted",
        ("insufficient_quota", "billing_hard_limit_reached", "credit balance", "billing_not_active", "budgetexceeded"),
    ),
    ("overloaded", ("overloaded_error", "temporarily rate-limited upstream")),
    (
        "context_length",
        ("context_length_exceeded", "prompt is too long", "maximum context length", "contextwindowexceeded"),
    ),
    (
        "content_filter",
        (
            *("content_policy_violation", "responsibleaipolicyviolation", "content_filter", "contentpolicyviolation"),
            "contentfilterfinishreason",
        ),
    ),
)
_TYPES: dict[str, tuple[str, ...]] = {
    "rate_limited": (
        *("ratelimiterror", "rate_limit_error", "rate_limit_exceeded", "throttlingexception", "resource_exhausted"),
        *("toomanyrequests", "toomanyrequestsexception", "resourceexhausted", "429"),
    ),
    "overloaded": (
        *("overloaded_error", "overloadederror", "serviceunavailableerror", "modelnotreadyexception"),
        *("serviceunavailableexception", "serviceunavailable", "503", "529"),
    ),
    "provider_error": (
        *("api_error", "internalservererror", "server_error", "upstream_cut", "apiresponsevalidationerror"),
        *("internalserverexception", "modelerrorexception", "500", "502"),
    ),
    "timeout": (
        *("timeout", "timeouterror", "apitimeouterror", "deadline_exceeded", "readtimeout", "connecttimeout"),
        *("writetimeout", "pooltimeout", "timeoutexception", "modeltimeoutexception", "deadlineexceeded", "504"),
    ),
    "network": (
        *("apiconnectionerror", "connectionerror", "connecterror", "upstream_connect", "readerror", "writeerror"),
        *("remoteprotocolerror", "endpointconnectionerror", "gaierror", "sslerror", "unavailable"),
    ),
    "auth": (
        *("authenticationerror", "authentication_error", "permissiondeniederror", "permission_error"),
        *("invalid_api_key", "accessdeniedexception", "unauthenticated", "permission_denied", "401", "403"),
    ),
    "model_not_found": (*("notfounderror", "not_found_error", "model_not_found", "resourcenotfoundexception", "404"),),
    "context_length": ("contextwindowexceedederror", "request_too_large", "413"),
    "content_filter": ("contentpolicyviolationerror",),
    "invalid_request": (
        *("badrequesterror", "invalid_request_error", "validationexception", "unprocessableentityerror"),
        *("invalid_argument", "400", "422"),
    ),
    "quota_exhausted": ("budgetexceedederror", "402"),
    "model_output": (
        *("outputparserexception", "jsondecodeerror", "unexpectedmodelbehavior", "lengthfinishreasonerror"),
        *("ai_noobjectgeneratederror", "ai_typevalidationerror", "ai_invalidtoolargumentserror", "ai_nosuchtoolerror"),
    ),
    "guardrail_block": (
        *("guardrailtripwiretriggered", "inputguardrailtripwiretriggered", "outputguardrailtripwiretriggered"),
        "guardrailraisedexception",
    ),
    "agent_limit": ("graphrecursionerror", "maxturnsexceeded", "usagelimitexceeded"),
    "cancelled": ("cancellederror", "cancelled", "caller_gone", "aborterror", "clientdisconnect", "499"),
}
_BY_TYPE = {word: kind for kind, words in _TYPES.items() for word in words}
_STATUS = {401: "auth", 402: "quota_exhausted", 403: "auth", 404: "model_not_found", 408: "timeout"}
_STATUS |= {
    413: "context_length",
    429: "rate_limited",
    499: "cancelled",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_GRPC = {1: "cancelled", 3: "invalid_request", 4: "timeout", 5: "model_not_found", 7: "auth", 8: "rate_limited"}
_GRPC |= {13: "provider_error", 14: "network", 16: "auth"}
_CODE = re.compile(r"[Ee]rror code: (\d{3})")
_SAID = (
    ("rate_limited", re.compile(r"rate.?limit|too many requests|throttl", re.IGNORECASE)),
    ("timeout", re.compile(r"timed? ?out|deadline exceeded", re.IGNORECASE)),
    ("network", re.compile(r"connection (?:refused|reset|aborted|error)|name or service not known|ssl", re.IGNORECASE)),
    ("agent_limit", re.compile(r"recursion limit|max(?:imum)? (?:steps|turns|iterations)", re.IGNORECASE)),
)
_BY_POSITION = {
    "tool": "tool_error",
    "retrieval": "retrieval_error",
    "rerank": "retrieval_error",
    "guardrail": "guardrail_block",
}
_LIBRARIES = ("openai.", "anthropic.", "botocore.", "google.", "mistralai.", "cohere.", "httpx.", "litellm.", "groq.")
_MODEL_CALLS = ("inference", "embedding", "rerank")


def classify(
    op_kind: str, http_status: int | None, error_type: str | None, message: str | None, grpc_status: int | None = None
) -> tuple[str, str]:
    """(error_kind, fault) by the order of evidence: words of the body, status, code or class, what was said, place."""
    kind = _kind(op_kind, http_status, error_type, message, grpc_status)
    fault = FAULTS[kind]
    place = _BY_POSITION.get(op_kind)
    # What went wrong inside a tool or a search is no fault of a model's provider.
    return kind, FAULTS[place] if place and fault in ("provider", "network", "account", "caller") else fault


def _kind(
    op_kind: str, http_status: int | None, error_type: str | None, message: str | None, grpc_status: int | None
) -> str:
    text = f"{message or ''} {error_type or ''}".lower()
    for kind, words in _WORDS:
        if any(word in text for word in words):
            return kind
    found = (
        _by_status(http_status, message, op_kind)
        or _GRPC.get(grpc_status or 0)
        or _by_type(error_type, message, op_kind)
        or _by_words(op_kind, message)
        or _BY_POSITION.get(op_kind)
    )
    return found or ("application" if error_type or message else "unknown")


def _by_status(http_status: int | None, message: str | None, op_kind: str) -> str | None:
    """A tool's own HTTP status is not a model provider's."""
    if op_kind in ("tool", "guardrail"):
        return None
    status = http_status
    if (status is None or status < 400) and message and (told := _CODE.search(message)):
        status = int(told.group(1))
    if status is None or status < 400:
        return None
    return _STATUS.get(status) or ("invalid_request" if status < 500 else "provider_error")


def _by_type(error_type: str | None, message: str | None, op_kind: str) -> str | None:
    """Inside a tool or a search a class counts only with the name of a known library before it."""
    for candidate in (error_type, (message or "").partition(":")[0]):
        if candidate and (op_kind not in _BY_POSITION or candidate.startswith(_LIBRARIES)):
            kind = _BY_TYPE.get(candidate.rpartition(".")[2].strip().lower())
            if kind:
                return kind
    return None


def _by_words(op_kind: str, message: str | None) -> str | None:
    """Only a model call's words tell of its provider."""
    if not message or op_kind not in (*_MODEL_CALLS, "agent", "workflow"):
        return None
    return next((kind for kind, said in _SAID if said.search(message)), None)
