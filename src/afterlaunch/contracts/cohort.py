"""Which arm a unit gets: one hash for gateway, flags and SDK, so that all decide alike after any restart.

Algorithm `flagd-cbor-v2`: (1) canonical CBOR of [flag key, targeting key]; (2) murmur3_32, seed 0, unsigned;
(3) bucket = (hash x total) >> 32 with total 10,000; (4) the candidate stands first, so it gets buckets below its share.
A unit that has entered stays in while the share grows under the same salt.
"""

from __future__ import annotations

from functools import lru_cache

TOTAL = 10_000
_MASK = 0xFFFFFFFF


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 x86 32 bit, unsigned. Source: Austin Appleby's public-domain SMHasher."""
    value, whole = seed, len(data) & ~3
    for at in range(0, whole, 4):
        value ^= _scramble(int.from_bytes(data[at : at + 4], "little"))
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    if whole < len(data):
        value ^= _scramble(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    return value ^ value >> 16


def _scramble(block: int) -> int:
    block = block * 0xCC9E2D51 & _MASK
    return (block << 15 | block >> 17) * 0x1B873593 & _MASK


def cbor_text(text: str) -> bytes:
    """Canonical CBOR of a text string (RFC 8949 §4.2.1)."""
    raw = text.encode()
    size = len(raw)
    if size < 24:
        return bytes((0x60 | size,)) + raw
    for head, width in ((0x78, 1), (0x79, 2), (0x7A, 4)):
        if size < 1 << 8 * width:
            return bytes((head,)) + size.to_bytes(width, "big") + raw
    raise ValueError("a targeting key of 4 GiB is no key")


@lru_cache(maxsize=16_384)
def bucket(flag_key: str, targeting_key: str, total: int = TOTAL) -> int:
    """0 … total - 1."""
    return murmur3_32(b"\x82" + cbor_text(flag_key) + cbor_text(targeting_key)) * total >> 32


def rollout_key(route: str, salt: str) -> str:
    """The flag key of one rollout on one route."""
    return f"{route}/{salt}"


def in_candidate(route: str, salt: str, unit: str, share: int) -> bool:
    """Whether the unit belongs to the candidate's share (in 1/10,000)."""
    return share > 0 and bucket(rollout_key(route, salt), unit) < share
