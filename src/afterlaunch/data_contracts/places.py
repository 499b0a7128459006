"""On which line of a YAML document a place stands that an error names, such as `spec.columns[3] (zip).nulls`."""

from __future__ import annotations

import re

import yaml

from afterlaunch.ground.errors import Invalid

PLACE = re.compile(r"(?:metadata|spec)(?:\.\w+|\[\d+\]| \([^)]*\))*")
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
UNKNOWN = re.compile(r" has no (\w+)")


def on_line(problem: Invalid, body: bytes | str) -> Invalid:
    """The same error, with its line in front where that is known."""
    line = line_of(problem.message, body)
    return problem if line is None else Invalid(f"Line {line}: {problem.message}", problem.hint)


def line_of(message: str, body: bytes | str) -> int | None:
    """Counted from 1. As deep as the document goes: what is missing is where it should have stood."""
    named = PLACE.search(message)
    try:
        node = yaml.compose(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if named is None or node is None:
        return None
    unknown = UNKNOWN.match(message, named.end())
    steps: list[str | int] = [named[0].partition(".")[0].partition("[")[0]]
    steps += [name or int(at) for name, at in STEP.findall(re.sub(r" \([^)]*\)", "", named[0]))]
    line = None
    for step in [*steps, unknown[1]] if unknown else steps:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(step, int):
        if not isinstance(node, yaml.SequenceNode) or step >= len(node.value):
            return None
        return node.value[step].start_mark.line + 1, node.value[step]
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == step:
            return key.start_mark.line + 1, value
    return None
