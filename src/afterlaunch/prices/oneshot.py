"""`afterlaunch price usage`: a provider's own usage object in, exclusive buckets and the cost out. Pure; see
docs/prices.md for the form. Ingest counts buckets and finds prices with the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.book import BUNDLED, Book, Resolved, usual
from afterlaunch.prices.formula import Line, lines
from afterlaunch.prices.rows import CONDITIONS, PER, Tie
from afterlaunch.prices.table import nano_of
from afterlaunch.prices.told import Counted, count

MEMBERS = (
    *("provider", "model", "model_requested", "time", "usage", "service_tier", "processing", "batch", "region"),
    *("inference_geo", "route", "speed", "search_type", "operation", "units"),
)
WITHOUT_ANSWER = ("embedding", "embeddings", "rerank")
MOST_ONCE = 100_000
GUESSED = ("_assumed", "_not_priced", "_priced_as_text")
DOUBTED = (
    *("price_on_requested_model", "total_mismatch", "cache_exceeds_input", "negative_bucket", "tokens_conflict"),
    *("cost_mismatch", "cache_write_split_exceeds_total", "invalid_value", "usage_key_unknown"),
)
"""Flags with which a sum is no longer exact: a price that stands in for another; counts that contradict each other."""
APART = Decimal("0.01")
TEN_NANO = Decimal("0.00000001")


def answer(asked: object, book: Book = BUNDLED) -> Any:
    """One question or a list of them. Raises Invalid, which says what is wrong."""
    if isinstance(asked, list):
        if len(asked) > MOST_ONCE:
            raise Invalid(f"{len(asked)} questions at once are too many.", f"Ask at most {MOST_ONCE:,} at a time.")
        return [_numbered(number, question, book) for number, question in enumerate(asked, 1)]
    return one(asked, book)


def _numbered(number: int, asked: object, book: Book) -> dict[str, Any]:
    try:
        return one(asked, book)
    except Invalid as problem:
        raise Invalid(f"Question {number}: {problem.message}", problem.hint) from problem


def one(asked: object, book: Book = BUNDLED) -> dict[str, Any]:
    if not isinstance(asked, Mapping):
        raise Invalid("The question is a JSON object, or a list of such.", f"It has {', '.join(MEMBERS)}.")
    unknown = sorted(str(name) for name in asked if name not in MEMBERS)
    if unknown:
        raise Invalid(f"The question has no {', '.join(unknown)}.", f"It may have: {', '.join(MEMBERS)}")
    if "usage" not in asked:
        raise Invalid("The question lacks usage.", "Give the provider's own usage object, or null where it told none.")
    provider = _text(asked, "provider")
    counted = count(asked["usage"], provider)
    at, flags = _time(asked.get("time")), set(counted.flags)
    if at is None:
        at = clock.now()
        flags.add("time_assumed")
    counted.units |= _units(asked.get("units"))
    facts = counted.facts | _facts(asked)
    found, model = _price(book, provider, asked, counted, at, facts, flags)
    told = _lines(found, counted, str(_text(asked, "operation") or ""))
    reasons = _reasons(provider, model, found, counted, told)
    return _document(asked, provider, model, at, counted, found, told, reasons, flags | _assumed(found, told, counted))


def _price(
    book: Book,
    provider: str | None,
    asked: Mapping[str, Any],
    counted: Counted,
    at: datetime,
    facts: Mapping[str, str],
    flags: set[str],
) -> tuple[Resolved | None, str | None]:
    """The answered model is priced, else the one that was asked for. A model that is named in the answer's body stands
    for an alias, and for a name that nobody has priced (a deployment's)."""
    told, requested = _text(asked, "model"), _text(asked, "model_requested")
    answered = [told, counted.model]
    if told and counted.model and is_alias(told):
        answered.reverse()
    try:
        for model in dict.fromkeys((*answered, requested)):
            found = book.find(provider, model, at, facts)
            if found is not None and model:
                flags |= {"price_on_requested_model"} if model not in answered else set()
                flags |= {"alias_assumed"} if is_alias(model) else set()
                return found, model
    except Tie as problem:
        raise Invalid(str(problem)) from problem
    return None, told or counted.model or requested


def is_alias(model: str) -> bool:
    """Whether a name says that it moves on."""
    return model.lower().endswith("-latest")


def _lines(found: Resolved | None, counted: Counted, operation: str) -> list[Line] | None:
    """None where the tokens are not told. Where a model's answers have no price in tokens, none is a fact."""
    buckets = counted.buckets
    if buckets["out_visible"] is None and buckets["in_uncached"] is not None:
        priced_out = found is None or any(unit.startswith("output") for unit in found.prices)
        if operation.lower() in WITHOUT_ANSWER or not priced_out:
            counted.buckets = buckets = {**buckets, "out_visible": 0}
    if found is None:
        return None
    told = buckets["in_uncached"] is not None and buckets["out_visible"] is not None
    no_tokens = buckets["in_uncached"] is None and buckets["out_visible"] is None
    by_unit = no_tokens and any(unit in found.prices for unit in counted.units if unit not in ON_TOP)
    if not told and not by_unit:
        return None
    units = {**counted.units, **({"requests": 1} if "requests" in found.prices else {})}
    if "requests" in counted.units:
        units["requests"] = counted.units["requests"]
    if provider_minimum := _least_seconds(found):
        units = {unit: max(n, provider_minimum) if unit == "audio_seconds" else n for unit, n in units.items()}
    priced = {unit: n for unit, n in units.items() if unit in found.prices or unit in CHARGED}
    return lines(found, buckets, counted.parts, priced)


ON_TOP = ("web_searches", "storage_searches", "requests")
"""Units that come with tokens, and are no call by themselves."""
CHARGED = ("web_searches", "storage_searches", "search_units", "pages")
"""Units that cost something wherever they are counted: without a price the cost is not known."""


def _least_seconds(found: Resolved) -> int:
    """Groq charges ten seconds at least."""
    return 10 if found.names[0].startswith("groq/whisper") else 0


def _reasons(
    provider: str | None, model: str | None, found: Resolved | None, counted: Counted, told: list[Line] | None
) -> list[str]:
    """Why there is no sum; empty where there is one."""
    out = []
    if counted.empty:
        out.append("usage_missing")
    elif counted.unread or (told is None and found is not None):
        out.append("usage_incomplete")
    if not provider:
        out.append("provider_missing")
    if not model:
        out.append("model_missing")
    if found is None and provider and model:
        out.append("price_missing")
    return out + [f"price_missing:{line.unit}" for line in told or () if line.price is None]


def _assumed(found: Resolved | None, told: list[Line] | None, counted: Counted) -> set[str]:
    if found is None:
        return set()
    out = {f"{name}_assumed" for name in found.open_facts} | {f"{name}_not_priced" for name in found.unpriced_facts}
    out |= {f"{line.unit}_price_assumed" for line in told or () if line.taken}
    if found.life_apart and counted.buckets.get("in_cache_write_other"):
        out.add("cache_write_ttl_assumed")
    for name in counted.parts:
        side, _, modality = name.partition("_")
        unit = {"in": "input", "out": "output", "tool": "input"}.get(side, side) + f"_{modality}"
        if modality != "text" and unit not in found.prices and side != "cached":
            out.add(f"{unit}_priced_as_text")
    if (
        counted.parts
        and (counted.buckets.get("in_cache_read") or 0)
        and not any(name.startswith("cached_") for name in counted.parts)
        and any(f"input_{name.partition('_')[2]}" in found.prices for name in counted.parts if name.startswith("in_"))
    ):
        out.add("cached_modality_assumed")
    return out


def _document(
    asked: Mapping[str, Any],
    provider: str | None,
    model: str | None,
    at: datetime,
    counted: Counted,
    found: Resolved | None,
    told: list[Line] | None,
    reasons: list[str],
    flags: set[str],
) -> dict[str, Any]:
    total = None if reasons or told is None else sum((line.amount or Decimal(0) for line in told), Decimal(0))
    said, by_sender = counted.reported, False
    if total is not None and said is not None and abs(total - said) > max(total * APART, TEN_NANO):
        flags.add("cost_mismatch")
    if total is None and said is not None:
        total, by_sender = said, True
        flags.add("cost_from_sender")
    assumed = any(flag.endswith(GUESSED) or flag in DOUBTED for flag in flags)
    confidence = "unknown" if total is None else "sender" if by_sender else "assumed" if assumed else "exact"
    out: dict[str, Any] = {
        "provider": provider,
        "model": model,
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "buckets": counted.buckets,
        "overlays": counted.parts,
        "units": {name: _plain(n) for name, n in counted.units.items()},
        "prices": {},
        "amounts": {},
        "lines": [_line(line) for line in told or ()],
        "total": None if total is None else money(total),
        "total_nano": None if total is None else nano_of(total),
        "currency": "USD",
        "reason": reasons[0] if reasons else None,
        "reasons": reasons,
        "source": _source(found),
        "confidence": confidence,
        "flags": sorted(flags),
        "reported_total": None if counted.reported is None else money(counted.reported),
    }
    for name in dict.fromkeys(line.bucket for line in told or ()):
        mine = [line for line in told or () if line.bucket == name]
        out["prices"][name] = None if mine[-1].price is None else money(mine[-1].price)
        known = [line.amount for line in mine]
        out["amounts"][name] = None if None in known else money(sum((n for n in known if n), Decimal(0)))
    return out


def _line(line: Line) -> dict[str, Any]:
    return {
        "bucket": line.bucket,
        "unit": line.unit,
        "count": _plain(line.count),
        "price": None if line.price is None else money(line.price),
        "per": line.per,
        "amount": None if line.amount is None else money(line.amount),
        "taken_from": line.taken or None,
    }


def _source(found: Resolved | None) -> dict[str, Any] | None:
    if found is None:
        return None
    table, _, number = found.source.rpartition(" ")
    return {
        "table": table or found.source,
        "version": number if table else "",
        "row": " + ".join(found.names),
        "rows": list(found.names),
        "conditions": dict(found.conditions),
        "override": found.override,
        "factor": money(found.factor),
        "per": {unit: PER.get(unit, 1) for unit in found.prices},
    }


def money(amount: Decimal) -> str:
    """Without an exponent and without zeros at the end."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _plain(number: int | Decimal) -> int | str:
    return number if isinstance(number, int) else money(number)


def _facts(asked: Mapping[str, Any]) -> dict[str, str]:
    """What the caller knows of the call stands before what the usage says of it."""
    out = {name: said for name in CONDITIONS if (said := _text(asked, name))}
    if said := _text(asked, "inference_geo"):
        out.setdefault("region", said)
    batch = asked.get("batch")
    if batch not in (None, True, False):
        raise Invalid("batch is true or false.")
    if batch:
        out["processing"] = "batch"
    usual(out)
    return out


def _units(told: Any) -> dict[str, int | Decimal]:
    if told is None:
        return {}
    if not isinstance(told, Mapping):
        raise Invalid("units is an object of names and counts.", f"Names: {', '.join(PER)}")
    out: dict[str, int | Decimal] = {}
    for name, n in told.items():
        if name not in PER or isinstance(n, bool) or not isinstance(n, int | float) or n < 0:
            raise Invalid(f"units.{name} is no count that is priced.", "Counts are 0 or more; names as in a price row.")
        out[str(name)] = n if isinstance(n, int) else Decimal(repr(n))
    return out


def _time(told: Any) -> datetime | None:
    if told is None:
        return None
    try:
        if not isinstance(told, str):
            raise ValueError
        if len(told) == 10:
            return datetime.combine(date.fromisoformat(told), datetime.min.time(), UTC)
        found = datetime.fromisoformat(told)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"time {told!r} is no instant.", "Write it like 2026-08-21T12:00:00Z.") from None


def _text(asked: Mapping[str, Any], name: str) -> str | None:
    said = asked.get(name)
    if said is not None and not isinstance(said, str):
        raise Invalid(f"{name} is a text.")
    return said.strip() or None if said else None
