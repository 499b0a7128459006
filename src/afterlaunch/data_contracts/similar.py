"""Values that look like a slip of a frequent one: rare, and a few letters off.

Digits are no letters: 95 and 96 are two values, 9x is a slip. So are letters that stand where digits stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

FREQUENT, TIMES, SHARE = 5, 5, 0.02
LETTERS_OFF, WORD_OFF = 0.2, 0.5
MOST_FREQUENT, MOST_RARE = 2_000, 20_000
REPEATING = 0.5
"""Of the records hold a frequent value, or nothing can be said of rare ones."""


def slips(counts: Mapping[str, int]) -> dict[str, str]:
    """Rare value → the frequent one it looks like."""
    frequent = {value: n for value, n in counts.items() if n >= FREQUENT}
    total = sum(counts.values())
    if not total or sum(frequent.values()) < REPEATING * total or len(frequent) > MOST_FREQUENT:
        return {}
    rare = [value for value, n in counts.items() if n <= max(2, SHARE * max(frequent.values()))]
    if len(rare) > MOST_RARE:
        return {}
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for value in frequent:
        by_length[len(value)].append(value)
    out = {}
    for value in rare:
        n = counts[value]
        near = [
            other
            for length in (len(value), len(value) - 1, len(value) + 1)
            for other in by_length.get(length, ())
            if other != value and frequent[other] >= TIMES * n and n <= max(2, SHARE * frequent[other])
            if slip(value, other)
        ]
        if near:
            out[value] = max(near, key=lambda other: frequent[other])
    return out


def slip(value: str, other: str) -> bool:
    """Same length: at most a fifth of the characters (one at least) differ, and of each word at most half; none of them
    two digits, and no blank stands where a letter was. One longer or shorter, from five characters on: one letter put
    in or left out."""
    if len(value) < 2:
        return False
    if len(value) == len(other):
        return _letters_off(value, other)
    longer, shorter = (value, other) if len(value) > len(other) else (other, value)
    if len(longer) - len(shorter) != 1 or len(shorter) < 5:
        return False
    at = next((i for i, (a, b) in enumerate(zip(longer, shorter, strict=False)) if a != b), len(shorter))
    return longer[at + 1 :] == shorter[at:] and longer[at].isalpha()


def _letters_off(value: str, other: str) -> bool:
    most = max(1, int(LETTERS_OFF * len(value)))
    off = start = in_word = 0
    for at, (a, b) in enumerate(zip(value, other, strict=True)):
        if b == " ":
            start, in_word = at + 1, 0
        if a == b:
            continue
        off += 1
        if off > most or (a.isdigit() and b.isdigit()) or a == " " or a.lower() == b.lower():
            return False
        if b != " ":
            in_word += 1
            end = other.find(" ", start)
            if in_word > max(1, WORD_OFF * ((end if end >= 0 else len(other)) - start)):
                return False
    return off > 0


def alike(value: str, other: str) -> bool:
    """A slip, or one holds the other whole."""
    if slip(value, other):
        return True
    short, long = sorted((value, other), key=len)
    return len(short) >= 3 and short in long
