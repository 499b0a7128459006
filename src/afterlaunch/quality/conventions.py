"""Whether senders changed their conventions: an attribute renamed, a field that was filled and no longer is. Pure.

1. What was told lately and before is told apart by who sent it: service and scope. Where a version of the scope is new
and has calls enough, it alone is judged, so that older ones beside it hide nothing; else all of them. 2. Senders with
too few calls in either time are left out. 3. Of each sender is asked, worst first: spans that could not be mapped;
fields that were filled and no longer are; usage that no rule knows; other attributes that no rule knows; flags that
rose. Shares count as risen only where chance is ruled out. 4. The worst answer stands, the others are its evidence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.tally import CALL, FAILED_MAPPING, FIELD, FLAG, OPERATION, UNKNOWN
from afterlaunch.telemetry.told import Count
from afterlaunch.verdicts.words import CHANCE, Finding, Status, View, chance_of

ENOUGH_PAST, ENOUGH_RECENT = 100, 30
USUAL, LOST = 0.5, 0.1
"""A field that this share of the calls filled, and of which no more than this part is left, is lost."""
SELDOM, RISEN = 0.01, 0.2
"""What no more than this share of the spans told before, and at least that share tells now, is new."""
FLAGGED, TIMES = 0.05, 5
ALIKE = 0.6
COUNTED = ("in_uncached", "out_visible", "model_answered")
"""Without these fields calls are not counted right."""
UNKNOWN_USAGE = "usage_key_unknown"
OF_OTHERS = {
    *("price_missing", "price_on_requested_model", "cost_mismatch", "cost_from_sender", "content_truncated"),
    *("clock_skew", "usage_record", "possible_duplicate", FAILED_MAPPING, UNKNOWN_USAGE),
}
"""Flags that tell nothing of conventions, or are asked for by themselves."""
_TOLD_BY = {
    "in_uncached": ("in_total",),
    "in_cache_read": ("cache_read",),
    "in_cache_write": ("cache_write", "cache_write_5m", "cache_write_1h"),
    "out_visible": ("out_total",),
    "out_reasoning": ("reasoning",),
    "ttft_ns": ("ttft_s", "ttft_ms", "ttft_at"),
}
_SOURCES = {field.name: [source.key for source in field.sources] for field in FIELDS}


@dataclass
class Sent:
    """What one sender told in one time."""

    spans: int = 0
    calls: int = 0
    told: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    versions: set[str] = field(default_factory=set)

    def whole(self, what: str) -> int:
        """Of what a share is one: of the calls for fields, of all spans for the others."""
        return self.calls if what == FIELD else self.spans

    def share(self, what: str, key: str) -> float:
        whole = self.whole(what)
        return min(1.0, self.told.get((what, key), 0) / whole) if whole else 0.0

    def keys(self, what: str) -> list[str]:
        return sorted(key for kind, key in self.told if kind == what)

    def risen(self, what: str, key: str, line: float) -> bool:
        """Whether the share is above the line, and not by chance."""
        whole = self.whole(what)
        hits = min(whole, self.told.get((what, key), 0))
        return self.share(what, key) > line and chance_of(hits, whole, max(line, SELDOM)) < CHANCE


@dataclass(frozen=True)
class Change:
    """`rank`: 0 is the worst."""

    rank: int
    status: Status
    reason: str
    words: str
    value: float
    threshold: float


Sender = tuple[str, str]
Rows = Iterable[Count]


@dataclass(frozen=True)
class Conventions:
    per: tuple[str, ...] = ()
    name: str = "quality.conventions"
    title: str = "Conventions drifted"
    explanation: str = "A sender renamed attributes, no longer tells what it told, or tells usage that no rule knows."
    severity: str = "P3"

    def assess(self, view: View) -> Finding:
        return drifted(self.name, view.told.recent, view.told.past)


def drifted(judge: str, recent: Rows, past: Rows) -> Finding:
    """The verdict on one system in one environment: `recent` against `past`, a longer time before it."""
    before = {sender: _summed(rows) for sender, rows in _by_sender(past).items()}
    now = {sender: _latest(rows, before.get(sender)) for sender, rows in _by_sender(recent).items()}
    known = [
        sender
        for sender in sorted(now.keys() & before.keys())
        if now[sender].calls >= ENOUGH_RECENT and before[sender].calls >= ENOUGH_PAST
    ]
    if not known:
        told = sum(one.calls for one in now.values())
        said = f"No sender told {ENOUGH_RECENT} calls in the last two hours and {ENOUGH_PAST} in the week before."
        return Finding(judge, Status.NOT_ASSESSED, "too_few_calls", said, count=told)
    calls = sum(now[sender].calls for sender in known)
    changes = [(change, sender) for sender in known for change in changes_of(now[sender], before[sender])]
    if not changes:
        return Finding(judge, Status.OK, "steady", "Senders tell what they told before.", count=calls)
    worst, (service, scope) = min(changes, key=lambda one: (one[0].rank, -one[0].value, one[1], one[0].words))
    versions = _new_versions(now[service, scope], before[service, scope])
    more = f" {len(changes) - 1} more." if len(changes) > 1 else ""
    said = f"{worst.words} Told by {scope or 'an unnamed scope'} in {service or 'an unnamed service'}{versions}.{more}"
    evidence = {"service": service, "scope": scope, "changes": " ".join(change.words for change, _ in changes[:20])}
    return Finding(judge, worst.status, worst.reason, said, worst.value, worst.threshold, "share", calls, evidence)


def _by_sender(rows: Rows) -> dict[Sender, list[Count]]:
    out: dict[Sender, list[Count]] = defaultdict(list)
    for row in rows:
        out[row.service, row.scope].append(row)
    return out


def _summed(rows: Rows) -> Sent:
    sent = Sent()
    for row in rows:
        if row.what == OPERATION:
            sent.spans += row.spans
            sent.calls += row.spans if row.key == CALL else 0
            sent.versions.add(row.version)
        else:
            sent.told[row.what, row.key] += row.spans
    return sent


def _latest(rows: list[Count], before: Sent | None) -> Sent:
    """Of the new versions, if they have calls enough; else of all."""
    new = _summed(row for row in rows if before and row.version not in before.versions)
    return new if new.calls >= ENOUGH_RECENT else _summed(rows)


def _new_versions(now: Sent, before: Sent) -> str:
    new = sorted(now.versions - before.versions - {""})
    return f", new version {', '.join(new)}" if new else ""


def changes_of(now: Sent, before: Sent) -> list[Change]:
    """What one sender tells differently."""
    new = {
        key: now.share(UNKNOWN, key)
        for key in now.keys(UNKNOWN)
        if now.share(UNKNOWN, key) >= RISEN and before.share(UNKNOWN, key) <= SELDOM
    }
    lost, left = _lost(now, before, new)
    return [*_unmapped(now, before), *lost, *_unknown_usage(now, before), *_unknown(left), *_risen(now, before)]


def _unmapped(now: Sent, before: Sent) -> list[Change]:
    line = before.share(FLAG, FAILED_MAPPING) + SELDOM
    if not now.risen(FLAG, FAILED_MAPPING, line):
        return []
    share = now.share(FLAG, FAILED_MAPPING)
    return [Change(0, Status.BREACH, "mapping_failed", f"{share:.0%} of the spans cannot be mapped.", share, line)]


def _lost(now: Sent, before: Sent, new: Mapping[str, float]) -> tuple[list[Change], dict[str, float]]:
    """(fields that are filled no longer, each with what seems to stand for it now; new attributes that stand for none).
    One that calls are not counted by is lost only where a new attribute or a new version explains it: whether a call
    has a user or a session is the application's affair."""
    out, left = [], dict(new)
    for key in before.keys(FIELD):
        usual, share = before.share(FIELD, key), now.share(FIELD, key)
        if usual < USUAL or share > usual * LOST:
            continue
        renamed = _renamed(key, new)
        if key not in COUNTED and not renamed and not _new_versions(now, before):
            continue
        words = f"{key} is told by {share:.0%} of the calls, usually by {usual:.0%}."
        if renamed:
            old, to = renamed
            words = f"{old} seems to be {to} now, which no rule knows: {words}"
            left.pop(to, None)
        status, rank = (Status.BREACH, 1) if key in COUNTED else (Status.WARNING, 4)
        reason = "renamed" if renamed else "field_lost"
        out.append(Change(rank, status, reason, words, usual - share, usual * (1 - LOST)))
    return out, left


def _renamed(key: str, new: Mapping[str, float]) -> tuple[str, str] | None:
    """(the attribute that told this field, by its likeness; the new one that seems to stand for it)."""
    olds = [source for name in _TOLD_BY.get(key, (key,)) for source in _SOURCES.get(name, ())]
    like = [(SequenceMatcher(None, old, to).ratio(), old, to) for old in olds for to in sorted(new)]
    ratio, old, to = max(like, default=(0.0, "", ""), key=lambda one: one[0])
    return (old, to) if ratio >= ALIKE else None


def _unknown_usage(now: Sent, before: Sent) -> list[Change]:
    if before.share(FLAG, UNKNOWN_USAGE) > SELDOM or not now.risen(FLAG, UNKNOWN_USAGE, SELDOM):
        return []
    share = now.share(FLAG, UNKNOWN_USAGE)
    keys = [key for key in now.keys(UNKNOWN) if before.share(UNKNOWN, key) <= SELDOM]
    keys = [key for key in keys if "usage" in key or "token" in key]
    named = f" ({', '.join(keys[:3])})" if keys else ""
    words = f"{share:.0%} of the spans tell usage by attributes that no rule knows{named}."
    return [Change(2, Status.BREACH, "usage_unknown", words, share, SELDOM)]


def _unknown(new: Mapping[str, float]) -> list[Change]:
    if not new:
        return []
    most = max(new.values())
    words = f"Up to {most:.0%} of the spans tell new attributes that no rule knows: {', '.join(sorted(new)[:5])}."
    return [Change(5, Status.WARNING, "unknown_attributes", words, most, RISEN)]


def _risen(now: Sent, before: Sent) -> list[Change]:
    out = []
    for key in now.keys(FLAG):
        usual = before.share(FLAG, key)
        line = max(FLAGGED, TIMES * usual)
        if key not in OF_OTHERS and now.risen(FLAG, key, line):
            share = now.share(FLAG, key)
            words = f"{share:.0%} of the spans are flagged {key}, usually {usual:.0%}."
            out.append(Change(6, Status.WARNING, "flags_risen", words, share, line))
    return out
