"""How a gateway names itself to the server: `HOST/OWN`, so that two on one host are told apart."""

from __future__ import annotations

LONGEST = 100


def named(host: str, own: str) -> str:
    """`own`: the same after a restart."""
    return f"{host[: LONGEST - len(own) - 1]}/{own}"


def formerly(name: str) -> str:
    """What it told under before it had a name of its own: its host alone. Empty where it tells under no other."""
    return name.rpartition("/")[0]
