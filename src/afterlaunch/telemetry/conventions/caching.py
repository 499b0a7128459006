"""What was worked out once for a short text is kept, for a long one it is not: what is kept stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

K = TypeVar("K", str, bytes)
R = TypeVar("R")


def kept(most: int, longest: int) -> Callable[[Callable[[K], R]], Callable[[K], R]]:
    """The results of the `most` last arguments, each up to `longest` characters or bytes."""

    def keeping(function: Callable[[K], R]) -> Callable[[K], R]:
        known = lru_cache(most)(function)

        @wraps(function)
        def asked(key: K) -> R:
            return known(key) if len(key) <= longest else function(key)

        return asked

    return keeping
