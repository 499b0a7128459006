"""Which attributes and events carry what people, models and tools said.

By how the names of all dialects end, since new ones end alike; by a few whole names and families; and whatever is long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

LONGEST = 2048
"""Characters. No name, id or parameter is longer; a stack trace is, and stays."""

_ENDS = re.compile(
    r"(^|[._])(args|arguments|choices|completions?|contents?|inputs?|instructions|messages|object|outputs?|prompts?"
    r"|query|requests?_?data|response_?data|results?|spanInputs|spanOutputs|template|text|toolCalls|transcript|value"
    r"|variables)$"
)
_WHOLE = frozenset(
    (
        "all_messages_events",
        "events",
        "final_result",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gen_ai.tool.definitions",
        "llm.function_call",
        "tool.parameters",
        "tool_response",
    )
)
_FAMILY = re.compile(
    r"(gen_ai\.prompt\.variable\.|llm\.(tools|request\.functions)\.|retrieval\.documents\.\d+\.document\.metadata$)"
)
_MAY_BE_LONG = ("exception.", "gen_ai.retrieval.documents")  # the latter: ids and scores
_EVENT = re.compile(
    r"gen_ai\.((system|user|assistant|tool|developer)\.message|choice|content\..*"
    r"|client\.inference\.operation\.details)$"
)


def without_content(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Numbers and truths are no content."""
    return {
        key: value
        for key, value in (attributes or {}).items()
        if isinstance(value, (bool, int, float)) or not (_is_content(key) or _is_long(key, value))
    }


def _is_long(key: str, value: Any) -> bool:
    return isinstance(value, str) and len(value) > LONGEST and not key.startswith(_MAY_BE_LONG)


@lru_cache(maxsize=4096)
def _is_content(key: str) -> bool:
    return key in _WHOLE or _ENDS.search(key) is not None or _FAMILY.match(key) is not None


@lru_cache(maxsize=1024)
def is_content_event(name: str) -> bool:
    """Events that are nothing but content."""
    return _EVENT.match(name) is not None
