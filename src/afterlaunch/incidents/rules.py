"""How grave an incident is, and how long it must stay well. Pure."""

from __future__ import annotations

from datetime import timedelta

STABILITY = timedelta(minutes=30)
RANK = {"P1": 3, "P2": 2, "P3": 1}


def higher(a: str, b: str) -> str:
    """The graver of two severities."""
    return a if RANK[a] >= RANK[b] else b
