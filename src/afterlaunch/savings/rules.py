"""Recommendations: what could be saved at one place, on what evidence, at which risk (spend rules §8). Pure.

Each rule gives None (nothing to find), or an `Idea`. An idea without `saving` is not assessed: it says what is missing
and has no number. Savings are of 30 days, with an interval; those of one place overlap and are never added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from afterlaunch.savings.caching import Simulated, duplicates, in_prompt_cache
from afterlaunch.savings.facts import Place, Rate, Score, Use, answers_as, pooled
from afterlaunch.telemetry import profiles

WORTH_NANO, WORTH_SHARE = 1_000_000_000, 0.02
"""What saves less in a month, or a smaller share of its place, is not worth reading."""
FEWEST = 50
SCORED = 30
Prices = Callable[[str | None, str | None, Mapping[str, str]], Rate | None]
"""(provider, model, facts such as processing=batch) -> rate now."""


@dataclass(frozen=True)
class Saving:
    """Nano-USD in 30 days: 95 % interval around `middle`."""

    low: int
    middle: int
    high: int


@dataclass(frozen=True)
class Idea:
    """`target`: what to go over to (a model, a limit). `missing`: why it is not assessed. `refused`: why it must not be
    done, with what it would have saved."""

    kind: str
    place: Place
    title: str
    saving: Saving | None
    evidence: Sequence[str]
    assumes: str
    risk: str
    effort: str
    target: str = ""
    missing: str = ""
    refused: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def ideas(use: Use, prices: Prices) -> list[Idea]:
    """All that the rules find at one place, what saves most first."""
    if use.known < FEWEST or use.month_nano < WORTH_NANO:
        return []
    found = [failures(use), answers_again(use)]
    found += [rule(use, prices) for rule in (output_limit, prompt_cache, batch, history, reasoning)]
    all_of = [one for one in found if one is not None] + swaps(use, prices)
    return sorted(all_of, key=lambda one: -(one.saving.middle if one.saving else 0))


def worth(use: Use, saving: Saving | None) -> bool:
    return saving is not None and saving.middle >= max(WORTH_NANO, WORTH_SHARE * use.month_nano)


def _counted(nano: float, count: int, days: float) -> Saving:
    """Of so many independent events: their sum in 30 days, with a Poisson interval."""
    month = nano * 30 / days
    half = 1.96 / sqrt(max(count, 1))
    return Saving(int(max(0.0, month * (1 - half))), int(month), int(month * (1 + half)))


def failures(use: Use) -> Idea | None:
    saving = _counted(use.failed_nano, use.failed, use.days)
    if use.failed < 10 or not worth(use, saving):
        return None
    share = use.failed_nano / use.cost_nano
    return Idea(
        "failed_attempts",
        use.place,
        f"Stop paying for calls that fail: {use.place.words}",
        saving,
        (f"{use.failed:,} of {use.calls:,} calls failed and still cost {share:.1%} of the money.",),
        "Every failed call that was billed could have been avoided.",
        "low",
        "find the cause: the page Errors tells by whose fault",
        figures={"failed": use.failed, "calls": use.calls},
    )


def output_limit(use: Use, prices: Prices) -> Idea | None:
    """What lies beyond the 99th percentile of the answers' length."""
    answers = sum(count for _, count in use.output)
    rate = prices(use.place.provider, use.place.model, {})
    if answers < 500 or rate is None or rate.output is None:
        return None
    limit = _round_up(profiles.upper(profiles.holding(use.output, 0.99)))
    beyond = [(max(0.0, profiles.middle(step) - limit), count) for step, count in use.output]
    tokens, count = sum(more * n for more, n in beyond), sum(n for more, n in beyond if more)
    saving = _counted(tokens * rate.output / 1000, count, use.days)
    if not count or not worth(use, saving):
        return None
    return Idea(
        "output_limit",
        use.place,
        f"Limit answers to {limit:,} tokens: {use.place.words}",
        saving,
        (
            f"{count:,} of {answers:,} answers are longer than {limit:,} tokens; 99 of 100 are shorter.",
            f"{use.truncated:,} answers are cut off by a limit today.",
        ),
        "Answers beyond the limit are cut off there; lengths come from a histogram, within 4.5 %.",
        "medium: long answers are cut off",
        "set max_tokens; try it as a staged change",
        target=str(limit),
        figures={"limit": limit, "answers": answers, "beyond": count},
    )


def _round_up(value: float) -> int:
    size = 64
    while size < value:
        size += max(64, 2 ** (size.bit_length() - 3))
    return size


def prompt_cache(use: Use, prices: Prices) -> Idea | None:
    rate = prices(use.place.provider, use.place.model, {})
    if rate is None or rate.input is None or not rate.caches or use.inputs < 1_000_000:
        return None
    title = f"Use the provider's prompt cache: {use.place.words}"
    found = in_prompt_cache(use.said, rate)
    if found is None:
        already = use.buckets.get("in_cache_read", 0) / use.inputs
        possible = use.inputs * (rate.input - (rate.cache_read or 0)) / 1000 * 30 / use.days
        if already > 0.5 or possible < WORTH_NANO:
            return None
        return _unknown("prompt_caching", use, title, _content(use))
    saving = _scaled(found, use)
    if not worth(use, saving):
        return None
    return Idea(
        "prompt_caching",
        use.place,
        title,
        saving,
        (
            f"Of {found.calls:,} prompts in order of time, {found.hits:,} begin like one of the five minutes before.",
            f"{found.share_now:.0%} of the input comes from the cache today; {found.share_then:.0%} could.",
        ),
        "A prefix of at least 1,024 tokens is kept for five minutes; writing it costs what the price table says.",
        "low: answers do not change",
        "put what stays the same first, mark it for the cache where the provider asks for that",
        figures=found.figures,
    )


def answers_again(use: Use) -> Idea | None:
    terms = use.terms
    title = f"Answer repeated questions from the gateway's cache: {use.place.words}"
    if terms is not None and terms.freshness_minutes == 0:
        return None
    minutes = 60 if terms is None or terms.freshness_minutes is None else terms.freshness_minutes
    found = duplicates(use.said, minutes)
    if found is None:
        return None
    saving = _scaled(found, use)
    if not worth(use, saving):
        return None
    if terms is None or terms.freshness_minutes is None:
        return _unknown(
            "response_caching",
            use,
            title,
            f"{found.hits:,} of {found.calls:,} prompts came word for word within an hour, but nobody has said how old"
            " an answer may be. Say it in the terms of the route.",
        )
    return Idea(
        "response_caching",
        use.place,
        title,
        saving,
        (f"{found.hits:,} of {found.calls:,} prompts came word for word within {minutes} minutes before.",),
        f"The same question may get the same answer for {minutes} minutes, as the terms of the route say.",
        "medium: answers may be out of date, and are shared by who asks the same within one key",
        "switch the cache of the route on",
        figures=found.figures,
    )


def _scaled(found: Simulated, use: Use) -> Saving:
    """A share of the sample's cost as a share of the month's."""
    low, high = (min(1.0, max(0.0, found.share + sign * found.half)) for sign in (-1, 1))
    return Saving(*(int(share * use.month_nano) for share in (low, max(0.0, found.share), high)))


def _content(use: Use) -> str:
    if not use.sampled:
        return "No call of the last week was looked at."
    return (
        f"Prompts of {len(use.said):,} of {use.sampled:,} calls are kept, which is too few to compare them. Keep"
        " content (masked is enough), or look at the prompts in the application."
    )


def batch(use: Use, prices: Prices) -> Idea | None:
    usual = prices(use.place.provider, use.place.model, {})
    cheap = prices(use.place.provider, use.place.model, {"processing": "batch"})
    if usual is None or cheap is None or usual.name == cheap.name:
        return None
    now, then = usual.of(use.buckets), cheap.of(use.buckets)
    if not now or then is None or then >= now:
        return None
    title = f"Send by the provider's batch interface: {use.place.words}"
    month = int(use.month_nano * (1 - then / now))
    if not worth(use, Saving(month, month, month)):
        return None
    patience = use.terms.patience_hours if use.terms else None
    if use.production and patience is None:
        return _unknown(
            "batch", use, title, "Nobody has said how long an answer may take. Say it in the terms of the route."
        )
    if use.production and (patience or 0) < 24:
        return None
    return Idea(
        "batch",
        use.place,
        title,
        Saving(month, month, month),
        (f"{use.calls:,} calls; batch prices are {1 - then / now:.0%} lower ({cheap.name}).",),
        "All of these calls may wait for 24 hours; fees of search and tools are not reduced.",
        "low: answers come within a day",
        "send requests as files",
        figures={"factor": round(then / now, 4)},
    )


def history(use: Use, prices: Prices) -> Idea | None:
    """Turns of a conversation that are sent again and again."""
    turns: dict[str, list[int]] = {}
    for one in use.said:
        if one.session:
            turns.setdefault(one.session, []).append(one.inputs)
    long = [row for row in turns.values() if len(row) > KEPT_TURNS and row[-1] > row[0]]
    whole = sum(one.inputs for one in use.said)
    if len(long) < 10 or not whole:
        return None
    old = [sum(max(0, row[at - KEPT_TURNS] - row[0]) for at in range(KEPT_TURNS, len(row))) for row in long]
    rate = prices(use.place.provider, use.place.model, {})
    cost = sum(one.cost_nano or 0 for one in use.said)
    if rate is None or rate.input is None or not cost:
        return None
    price = rate.input
    cached = use.buckets.get("in_cache_read", 0) / use.inputs if use.inputs else 0.0
    if rate.cache_read is not None:
        price = int(price * (1 - cached) + rate.cache_read * cached)
    share = sum(old) * price / 1000 / cost
    middle = min(0.9, share) * use.month_nano
    half = 1.96 * middle / sqrt(len(long))
    saving = Saving(int(max(0.0, middle - half)), int(middle), int(middle + half))
    if not worth(use, saving):
        return None
    return Idea(
        "prompt_trimming",
        use.place,
        f"Send the last {KEPT_TURNS} turns, not the whole conversation: {use.place.words}",
        saving,
        (
            f"{len(long):,} of {len(turns):,} conversations in the sample are longer than {KEPT_TURNS} turns.",
            f"What they said before makes {sum(old) / whole:.0%} of all input tokens.",
        ),
        "What lies further back is not needed for the answer, or a summary of it costs little.",
        "medium: the model forgets; try it on the evaluation set first",
        "shorten the history in the application; try it as a staged change",
        target=str(KEPT_TURNS),
        figures={"conversations": len(turns), "long": len(long)},
    )


KEPT_TURNS = 10


def reasoning(use: Use, prices: Prices) -> Idea | None:
    rate = prices(use.place.provider, use.place.model, {})
    if rate is None or rate.reasoning is None or not use.cost_nano:
        return None
    share = use.buckets.get("out_reasoning", 0) * rate.reasoning / 1000 / use.cost_nano
    if share < 0.3:
        return None
    return _unknown(
        "reasoning_effort",
        use,
        f"Try a lower reasoning effort: {use.place.words}",
        f"Reasoning makes {min(share, 1):.0%} of the cost. What less of it saves, and what it does to the answers,"
        " only a trial tells.",
    )


def _unknown(kind: str, use: Use, title: str, missing: str, target: str = "") -> Idea:
    return Idea(kind, use.place, title, None, (), "", "", "", target=target, missing=missing)


# -- other models ---------------------------------------------------------------------------------------------------


def swaps(use: Use, prices: Prices) -> list[Idea]:
    """Cheaper models that meet the accuracy bar, those that fail it, and those of which it is not known."""
    terms, place = use.terms, use.place
    now = prices(place.provider, place.model, {})
    if now is None or (cost := now.of(use.buckets)) is None or not cost:
        return []
    if terms is None or not terms.metric or terms.minimum is None:
        wanted = "Say in the terms of the route which evaluation decides, its minimum, and which models may be tried."
        missing = f"This route has no accuracy bar. {wanted}"
        return [_unknown("model_swap", use, f"Look for a cheaper model: {place.words}", missing)]
    scores = use.scores.get(terms.metric, {})
    out = []
    for provider, model in terms.candidates:
        rate = prices(provider, model, {})
        then = rate.of(_flat(use.buckets, rate)) if rate else None
        if answers_as(place.model, model) or (then is not None and then >= cost):
            continue
        title = f"Use {model} in place of {place.words}"
        if then is None:
            out.append(_unknown("model_swap", use, title, f"Nobody has priced {provider}/{model}.", model))
            continue
        ratio = then / cost
        saving = Saving(*(int(max(0.0, 1 - ratio * factor) * use.month_nano) for factor in (1.3, 1.0, 0.8)))
        if worth(use, saving):
            out.append(_swap(use, title, model, saving, scores))
    return out


def _flat(buckets: Mapping[str, int], rate: Rate) -> Mapping[str, int]:
    """Of a model whose cache has no price of its own, cached tokens are plain input."""
    if rate.caches:
        return buckets
    moved = {name: 0 if "cache" in name else count for name, count in buckets.items()}
    cached = sum(count for name, count in buckets.items() if "cache" in name)
    return {**moved, "in_uncached": moved.get("in_uncached", 0) + cached}


def _of_model(scores: Mapping[str, Score], model: str) -> Score | None:
    return pooled([one for answered, one in scores.items() if answers_as(answered, model)])


def _swap(use: Use, title: str, model: str, saving: Saving, scores: Mapping[str, Score]) -> Idea:
    terms = use.terms
    if terms is None or terms.minimum is None:
        raise ValueError("asked with terms only")
    theirs, ours = (_of_model(scores, one) for one in (model, use.place.model or ""))
    if theirs is None or theirs.count < SCORED:
        have = theirs.count if theirs else 0
        missing = f"{model} has {have} of {SCORED} scores of {terms.metric} on this route. A shadow run gathers them."
        return _unknown("model_swap", use, title, missing, model)
    said = f"{terms.metric} of {model}: {theirs.mean:.3f} ± {theirs.half:.3f} ({theirs.count:,} answers)"
    evidence = [f"{said}; the bar is {terms.minimum:g}."]
    refused = "" if theirs.mean - theirs.half >= terms.minimum else f"{said} is not surely above {terms.minimum:g}."
    if ours is not None and ours.count >= SCORED:
        worse, half = ours.mean - theirs.mean, sqrt(ours.half**2 + theirs.half**2)
        evidence.append(f"{use.place.model}: {ours.mean:.3f} ± {ours.half:.3f} ({ours.count:,} answers).")
        if not refused and worse + half > terms.margin:
            refused = f"It may be {worse + half:.3f} worse than {use.place.model}; {terms.margin:g} is allowed."
    return Idea(
        "model_swap",
        use.place,
        title,
        saving,
        evidence,
        "The same tokens at the other model's price; its tokens may be 0.8 to 1.3 times as many until a run tells.",
        "medium: another model answers",
        "propose it as a staged change of the route",
        target=model,
        refused=refused,
        figures={"score": round(theirs.mean, 4), "scored": theirs.count, "bar": terms.minimum},
    )
