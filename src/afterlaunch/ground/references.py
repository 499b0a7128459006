"""Secrets are named, not told: `env:NAME` or `file:/path`. Pure of frameworks."""

from __future__ import annotations

import os
import re
from pathlib import Path

from afterlaunch.ground.errors import Invalid

REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")


def dereferenced(reference: str, where: str) -> str:
    """The secret behind a reference; `where` says in an error whose environment it is looked for in. Raises Invalid."""
    way, _, place = reference.partition(":")
    if way == "env":
        if not os.environ.get(place):
            raise Invalid(f"The environment variable {place} is not set.", f"Set it where {where} runs.")
        return os.environ[place].strip()
    try:
        return Path(place).read_text().strip()
    except OSError as problem:
        raise Invalid(f"{place} cannot be read: {problem.strerror}.") from None
