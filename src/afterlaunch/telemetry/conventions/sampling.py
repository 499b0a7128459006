"""How many spans one stands for, where its sampler tells the share of traces that it sends (conventions §6.7).

The field's word is the adjusted count: the inverse of the probability that the span was sent. It is kept in
thousandths. By precedence: our own gateway tells every call, whatever the trace's state says; `ot=th` (or `ot=p` of
earlier samplers) in the trace's state; an attribute of the span; one of its resource. Nobody tells: NULL.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.attributes import Floats, Reading
from afterlaunch.telemetry.conventions.caching import kept

DIGITS = 14
WHOLE = 1 << (4 * DIGITS)
MILLI = 1_000
MOST = 1_000_000
"""What stands for more is not believed."""
_THRESHOLD = re.compile(r"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,\s]|$)")
_POWER = re.compile(r"(?:^|,)\s*ot=(?:[^,]*;)?p:(\d{1,2})(?:[;,\s]|$)")


def of_threshold(threshold: str) -> Fraction | None:
    """How many traces one stands for, by the hexadecimal digits of its sampler's threshold (of 2^56 random numbers so
    many are left out); None where they tell nothing. Zeros at the end are left out by senders."""
    try:
        left_out = int(threshold.ljust(DIGITS, "0"), 16)
    except ValueError:
        return None
    return Fraction(WHOLE, WHOLE - left_out) if 0 <= left_out < WHOLE and len(threshold) <= DIGITS else None


@kept(1024, 1024)
def of_state(state: str) -> int | None:
    """Thousandths, by a trace's state."""
    if found := _THRESHOLD.search(state):
        return _believed(of_threshold(found[1]))
    if (found := _POWER.search(state)) and int(found[1]) < 63:
        return _believed(Fraction(2 ** int(found[1])))
    return None


def _believed(times: Fraction | None) -> int | None:
    return None if times is None or times > MOST else round(times * MILLI)


def of_share(shares: Floats) -> tuple[Any, Bools]:
    """(thousandths, known) by the share of spans that is sent; NaN, 0 and what is no share tell nothing."""
    known = (shares >= 1 / MOST) & (shares <= 1)
    return np.rint(MILLI / np.where(known, shares, 1)).astype(np.int64), known


def adjusted_counts(reading: Reading, states: Any, above: Any, whole: Bools) -> Any:
    """The column. `states`: of the traces; `above`: what resources tell, as texts; `whole`: our own gateway's spans."""
    told = any(reading.has(name) for name in ("sampled_share", "sampled_percent", "sampled_one_in"))
    count = len(states)
    if states.null_count == count and above.null_count == count and not told and not whole.any():
        return nulls(count, pa.int64())
    shares = _shares(reading, above, count)
    milli, known = of_share(shares)
    by_state = _by_state(states)
    milli, known = np.where(by_state > 0, by_state, milli), known | (by_state > 0)
    milli, known = np.where(whole, MILLI, milli), known | whole
    return pa.array(milli, mask=~known)


def _shares(reading: Reading, above: Any, count: int) -> Floats:
    shares = reading.numbers("sampled_share")[0].copy()
    with np.errstate(divide="ignore"):
        more = [reading.numbers("sampled_percent")[0] / 100, 1 / reading.numbers("sampled_one_in")[0]]
    if above.null_count < count:
        words = above.dictionary_encode() if isinstance(above, pa.Array) else above.combine_chunks().dictionary_encode()
        table = np.array([*map(_number, words.dictionary.to_pylist()), np.nan])
        more.append(table[words.indices.fill_null(len(table) - 1).to_numpy()])
    for one in more:
        shares = np.where(np.isnan(shares), one, shares)
    return shares


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _by_state(states: Any) -> Ints:
    """Thousandths, 0 where a trace's state tells nothing."""
    if states.null_count == len(states):
        return np.zeros(len(states), np.int64)
    words = states.dictionary_encode()
    told = [of_state(text) or 0 if "ot=" in text else 0 for text in words.dictionary.to_pylist()]
    found: Ints = np.array([*told, 0])[words.indices.fill_null(len(told)).to_numpy()]
    return found
