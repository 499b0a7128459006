"""What an answer must be: each assertion is a small mapping with a `kind`. Pure.

`check` refuses at the time of writing what can never be asked; `judged` asks. Patterns go through a linear-time engine
(RE2, and the same in JSON schemas), so that no pattern and no answer can hold up a probe; the text is cut at 256 KiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import jsonschema_rs
import orjson
import re2

from afterlaunch.ground.errors import Invalid
from afterlaunch.probes.json_paths import Absent, parsed, value_at
from afterlaunch.probes.outcomes import Check
from afterlaunch.probes.similarity import similarity

MOST, LONGEST_TEXT, LONGEST_ANSWER = 20, 20_000, 256 * 1024
NANO = Decimal(1_000_000_000)
_PATTERN_MEMORY = 8 << 20


@dataclass(frozen=True)
class Answer:
    """What assertions read. `cost_nano` None: not known."""

    text: str
    milliseconds: float
    cost_nano: int | None = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


Told = Mapping[str, Any]
Verdict = tuple[bool, str]


@dataclass(frozen=True)
class Kind:
    """`fields`: what an assertion of it may hold, with the type of each; the first ones must be there."""

    label: str
    fields: Mapping[str, type | tuple[type, ...]]
    needed: tuple[str, ...]
    ask: Callable[[Told, Answer], Verdict]
    valid: Callable[[Told], None] = lambda _: None


def _quoted(text: str) -> str:
    return f"“{text[:80]}{'…' if len(text) > 80 else ''}”"


def _folded(told: Told, text: str) -> tuple[str, str]:
    wanted = str(told["text"])
    return (wanted.casefold(), text.casefold()) if told.get("ignore_case") else (wanted, text)


def _contains(told: Told, answer: Answer) -> Verdict:
    wanted, text = _folded(told, answer.text)
    found = wanted in text
    return found, f"It {'contains' if found else 'does not contain'} {_quoted(told['text'])}."


def _not_contains(told: Told, answer: Answer) -> Verdict:
    found, said = _contains(told, answer)
    return not found, said


def _pattern(told: Told) -> Any:
    options = re2.Options()
    options.max_mem, options.log_errors = _PATTERN_MEMORY, False
    try:
        return re2.compile(str(told["pattern"]), options)
    except re2.error as problem:
        raise Invalid(f"{_quoted(str(told['pattern']))} is no regular expression: {problem}.") from None


def _matches(told: Told, answer: Answer) -> Verdict:
    found = _pattern(told).search(answer.text) is not None
    return found, f"{'Something' if found else 'Nothing'} matches {_quoted(told['pattern'])}."


def _validator(told: Told) -> Any:
    try:
        return jsonschema_rs.validator_for(
            told["schema"], pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_MEMORY), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as problem:
        raise Invalid(f"This is no JSON schema: {str(problem).splitlines()[0][:200]}") from None


def _document(text: str) -> Any:
    """The JSON of an answer, also where it stands in a fenced block. Raises ValueError."""
    plain = text.strip()
    if plain.startswith("```") and plain.endswith("```"):
        plain = plain[3:-3].partition("\n")[2]
    return orjson.loads(plain)


def _json_schema(told: Told, answer: Answer) -> Verdict:
    try:
        document = _document(answer.text)
    except ValueError:
        return False, "It is no JSON."
    first = next(iter(_validator(told).iter_errors(document)), None)
    if first is None:
        return True, "It fits the schema."
    where = "/".join(map(str, first.instance_path))
    return False, f"It does not fit the schema{f' at {where}' if where else ''}: {first.message[:200]}"


def _json_path(told: Told, answer: Answer) -> Verdict:
    path = str(told["path"])
    try:
        found = value_at(_document(answer.text), path)
    except ValueError:
        return False, "It is no JSON."
    except Absent:
        return False, f"There is nothing at {path}."
    if "equals" not in told:
        return True, f"There is something at {path}."
    shown = _quoted(orjson.dumps(found).decode() if not isinstance(found, str) else found)
    return found == told["equals"] and type(found) is type(told["equals"]), f"At {path} stands {shown}."


def _similar(told: Told, answer: Answer) -> Verdict:
    found, least = similarity(answer.text, str(told["reference"])), float(told["least"])
    return found >= least, f"Its wording is {found:.2f} like the reference; {least:.2f} is asked for."


def _latency(told: Told, answer: Answer) -> Verdict:
    most = float(told["max_ms"])
    return answer.milliseconds <= most, f"It took {answer.milliseconds:,.0f} ms; {most:,.0f} ms are allowed."


def _cost(told: Told, answer: Answer) -> Verdict:
    most = Decimal(str(told["max_usd"]))
    if answer.cost_nano is None:
        return False, "What it cost is not known: the model has no price."
    cost = Decimal(answer.cost_nano) / NANO
    return cost <= most, f"It cost {cost.normalize():f} USD; {most.normalize():f} USD are allowed."


def _range(name: str, least: float, most: float) -> Callable[[Told], None]:
    def valid(told: Told) -> None:
        if not least <= float(told[name]) <= most:
            raise Invalid(f"{name} lies between {least:g} and {most:g}.")

    return valid


def _some_text(told: Told) -> None:
    if not str(told["text"]):
        raise Invalid("An assertion on text needs some.")


NUMBER = (int, float)
KINDS: dict[str, Kind] = {
    "contains": Kind("contains", {"text": str, "ignore_case": bool}, ("text",), _contains, _some_text),
    "not_contains": Kind("does not contain", {"text": str, "ignore_case": bool}, ("text",), _not_contains, _some_text),
    "matches": Kind("matches", {"pattern": str}, ("pattern",), _matches, lambda told: void(_pattern(told))),
    "json_schema": Kind(
        "JSON schema", {"schema": dict}, ("schema",), _json_schema, lambda told: void(_validator(told))
    ),
    "json_path": Kind(
        "JSON path",
        {"path": str, "equals": (str, int, float, bool, type(None))},
        ("path",),
        _json_path,
        lambda told: void(parsed(told["path"])),
    ),
    "similar": Kind(
        "similar to", {"reference": str, "least": NUMBER}, ("reference", "least"), _similar, _range("least", 0, 1)
    ),
    "latency": Kind("latency", {"max_ms": NUMBER}, ("max_ms",), _latency, _range("max_ms", 1, 600_000)),
    "cost": Kind("cost", {"max_usd": NUMBER}, ("max_usd",), _cost, _range("max_usd", 0, 1_000)),
}


def void(_: Any) -> None:
    return None


def check(told: Any) -> list[dict[str, Any]]:
    """The list as it will be kept. Raises Invalid."""
    if not isinstance(told, list) or len(told) > MOST:
        raise Invalid(f"Assertions are a list of at most {MOST}.")
    return [_checked(one, place) for place, one in enumerate(told)]


def _checked(one: Any, place: int) -> dict[str, Any]:
    kind = KINDS.get(str(one.get("kind"))) if isinstance(one, dict) else None
    if kind is None:
        raise Invalid(f"assertions[{place}]: there is no such kind.", "Kinds: " + ", ".join(KINDS))
    extra, missing = set(one) - set(kind.fields) - {"kind"}, [name for name in kind.needed if name not in one]
    if extra or missing:
        wrong = f"has no {sorted(map(str, extra))[0]!r}" if extra else f"needs {missing[0]!r}"
        raise Invalid(f"assertions[{place}]: {one['kind']} {wrong}.", "It holds: " + ", ".join(kind.fields))
    for name, wanted in kind.fields.items():
        value = one.get(name)
        odd = isinstance(value, bool) and wanted is NUMBER
        if name in one and (not isinstance(value, wanted) or odd or len(str(value)) > LONGEST_TEXT):
            raise Invalid(f"assertions[{place}]: {name} is not of the right kind, or too long.")
    try:
        kind.valid(one)
    except Invalid as problem:
        raise Invalid(f"assertions[{place}]: {problem.message}", problem.hint) from None
    return dict(one)


def judged(told: Sequence[Told], answer: Answer) -> list[Check]:
    """What each found, in order."""
    cut = Answer(answer.text[:LONGEST_ANSWER], answer.milliseconds, answer.cost_nano, answer.facts)
    return [Check(one["kind"], *KINDS[one["kind"]].ask(one, cut)) for one in told]
