"""An hour against its reference: what is compared now, what the charts and e-detectors have gathered, and the verdict
of each feature. Pure; the same profiles in the same order give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from afterlaunch.drift import judging, sequential
from afterlaunch.drift.evidence import Tolerance
from afterlaunch.drift.false_alarms import NOT_KNOWN, FalseAlarms, a_month, of_document, together
from afterlaunch.drift.judging import DRIFT, NOT_ASSESSED, Judged, Limits
from afterlaunch.drift.sequential import BETS, Promise, Ranks, State
from afterlaunch.predictions.packed import Profiles
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.packing import Profile

WINDOWS = 1_000  # hours between false pages, and between false warnings of either kind, of all features together
TABLED = 100_000.0  # the longest ARL of the charts' thresholds
RARE = 0.01  # of a reference's values may have come once: unseen ones are about as many, and would look like drift
LIMITS = Limits(alpha=1 / WINDOWS, tolerance=Tolerance())
TOLERANCE = 0.009  # of the mean rank: a mean moved by 0.03 standard deviations
BREACH, WARNING, OK = "breach", "warning", "ok"
ORDER = (BREACH, WARNING, OK, NOT_ASSESSED)
WIDTH = 3 + 4 * len(BETS) + 2  # numbers of a stream's state


@dataclass(frozen=True)
class Known:
    """A reference, prepared. `streams`: the features that are followed from hour to hour. `hours`: of features with a
    rhythm, the hours of the week that this one is compared with, in words."""

    profiles: Profiles
    streams: tuple[str, ...]
    starts: dict[str, Array]
    ranks: Ranks | None
    hours: Mapping[str, str] = field(default_factory=dict)

    @property
    def promise(self) -> Promise:
        arl = float(WINDOWS * max(len(self.streams), 1))
        return Promise(min(arl, TABLED), arl, TOLERANCE)

    def false_alarms(self, name: str) -> FalseAlarms:
        """Of a feature, judged every hour. It has its part of the comparison's, as long as no feature drifts; what is
        not followed warns by that alone."""
        compared = a_month(WINDOWS) / max(len(self.profiles), 1)
        if name not in self.starts:
            return FalseAlarms(0.0, compared)
        return FalseAlarms(a_month(self.promise.page_arl), compared + a_month(self.promise.warning_arl))


@dataclass(frozen=True)
class Followed:
    """`held` (F,): what was paged and is not over."""

    state: State
    held: Array


@dataclass(frozen=True)
class Feature:
    """`judged`: the comparison of this hour alone. `hours`: of the week, with which it was compared; else ''."""

    name: str
    status: str
    reason: str
    why: str
    judged: Judged
    hours: str = ""
    false_alarms: FalseAlarms = NOT_KNOWN

    def as_document(self) -> dict[str, Any]:
        told = self.judged.summary()
        kept = ("kind", "method", "statistic", "effect", "q_value", "n_reference", "n_current")
        said: dict[str, Any] = {"name": self.name, "status": self.status, "reason": self.reason, "why": self.why}
        said["false_alarms_per_month"] = self.false_alarms.as_document()
        return said | ({"hours": self.hours} if self.hours else {}) | {key: told[key] for key in kept}


def known(profiles: Profiles) -> Known:
    streams = tuple(name for name, profile in profiles.items() if _followed(profile))
    starts = {name: sequential.starts_of(sequential.cells_of(profiles[name])) for name in streams}
    if not streams:
        return Known(profiles, (), {}, None)
    return Known(profiles, streams, starts, sequential.ranks(_counts(profiles, streams, starts)))


def in_hours(of: Known, same: Profiles, told: str) -> Known:
    """The features of `same` compared with that: the same hours of the week, in words `told`."""
    starts = dict(of.starts)
    for name in of.streams:
        if name in same and same[name].count:
            starts[name] = sequential.starts_of(sequential.cells_of(same[name]))
    profiles = {**of.profiles, **same}
    ranks = of.ranks
    if ranks is not None:
        lasting = np.array([name not in same for name in of.streams], np.float64)
        ranks = sequential.ranks(_counts(profiles, of.streams, starts), lasting)
    return replace(of, profiles=profiles, starts=starts, ranks=ranks, hours=dict.fromkeys(same, told))


def begun_anew(followed: Followed, of: Known, names: Sequence[str]) -> Followed:
    """What charts and detectors gathered against another reference says nothing of this one."""
    anew = np.array([name in names for name in of.streams], bool)
    state, fresh_state = followed.state, State.fresh(len(of.streams))
    found = {
        one: np.where(anew.reshape((-1,) + (1,) * (getattr(state, one).ndim - 1)), getattr(fresh_state, one), had)
        for one, had in vars(state).items()
    }
    return Followed(State(**found), followed.held & ~anew)


def _followed(profile: Profile) -> bool:
    if not profile.count:
        return False
    if not isinstance(profile, CategoryProfile):
        return True
    once = int((profile.cells == 1).sum() + profile.cells[profile.layout.other])
    return once <= RARE * profile.count


def _counts(profiles: Profiles, streams: Sequence[str], starts: dict[str, Array]) -> Array:
    return np.stack([sequential.padded(sequential.cells_of(profiles[name]), starts[name]) for name in streams])


def fresh(of: Known) -> Followed:
    return Followed(State.fresh(len(of.streams)), np.zeros(len(of.streams), bool))


def as_bytes(followed: Followed) -> bytes:
    state = followed.state
    streams = len(state.fast)
    parts = (state.fast, state.slow, state.spread, state.windows, followed.held)
    return np.column_stack([state.log_r.reshape(streams, 4 * len(BETS)), *parts]).astype("<f8").tobytes()


def from_bytes(body: bytes, of: Known) -> Followed:
    """Raises ValueError where the bytes are not of this reference."""
    table = np.frombuffer(body, "<f8").reshape(len(of.streams), WIDTH)
    bets = 4 * len(BETS)
    log_r = table[:, :bets].reshape(-1, 2, 2, len(BETS)).copy()
    fast, slow, spread, windows, held = table[:, bets:].T.copy()
    return Followed(State(fast, slow, spread, log_r, windows.astype(np.int64)), held.astype(bool))


def judge(of: Known, before: Followed, current: Profiles) -> tuple[Followed, list[Feature]]:
    """One closed hour: what is known after it, and every feature's verdict, in the order of the reference."""
    compared = _compared(of, current)
    if of.ranks is None:
        return before, [_in_hours(_alone(one), of) for one in compared.values()]
    counts = _counts(current, of.streams, of.starts)
    state, signals = sequential.step(of.ranks, before.state, counts, of.promise)
    place = {name: at for at, name in enumerate(of.streams)}
    held = np.zeros(len(of.streams), bool)
    features = []
    for name, one in compared.items():
        at = place.get(name)
        if at is None:
            features.append(_alone(one))
            continue
        moved = one.verdict == DRIFT or bool(signals.warned[at])
        held[at] = signals.paged[at] or (before.held[at] and (moved or not signals.assessed[at]))
        features.append(_worded(one, bool(held[at]), bool(signals.paged[at]), bool(signals.warned[at])))
    return Followed(state, held), [_in_hours(one, of) for one in features]


def _compared(of: Known, current: Profiles) -> dict[str, Judged]:
    """In the order of the reference. What the same hours of the week told too little of is not assessed."""
    thin = {name for name in of.hours if of.profiles[name].count < sequential.LEAST_REFERENCE}
    pairs = {name: (profile, current[name]) for name, profile in of.profiles.items() if name not in thin}
    found = {one.name: one for one in judging.judge(pairs, LIMITS)}
    for name in thin:
        before = of.profiles[name]
        had, least = before.count, sequential.LEAST_REFERENCE
        why = f"Not assessed. The weeks that were learnt have {had} of {least} values on {of.hours[name]}."
        kind = "category" if isinstance(before, CategoryProfile) else "numeric"
        count = current[name].count
        found[name] = Judged(name, kind, NOT_ASSESSED, NOT_ASSESSED, "thin_hours", why, had, count)
    return {name: found[name] for name in of.profiles}


def _in_hours(one: Feature, of: Known) -> Feature:
    """What was found, with what it was compared with."""
    told = of.hours.get(one.name, "")
    why = f"{one.why} Compared with {told}." if told and one.status in (BREACH, WARNING) else one.why
    return replace(one, hours=told, why=why, false_alarms=of.false_alarms(one.name))


def _alone(one: Judged) -> Feature:
    status = WARNING if one.verdict == DRIFT else NOT_ASSESSED if one.verdict == NOT_ASSESSED else OK
    return Feature(one.name, status, one.reason, one.why, one)


def _worded(one: Judged, held: bool, paged: bool, warned: bool) -> Feature:
    if held:
        reason = "e_detector" if paged else "still_drifted"
        told = (
            f"It left the reference, by this hour and those before it; chance pages once in {WINDOWS:,} hours."
            if paged
            else "It was paged for, and has not come back."
        )
        return Feature(one.name, BREACH, reason, _sentence(one, told), one)
    if one.verdict == DRIFT:
        return _alone(one)
    if warned:
        told = f"Its mean or spread moves away from the reference; by chance once in {WINDOWS:,} hours."
        return Feature(one.name, WARNING, "chart", _sentence(one, told), one)
    return _alone(one)


def _sentence(one: Judged, told: str) -> str:
    moved = one.evidence.moved if one.evidence else ""
    return f"{moved[:1].upper()}{moved[1:]}. {told}" if moved else told


def false_alarms_of(told: Sequence[Mapping[str, Any]]) -> FalseAlarms:
    """Of all features of an hour, as they are kept."""
    return together(of_document(one.get("false_alarms_per_month")) for one in told)


def overall(features: Sequence[Feature]) -> tuple[str, str]:
    """Of a whole hour: the worst of its features, and a sentence."""
    by = {status: [one for one in features if one.status == status] for status in ORDER}
    assessed = len(features) - len(by[NOT_ASSESSED])
    if not assessed:
        first = by[NOT_ASSESSED][0].why if by[NOT_ASSESSED] else "The reference has no column that could be compared."
        return NOT_ASSESSED, f"No feature could be assessed. {first}"
    unsure = f" {len(by[NOT_ASSESSED])} could not be assessed." if by[NOT_ASSESSED] else ""
    for status, word in ((BREACH, "drifted"), (WARNING, "may have drifted")):
        if found := by[status]:
            names = ", ".join(one.name for one in found[:5]) + (" and others" if len(found) > 5 else "")
            count = f"{len(found)} of {assessed} assessed features {word}: {names}."
            first = found[0].why if len(found) == 1 else f"Of {found[0].name}: {found[0].why}"
            return status, f"{count} {first}{unsure}"
    return OK, f"None of {assessed} assessed features drifted.{unsure}"
