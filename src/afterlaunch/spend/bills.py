"""A provider's bill as lines: per UTC day, account, model and class of tokens. Pure.

Formats: `openai-usage` and `openai-costs` (the organisation's usage and cost exports), `anthropic-usage` and
`anthropic-costs` (usage and cost reports), and `csv` with columns that a mapping names.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from afterlaunch.ground.errors import Invalid, TooLarge

CLASSES = ("input", "cache_read", "cache_write", "output")
"""Of tokens, exclusive: input that no cache took, reads, writes of any life, output with its reasoning."""
KINDS = ("usage", "fee", "credit", "discount", "tax")
MOST_BYTES, MOST_LINES = 8 * 2**20, 200_000
COLUMNS = ("day", "account", "model", "class", "tokens", "amount", "currency", "kind")
_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True)
class BillLine:
    """`tokens` or `nano` (USD 10⁻⁹) None: this line does not tell it."""

    day: date
    account: str
    model: str
    token_class: str
    tokens: int | None
    nano: int | None
    kind: str = "usage"

    def document(self) -> list[Any]:
        return [self.day.isoformat(), self.account, self.model, self.token_class, self.tokens, self.nano, self.kind]

    @staticmethod
    def of(told: list[Any]) -> BillLine:
        return BillLine(date.fromisoformat(told[0]), *told[1:])


def plain(model: str) -> str:
    """A model without the date of its release: bills and answers name it either way."""
    return _DATED.sub("", model.strip().lower())


def read_bill(text: str, form: str, mapping: Mapping[str, str] | None = None) -> list[BillLine]:
    """Raises Invalid, TooLarge."""
    if len(text.encode()) > MOST_BYTES:
        raise TooLarge("The bill is larger than 8 MiB.", "Import it month by month.")
    if form not in FORMATS:
        raise Invalid(f"{form!r} is no form of a bill.", f"Forms: {', '.join(FORMATS)}")
    try:
        lines = list(_csv(text, mapping or {}) if form == "csv" else _results(text, FORMATS[form]))
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation, OverflowError) as problem:
        raise Invalid(f"This is no bill of the form {form}: {type(problem).__name__} {problem}.") from None
    if not lines:
        raise Invalid("The bill has no lines.")
    if len(lines) > MOST_LINES:
        raise TooLarge(f"The bill has more than {MOST_LINES:,} lines.", "Import it month by month.")
    return lines


Result = Callable[[date, Mapping[str, Any]], Iterator[BillLine]]


def _results(text: str, each: Result) -> Iterator[BillLine]:
    told = orjson.loads(text)
    for page in told if isinstance(told, list) else [told]:
        for bucket in page["data"]:
            day = _day(bucket["start_time"] if "start_time" in bucket else bucket["starting_at"])
            for result in bucket["results"]:
                yield from each(day, result)


def _day(told: Any) -> date:
    if isinstance(told, int):
        return datetime.fromtimestamp(told, UTC).date()
    found = datetime.fromisoformat(str(told))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).date()


def _count(told: Any) -> int:
    found = int(told or 0)
    if found < 0:
        raise ValueError(told)
    return found


def _openai_usage(day: date, told: Mapping[str, Any]) -> Iterator[BillLine]:
    account, model = str(told.get("project_id") or ""), str(told.get("model") or "")
    cached = _count(told.get("input_cached_tokens"))
    counts = {
        "input": _count(told["input_tokens"]) - cached,
        "cache_read": cached,
        "output": _count(told["output_tokens"]),
    }
    for name, count in counts.items():
        yield BillLine(day, account, model, name, count, None)


def _openai_costs(day: date, told: Mapping[str, Any]) -> Iterator[BillLine]:
    said = str(told.get("line_item") or "")
    model, _, what = said.partition(",")
    yield BillLine(
        day,
        str(told.get("project_id") or ""),
        model.strip(),
        _class_of(what),
        None,
        _nano(told["amount"]["value"], told["amount"].get("currency", "usd")),
        _kind_of(said),
    )


def _anthropic_usage(day: date, told: Mapping[str, Any]) -> Iterator[BillLine]:
    account, model = str(told.get("workspace_id") or ""), str(told.get("model") or "")
    written = told.get("cache_creation") or {}
    counts = {
        "input": told.get("uncached_input_tokens"),
        "cache_read": told.get("cache_read_input_tokens"),
        "cache_write": sum(_count(written.get(f"ephemeral_{life}_input_tokens")) for life in ("5m", "1h")),
        "output": told["output_tokens"],
    }
    for name, count in counts.items():
        yield BillLine(day, account, model, name, _count(count), None)


def _anthropic_costs(day: date, told: Mapping[str, Any]) -> Iterator[BillLine]:
    """Amounts are in cents, as decimal strings."""
    said = f"{told.get('cost_type') or ''} {told.get('token_type') or ''}"
    fee = told.get("cost_type") not in (None, "tokens")
    yield BillLine(
        day,
        str(told.get("workspace_id") or ""),
        str(told.get("model") or ""),
        _class_of(said),
        None,
        _nano(Decimal(str(told["amount"])) / 100, told.get("currency", "USD")),
        "fee" if fee else "usage",
    )


FORMATS: dict[str, Result] = {
    "openai-usage": _openai_usage,
    "openai-costs": _openai_costs,
    "anthropic-usage": _anthropic_usage,
    "anthropic-costs": _anthropic_costs,
    "csv": lambda day, told: iter(()),
}


def _class_of(said: str) -> str:
    word = said.lower()
    if "output" in word:
        return "output"
    if "cache" in word:
        return "cache_read" if "read" in word or "cached" in word else "cache_write"
    return "input" if "input" in word else ""


def _kind_of(said: str) -> str:
    word = said.lower()
    for kind, marks in (("credit", ("credit",)), ("discount", ("discount",)), ("tax", ("tax", "vat"))):
        if any(mark in word for mark in marks):
            return kind
    return "fee" if any(mark in word for mark in ("search", "storage", "container", "session", "tool")) else "usage"


def _csv(text: str, mapping: Mapping[str, str]) -> Iterator[BillLine]:
    """`mapping`: our column -> the file's; what is not mapped goes by our own name."""
    unknown = sorted(set(mapping) - set(COLUMNS))
    if unknown:
        raise Invalid(f"A bill has no column {unknown[0]}.", f"Columns: {', '.join(COLUMNS)}")
    reader = csv.DictReader(io.StringIO(text))
    named = {name: mapping.get(name) or name for name in COLUMNS}
    if named["day"] not in (reader.fieldnames or ()):
        raise Invalid(f"The file has no column {named['day']!r}.", "Say in the mapping which column tells the day.")
    for row in reader:
        told = {name: (row.get(column) or "").strip() for name, column in named.items()}
        kind = told["kind"].lower() or "usage"
        if kind not in KINDS:
            raise Invalid(f"{kind!r} is no kind of a line.", f"Kinds: {', '.join(KINDS)}")
        name = told["class"].lower()
        if name and name not in CLASSES:
            raise Invalid(f"{name!r} is no class of tokens.", f"Classes: {', '.join(CLASSES)}")
        tokens = _count(told["tokens"].replace(",", "")) if told["tokens"] else None
        nano = _nano(told["amount"].replace(",", "").lstrip("$"), told["currency"] or "USD") if told["amount"] else None
        yield BillLine(_day(told["day"]), told["account"], told["model"], name, tokens, nano, kind)


def _nano(told: Any, currency: str) -> int:
    if str(currency).upper() != "USD":
        raise Invalid(f"A bill in {currency} is not compared.", "Amounts are never converted silently.")
    found = Decimal(repr(told) if isinstance(told, float) else str(told))
    if not found.is_finite():
        raise ValueError(told)
    return int((found * 10**9).to_integral_value())
