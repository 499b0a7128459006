"""How a saving is written, the same on pages, in the API and in reports. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from afterlaunch.look.formats import money, percent
from afterlaunch.savings.models import Recommendation
from afterlaunch.telemetry.views.grids import usd

KINDS = {
    "failed_attempts": "Failed attempts",
    "output_limit": "Limit on answers",
    "prompt_caching": "Prompt cache",
    "response_caching": "Repeated questions",
    "batch": "Batch",
    "prompt_trimming": "Shorter prompts",
    "reasoning_effort": "Reasoning effort",
    "model_swap": "Another model",
}
STATES = {
    "projected": "to decide",
    "not_assessed": "not assessed",
    "rejected": "rejected",
    "accepted": "accepted",
    "in_shadow": "on trial",
    "verified": "verified",
    "realised": "realised",
    "refuted": "refuted",
    "declined": "declined",
    "gone": "no longer found",
}
BY = {
    "shadow": "a shadow run",
    "candidate": "a staged change",
    "ledger": "the time before and after",
    "watched": "what its calls would have cost",
}


def saving(row: Recommendation) -> str:
    """Projected, in 30 days."""
    if row.low_nano is None or row.middle_nano is None or row.high_nano is None:
        return "not assessed"
    if row.low_nano == row.high_nano:
        return money(row.middle_nano)
    return f"{money(row.middle_nano)} ({money(row.low_nano)} to {money(row.high_nano)})"


def bounds(row: Recommendation) -> str:
    """The interval of what is projected; empty where it is a point, or not assessed."""
    if row.low_nano is None or row.high_nano is None or row.low_nano == row.high_nano:
        return ""
    return f"{_rough(row.low_nano)} to {_rough(row.high_nano)}"


def _rough(nano: int) -> str:
    """Cents say nothing of an interval of hundreds of dollars."""
    return f"${nano / 1e9:,.0f}" if nano >= 100 * 10**9 else money(nano)


def measured(row: Recommendation) -> str:
    """What was shown, in 30 days; empty while nothing was."""
    told = row.measured
    if not told:
        return ""
    how = BY[told["by"]]
    if told["by"] == "watched":
        return _watched(row.kind, told)
    if "share" not in told:
        so_far = f"{told['before']:,} calls as it was and {told['after']:,} as proposed"
        return f"{how}: so far {so_far}; 100 of each are needed"
    less = f"{percent(abs(told['share']))} {'less' if told['share'] >= 0 else 'more'} a call"
    return f"{money(abs(told['share_nano']))} a month {_saved(told)}: {less} ({_interval(told)}), by {how}"


def shown(row: Recommendation) -> tuple[str, str] | None:
    """What was shown in 30 days as an amount and its interval; None while nothing was."""
    told = row.measured
    if "share_nano" not in told:
        return None
    return f"{money(abs(told['share_nano']))} {_saved(told)}", f"{_interval(told)} of the cost"


def _saved(told: Mapping[str, Any]) -> str:
    return "saved" if told["share"] >= 0 else "more"


def _interval(told: Mapping[str, Any]) -> str:
    """Signs only where it may go either way."""
    sign = "+" if told["low"] < 0 else ""
    return f"{told['low']:{sign}.1%} to {told['high']:{sign}.1%}{' saved' if sign else ''}"


TAKEN = {
    "response_caching": ("would have been answered again", "were answered otherwise by the upstream"),
    "failed_attempts": ("would not have been tried", "were answered after all"),
    "batch": ("could have waited", "would have been lost"),
}


def _watched(kind: str, told: Mapping[str, Any]) -> str:
    taken, lost = TAKEN[kind]
    seen = f"{told['after']:,} of {told['before']:,} calls in {told['hours']} hours {taken}"
    seen += f", {told['lost']:,} of them {lost}" if told["after"] and kind != "batch" else ""
    if "share" not in told:
        return f"{seen}; at least 100 calls in 12 hours are needed"
    saved = f"{money(told['share_nano'])} a month saved: {percent(told['share'])} of the cost"
    return f"{saved} ({percent(told['low'])} to {percent(told['high'])}); {seen}"


_COUNT = re.compile(r"(?<![\w.-])\d[\d,]*(?![\w.-])")


def shape(text: str) -> str:
    """A sentence without its counts."""
    return _COUNT.sub("0", text)


def alike(texts: Sequence[str]) -> str:
    """Sentences of one shape in one: counts that differ as the least and the most."""
    counts = [[int(one.replace(",", "")) for one in _COUNT.findall(text)] for text in texts]
    spans = iter([(min(column), max(column)) for column in zip(*counts, strict=True)])

    def told(_: re.Match[str]) -> str:
        low, high = next(spans)
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    return _COUNT.sub(told, texts[0])


def as_document(row: Recommendation) -> dict[str, Any]:
    """For the API and reports. Amounts in USD in 30 days; null: not assessed."""
    return {
        "id": row.pk,
        "client": row.client.slug,
        "kind": row.kind,
        "state": row.state,
        "title": row.title,
        "place": row.place,
        "target": row.target or None,
        "saving_usd": _usd(row.middle_nano),
        "saving_low_usd": _usd(row.low_nano),
        "saving_high_usd": _usd(row.high_nano),
        "evidence": row.evidence,
        "figures": {name: value for name, value in row.figures.items() if name != "month_nano"},
        "assumes": row.assumes,
        "risk": row.risk,
        "effort": row.effort,
        "missing": row.missing,
        "found_at": row.found_at,
        "seen_at": row.seen_at,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by or None,
        "reason": row.reason,
        "live_at": row.live_at,
        "measured": _measured(row.measured),
        "path": row.path,
    }


def _usd(nano: int | None) -> str | None:
    return None if nano is None else usd(nano)


def _measured(told: Mapping[str, Any]) -> dict[str, Any] | None:
    if not told:
        return None
    amounts = {name: told[name] for name in told if name.endswith("_nano")}
    rest = {name: value for name, value in told.items() if name not in amounts}
    return rest | {f"saving_{name.removesuffix('_nano')}_usd": usd(value) for name, value in amounts.items()}
