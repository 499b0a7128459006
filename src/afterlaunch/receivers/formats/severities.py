"""The words of other tools for how grave something is."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT: dict[str, str] = {
    "critical": "P1", "page": "P1", "emergency": "P1",
    "error": "P2", "high": "P2",
    "warning": "P3",
    "info": "", "none": "",
    "p1": "P1", "p2": "P2", "p3": "P3",
}  # fmt: skip


def severity_of(word: str | None, mapping: Mapping[str, str]) -> str | None:
    """P1 to P3; "" is stored without an incident; None is unknown, which triage sets. An integration's own words come
    first."""
    if word is None:
        return None
    key = word.strip().lower()
    return mapping[key] if key in mapping else DEFAULT.get(key)
