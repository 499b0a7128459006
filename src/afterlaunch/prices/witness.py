"""A second price table as a witness: where it and the table in force disagree, in words. Pure.

Nothing is priced by it. It is a JSON file in LiteLLM's format (model -> `litellm_provider` and prices per token, as
`input_cost_per_token`), which somebody gives; it is never downloaded. Two tables that disagree prove neither wrong:
often one is older.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.book import BUNDLED, Book
from afterlaunch.prices.bundled import provider_id, sheet
from afterlaunch.prices.formula import rate

LARGEST = 16 << 20  # bytes
MILLION = 1_000_000
PROVIDERS = {"gemini": "google", "vertex_ai": "google", "vertex_ai-language-models": "google", "cohere_chat": "cohere"}
MODES = ("chat", "responses", "completion", "embedding")
UNITS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
}
LONG = {"input_cost_per_token": "input", "output_cost_per_token": "output"}
ABOVE = {"_above_128k_tokens": 128_000, "_above_200k_tokens": 200_000, "_above_272k_tokens": 272_000}
BATCHES = {"input_cost_per_token_batches": "input", "output_cost_per_token_batches": "output"}


@dataclass(frozen=True)
class Said:
    """What the witness says of a model: USD per million tokens, by unit and the facts it holds for."""

    provider: str
    model: str
    unit: str
    usd: Decimal
    inputs: int = 0  # tokens of input that it is about: a tier of long prompts begins below
    batch: bool = False

    @property
    def words(self) -> str:
        name = self.unit.replace("_", " ")
        if self.batch:
            name += ", batch"
        return f"{name}, above {self.inputs - 1:,} tokens in" if self.inputs else name


@dataclass(frozen=True)
class Disagreement:
    """USD per million tokens. `why` is "" where nothing explains it."""

    provider: str
    model: str
    what: str
    ours: Decimal
    theirs: Decimal
    why: str = ""

    @property
    def words(self) -> str:
        said = f"{self.provider}/{self.model}: {self.what} is ${_plain(self.ours)} here, ${_plain(self.theirs)} there"
        return f"{said}; {self.why}" if self.why else said


@dataclass(frozen=True)
class Compared:
    """Models of text that the witness prices, by what became of them."""

    equal: int
    differing: int
    disagreements: list[Disagreement] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # provider/model that nobody has priced here
    unread: int = 0  # entries that are no prices by token of a model of text

    def of(self, provider: str) -> Compared:
        """The same with the disagreements of one provider alone; "": of all."""
        if not provider:
            return self
        maker = provider_id(provider)
        return replace(self, disagreements=[one for one in self.disagreements if one.provider == maker])

    @property
    def words(self) -> str:
        return (
            f"Models with equal prices in both: {self.equal:,}; that differ: {self.differing:,}; without a price here:"
            f" {len(self.unknown):,}. Entries that price no text by tokens: {self.unread:,}."
        )

    def document(self) -> dict[str, Any]:
        return {
            "models_equal": self.equal,
            "models_differing": self.differing,
            "models_unknown_here": len(self.unknown),
            "entries_not_compared": self.unread,
            "differences": [
                {
                    "provider": one.provider,
                    "model": one.model,
                    "what": one.what,
                    "ours_usd_per_million": _plain(one.ours),
                    "theirs_usd_per_million": _plain(one.theirs),
                    "why": one.why or None,
                    "words": one.words,
                }
                for one in self.disagreements
            ],
            "unknown_here": self.unknown,
        }


def read(body: bytes) -> dict[str, Any]:
    """Raises Invalid."""
    if len(body) > LARGEST:
        raise Invalid(f"The table is larger than {LARGEST >> 20} MiB.", "Give LiteLLM's model_prices JSON alone.")
    try:
        table = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Invalid(
            f"The table is no JSON: {problem}.", "Give LiteLLM's model_prices_and_context_window.json."
        ) from None
    if not isinstance(table, dict) or not any(
        isinstance(one, dict) and "litellm_provider" in one for one in table.values()
    ):
        raise Invalid(
            "No entry names a litellm_provider.",
            "The format is LiteLLM's: model -> litellm_provider and prices per token.",
        )
    return table


def compare(table: Mapping[str, Any], at: datetime, book: Book = BUNDLED) -> Compared:
    """Every model of text that the witness prices by token, against what is in force at an instant."""
    equal = differing = unread = 0
    found: list[Disagreement] = []
    unknown: set[str] = set()
    seen: set[tuple[str, str]] = set()
    for name, entry in sorted(table.items()):
        said = list(_said(name, entry)) if isinstance(entry, Mapping) else []
        if not said:
            unread += 1
            continue
        key = said[0].provider, said[0].model
        if key in seen:
            continue
        seen.add(key)
        differences = _against(said, at, book)
        if differences is None:
            unknown.add("/".join(key))
        elif differences:
            differing += 1
            found += differences
        else:
            equal += 1
    return Compared(equal, differing, found, sorted(unknown), unread)


def _said(name: str, entry: Mapping[str, Any]) -> Iterator[Said]:
    told = entry.get("litellm_provider")
    if not isinstance(told, str) or entry.get("mode") not in MODES or len(name) > 250:
        return
    provider = PROVIDERS.get(told, provider_id(told))
    model = name.removeprefix(f"{told}/")
    for key, unit in UNITS.items():
        usd = _usd(entry.get(key))
        if usd is not None and (usd or unit == "input"):
            yield Said(provider, model, unit, usd)
    for key, unit in LONG.items():
        for ending, above in ABOVE.items():
            if usd := _usd(entry.get(key + ending)):
                yield Said(provider, model, unit, usd, above + 1)
    for key, unit in BATCHES.items():
        if usd := _usd(entry.get(key)):
            yield Said(provider, model, unit, usd, batch=True)


def _usd(told: Any) -> Decimal | None:
    """Per million; floats as they are written."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        found = Decimal(str(told)) * MILLION
    except InvalidOperation:
        return None
    return found.normalize() if found.is_finite() and 0 <= found < MILLION else None


def _against(said: list[Said], at: datetime, book: Book) -> list[Disagreement] | None:
    """None where nobody has priced the model here. A unit that is not priced by itself here is not compared."""
    usual = book.find(said[0].provider, said[0].model, at)
    if usual is None or "input" not in usual.prices:
        return None
    batch = book.find(said[0].provider, said[0].model, at, {"processing": "batch"})
    out = []
    for one in said:
        here = batch if one.batch else usual
        if here is None or (one.batch and here.conditions == usual.conditions):
            continue  # no batch price here
        told = rate(here.prices, one.unit, here.life_apart)
        if told.amount is None or told.taken:
            continue
        ours = told.amount.at(one.inputs).normalize()
        if ours != one.usd:
            out.append(Disagreement(one.provider, one.model, one.words, ours, one.usd, _why(one, here.override, at)))
    return out


def _why(one: Said, own: bool, at: datetime) -> str:
    if own:
        return "here an own price is in force"
    found = sheet(one.provider, one.model)
    if found is None or one.batch:
        return ""
    rows = found.standard
    now = max((number for number, row in enumerate(rows) if row.times.hold(at)), default=0)
    for number, row in enumerate(rows):
        amount = row.prices.get(one.unit)
        if number == now or amount is None or amount.at(one.inputs).normalize() != one.usd:
            continue
        begins = rows[number + 1].times.starts if number < now else row.times.starts
        if begins is None:
            return "there it is the price of another time here"
        held = "that held here until" if number < now else "that holds here from"
        return f"there it is the price {held} {begins:%Y-%m-%d}"
    return ""


def _plain(usd: Decimal) -> str:
    return f"{usd:f}"
