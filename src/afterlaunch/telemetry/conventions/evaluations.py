"""Scores that evaluations gave: by events, several for one span, or by the span itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.attributes import Reading, Words
from afterlaunch.telemetry.conventions.events import SCORE, Events

COLUMNS = {
    "evaluation_names": pa.list_(pa.string()),
    "evaluation_scores": pa.list_(pa.float64()),
    "evaluation_labels": pa.list_(pa.string()),
}
_PARTS = ("gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label")
Score = tuple[str | None, float | None, str | None]


def evaluations(reading: Reading, words: Words, events: Events) -> dict[str, Any]:
    """What is not told is NULL inside the lists."""
    told: dict[int, list[Score]] = {}
    if any(reading.has(field) for field in ("score_name", "score", "score_label")):
        values, _ = reading.numbers("score")
        names, labels = words.code("score_name"), words.code("score_label")
        for row in np.flatnonzero(~np.isnan(values) | (labels >= 0) | (names >= 0)).tolist():
            score = None if np.isnan(values[row]) else float(values[row])
            told[row] = [(_word(words, names[row]), score, _word(words, labels[row]))]
    for owner, found in events.named(SCORE).items():
        told.setdefault(owner, []).extend(_score(one.attributes()) for one in found)
    if not told:
        return {name: nulls(reading.count, kind) for name, kind in COLUMNS.items()}
    lists = [
        [[score[part] for score in told[row]] if row in told else None for row in range(reading.count)]
        for part in range(3)
    ]
    return {name: pa.array(values, kind) for (name, kind), values in zip(COLUMNS.items(), lists, strict=True)}


def _word(words: Words, code: int) -> str | None:
    return words.distinct[code] if code >= 0 else None


def _score(told: dict[str, Any]) -> Score:
    name, value, label = (told.get(part) for part in _PARTS)
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return (None if name is None else str(name)), number, (None if label is None else str(label))
