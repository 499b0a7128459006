"""Where the real input lies. Tests that need it are skipped, and say so, where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared() -> Path | None:
    """The folder `shared`: named by AFTERLAUNCH_SHARED, or a sibling of a folder above this one."""
    named = os.environ.get("AFTERLAUNCH_SHARED")
    if named:
        return Path(named)
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "data").is_dir():
            return parent / "shared"
    return None


def real(path: str) -> Path:
    """The file `shared/PATH`, or skip the test."""
    root = shared()
    if root is None or not (root / path).exists():
        pytest.skip(f"real input shared/{path} is not here")
    return root / path
