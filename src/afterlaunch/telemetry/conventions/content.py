"""What was asked and answered, where it is told message by message: as indexed attributes, or as events."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions.attributes import Layer, Reading
from afterlaunch.telemetry.conventions.events import CHOICE, QUESTIONS, Events
from afterlaunch.telemetry.conventions.families import INPUT, OUTPUT

_WRAPPERS = ("message_content", "tool_call", "function", "message")
FIELD = {INPUT: "input_text", OUTPUT: "output_text"}


def content(reading: Reading, events: Events, text: dict[str, Any], gone: Bools) -> dict[str, Any]:
    """The columns of `FIELD`. Current gen_ai attributes come first, then messages one by one, then the other texts,
    then events. What was put together is marked in `gone` (places of the first layer)."""
    layer = reading.layers[0]
    asked, answered = events.named(*QUESTIONS), events.named(CHOICE)
    told = {INPUT: asked, OUTPUT: answered}
    out = {}
    for direction, field in FIELD.items():
        column = text[field]
        current = np.zeros(reading.count, bool)
        for source, rows in reading.told_by(field):
            if source.dialect == "genai":
                current |= rows
        if made := _assembled(layer, direction, ~current, gone):
            places = layer.places(field)
            if places is not None:  # what they stand before is kept
                lost = places[list(made)]
                gone[lost[lost >= 0]] = False
            column = _with(column, made)
        silent = [owner for owner in told[direction] if not column[owner].is_valid]
        if silent:
            messages = {owner: [_of_event(one) for one in told[direction][owner]] for owner in silent}
            column = _with(
                column,
                {
                    owner: orjson.dumps(all_of_it, option=orjson.OPT_SORT_KEYS).decode()
                    for owner, all_of_it in messages.items()
                },
            )
        out[field] = column
    return out


def _with(column: Any, made: dict[int, str]) -> Any:
    mask = np.zeros(len(column), bool)
    rows = sorted(made)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.array([made[row] for row in rows], pa.string()))


def _assembled(layer: Layer, direction: str, wanted: Bools, gone: Bools) -> dict[int, str]:
    """Owner -> JSON of its messages."""
    trees: dict[int, dict[int, dict[str, Any]]] = {}
    for code, member in layer.plan.families.get(direction, ()):
        owners, places = layer.of_key(code)
        mine = wanted[owners]
        owners, places = owners[mine], places[mine]
        if not len(owners):
            continue
        gone[places] = True
        steps = [step for step in member.path.split(".") if step not in _WRAPPERS]
        for owner, value in zip(owners.tolist(), layer.values.texts(places).to_pylist(), strict=True):
            _put(trees.setdefault(owner, {}).setdefault(member.index, {}), steps, value)
    return {
        # Sorted, so that the order in which the parts were sent does not matter.
        owner: orjson.dumps(
            [_lists(trees_of[index]) for index in sorted(trees_of)], option=orjson.OPT_SORT_KEYS
        ).decode()
        for owner, trees_of in trees.items()
    }


def _put(at: dict[str, Any], steps: list[str], value: str) -> None:
    for step in steps[:-1]:
        deeper = at.get(step)
        if not isinstance(deeper, dict):
            deeper = at[step] = {}
        at = deeper
    at[steps[-1] if steps else "content"] = value


def _lists(node: Any) -> Any:
    """Numbered parts as lists, in order, without holes."""
    if not isinstance(node, dict):
        return node
    if node and all(name.isdigit() for name in node):
        return [_lists(node[name]) for name in sorted(node, key=int)]
    return {name: _lists(deeper) for name, deeper in node.items()}


def _of_event(event: Any) -> dict[str, Any]:
    told = {name: value for name, value in event.attributes().items() if not name.startswith("gen_ai.")}
    return {"role": QUESTIONS.get(event.name, "assistant"), **told}
