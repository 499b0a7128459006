"""The health of a whole from the verdicts on its parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def worst(statuses: Iterable[str]) -> str:
    """breach before warning before ok. With none assessed the whole is not_assessed; how many were not
    is shown beside the word."""
    found = set(statuses)
    return next((status for status in ("breach", "warning", "ok") if status in found), "not_assessed")
