"""How a call went: when its first token came, why it ended, what its sender says it cost (conventions §4.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions.arrow import nulls, valid
from afterlaunch.telemetry.conventions.attributes import Floats, Reading, Words
from afterlaunch.telemetry.conventions.events import Events
from afterlaunch.telemetry.conventions.inside import parsed
from afterlaunch.telemetry.conventions.money import MOST_NANO
from afterlaunch.telemetry.conventions.who import finish

_REASON_IN_MESSAGES = r'"finish_reason"\s*:\s*"(?P<reason>[^"]+)"'


@np.errstate(over="ignore")
def first_token(reading: Reading, events: Events, at: Any, start_ns: Ints, duration: Any) -> tuple[Any, Bools, Bools]:
    """(nanoseconds until the first token, rows whose unit is suspect, rows with a number that is none). By precedence:
    seconds, events, the instant, milliseconds. What lies outside the call is not believed."""
    count = reading.count
    told = np.full(count, np.nan)
    seconds, invalid = reading.numbers("ttft_s")
    for more in (seconds * 1e9, _since(events.first_token(), start_ns), _instants(at, start_ns)):
        told = np.where(np.isnan(told), more, told)
    if reading.has("ttft_ms"):
        millis, wrong = reading.numbers("ttft_ms")
        told, invalid = np.where(np.isnan(told), millis * 1e6, told), invalid | wrong
    known = ~np.isnan(told)
    if not known.any():
        return nulls(count, pa.int64()), np.zeros(count, bool), invalid
    lasted = duration.fill_null(0).to_numpy()
    inside = known & valid(duration) & (told >= 0) & (np.rint(np.where(known, told, 0)) <= lasted)
    first = np.where(inside, np.rint(np.where(inside, told, 0)), 0).astype(np.int64)
    return pa.array(first, mask=~inside), known & ~inside & valid(duration), invalid


def _since(instants: Ints, start_ns: Ints) -> Floats:
    return np.where(instants >= 0, (instants - start_ns).astype(float), np.nan)


def _instants(at: Any, start_ns: Ints) -> Floats:
    """ISO texts, perhaps quoted once more, as nanoseconds since the start."""
    out = np.full(len(start_ns), np.nan)
    for row in np.flatnonzero(valid(at)).tolist():
        text = at[row].as_py()
        text = found if isinstance(found := parsed(text), str) else text
        try:
            instant = datetime.fromisoformat(text)
            instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            micros = (instant - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            continue  # kept with the span as it is
        out[row] = float(micros * 1000 - int(start_ns[row]))
    return out


def finish_reasons(words: Words, answers: Any, calls: Bools) -> Words:
    """Where no attribute tells it, the first reason inside the messages of the answer."""
    rows = np.flatnonzero(calls & (words.code("finish_reason") < 0) & valid(answers))
    out = words.each("finish_reason", finish)
    if not len(rows):
        return out
    some = answers.take(pa.array(rows))
    has = pc.match_substring(some, '"finish_reason"').to_numpy(zero_copy_only=False)
    if not has.any():
        return out
    found = pc.extract_regex(some.filter(pa.array(has)), _REASON_IN_MESSAGES).field("reason").to_pylist()
    distinct, codes = list(out.distinct), out.code("finish_reason").copy()
    number = {word: len(distinct) + place for place, word in enumerate(dict.fromkeys(filter(None, found)))}
    distinct += [finish(word) or word for word in number]
    codes[rows[has]] = [number.get(word, -1) if word else -1 for word in found]
    return Words({**out.codes, "finish_reason": codes}, distinct, out.count)


def cost_reported(reading: Reading) -> tuple[Ints, Bools, Bools]:
    """(nano-USD, known, rows with a number that is none): the sum as told, else the sum of its parts."""
    whole, invalid = reading.numbers("cost_reported")
    if reading.has("cost_in") or reading.has("cost_out"):
        parts = [reading.numbers(name)[0] for name in ("cost_in", "cost_out")]
        whole = np.where(np.isnan(whole), parts[0] + parts[1], whole)
    with np.errstate(over="ignore"):
        nano = np.ceil(np.round(whole * 1e9, 3))  # what is told in whole nanos stays so
    known = nano < MOST_NANO
    return np.where(known, nano, 0).astype(np.int64), known, invalid | (nano >= MOST_NANO)


def streamed(reading: Reading, words: Words) -> tuple[Bools, Bools]:
    """(values, known): as told, or by the name of the operation."""
    yes, known = reading.booleans("streaming")
    if "vercel_operation" in words.codes:
        by_name = words.table(lambda word: "stream" in word.lower(), False)[words.code("vercel_operation")]
        yes, known = yes | (by_name & ~known), known | by_name
    return yes, known
