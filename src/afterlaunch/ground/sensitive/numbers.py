"""Which digits are a card's, which are a telephone's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

_ISSUERS = (
    # (width of the beginning, its first and last value, lengths): the networks' published ranges
    (1, 4, 4, (13, 16, 19)),
    (2, 51, 55, (16,)),
    (4, 2221, 2720, (16,)),
    (2, 34, 34, (15,)),
    (2, 37, 37, (15,)),
    (4, 6011, 6011, (16, 19)),
    (3, 644, 649, (16, 19)),
    (2, 65, 65, (16, 19)),
    (4, 3528, 3589, (16, 19)),
    (3, 300, 305, (14, 16, 19)),
    (2, 36, 36, (14, 16, 19)),
    (2, 38, 39, (14, 16, 19)),
    (2, 62, 62, (16, 17, 18, 19)),
    (2, 50, 50, (16, 19)),
    (2, 56, 58, (16, 19)),
)
_GROUP = re.compile(r"\d+")
_WHOLE = 13, 19  # digits of a card
_PHONE = 8, 15  # digits of a number with its country (E.164)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """An issuer's range and length, and the check digit."""
    told = any(
        len(digits) in lengths and first <= int(digits[:width]) <= last for width, first, last, lengths in _ISSUERS
    )
    return told and _luhn(digits)


def _as_printed(sizes: list[int]) -> bool:
    """How cards are written: in one, in fours, or as 4-6-5 and 4-6-4."""
    fours = all(size == 4 for size in sizes[:-1]) and sizes[-1] <= 4
    return len(sizes) == 1 or fours or sizes in ([4, 6, 5], [4, 6, 4])


def cards(run: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of every card in a run of digits with single spaces or hyphens between them, in order."""
    groups = list(_GROUP.finditer(run))
    place = 0
    while place < len(groups):
        found = _card_from(groups, place)
        if found is not None:
            yield groups[place].start(), groups[found].end()
        place = found + 1 if found is not None else place + 1


def _card_from(groups: list[re.Match[str]], place: int) -> int | None:
    digits, sizes = "", []
    best = None
    for last in range(place, min(place + 7, len(groups))):
        digits += groups[last].group()
        sizes.append(len(groups[last].group()))
        if len(digits) > _WHOLE[1]:
            break
        if len(digits) >= _WHOLE[0] and _as_printed(sizes) and is_card(digits):
            best = last
    return best


def phone_end(run: str) -> int | None:
    """How much of a run that begins with + or 00 is a telephone number of a country's numbering plan."""
    skip = 2 if run.startswith("00") else 1
    ends = [one.end() for one in _GROUP.finditer(run)]
    for end in reversed(ends):
        digits = re.sub(r"\D", "", run[skip:end])
        if _PHONE[0] <= len(digits) <= _PHONE[1] and _valid("+" + digits):
            return end
    return None


def _valid(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False
