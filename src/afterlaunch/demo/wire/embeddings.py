"""OpenAI embeddings, as numbers or as base64 of 32-bit floats."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

DIMENSIONS = 16


def tokens(texts: list[str]) -> int:
    return sum(max(1, len(text) // 4) for text in texts)


def document(texts: list[str], model: str, encoded: bool) -> dict[str, Any]:
    """Alike for like texts only as far as they are the same: a digest, scaled to -1..1."""
    vectors = [[byte / 127.5 - 1 for byte in hashlib.sha256(text.encode()).digest()[:DIMENSIONS]] for text in texts]
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(vector) if encoded else vector}
        for place, vector in enumerate(vectors)
    ]
    count = tokens(texts)
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
