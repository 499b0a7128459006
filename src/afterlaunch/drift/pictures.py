"""Distributions then and now as plain SVG; colours are the page's variables."""

from __future__ import annotations

from html import escape

import numpy as np

from afterlaunch.drift.evidence import said
from afterlaunch.drift.weighing import union
from afterlaunch.profiles import numeric
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.numeric import NumericProfile

WIDTH, HEIGHT, FOOT = 320, 110, 16
BARS = 48
SHOWN = 10  # categories
TAIL = 0.005  # of either side, beyond which values share the outermost bars


def picture(reference: NumericProfile | CategoryProfile, current: NumericProfile | CategoryProfile, told: str) -> str:
    """`told`: for those who do not see it."""
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        body = _histogram(reference, current)
    else:
        assert isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile)
        body = _bars(reference, current)
    if not body:
        return ""
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{body}</svg>'


def _range(profiles: tuple[NumericProfile, NumericProfile]) -> tuple[float, float]:
    low = min(profile.quantile(TAIL) for profile in profiles)
    high = max(profile.quantile(1 - TAIL) for profile in profiles)
    if high > low:
        return low, high
    low, high = min(one.least for one in profiles), max(one.greatest for one in profiles)
    room = max(abs(low), 1.0) * 0.5
    return (low - room, high + room) if low == high else (low, high)


def _masses(profile: NumericProfile, points: Array) -> Array:
    """Shares of the bars between the points; what lies beyond them is in the outermost."""
    bounds = numeric.ends(profile)
    reached = np.concatenate(([0.0], np.cumsum(profile.cells) / profile.count))
    at = np.interp(points, bounds, reached)
    at[0], at[-1] = 0.0, 1.0
    return np.diff(at)


def _histogram(reference: NumericProfile, current: NumericProfile) -> str:
    profiles = reference, current
    if not reference.count or not current.count:
        return ""
    low, high = _range(profiles)
    if not np.isfinite(float(high) - float(low)):
        return ""
    points = _points_of(reference, low, high)
    masses = [_masses(profile, points) for profile in profiles]
    tallest = max(float(mass.max()) for mass in masses) or 1.0
    floor = HEIGHT - FOOT
    width = WIDTH / (len(points) - 1)
    paths = []
    for mass, name in zip(masses, ("then", "now"), strict=True):
        path = [f"M0 {floor}"]
        for at, share in enumerate(mass):
            path.append(f"V{floor - (floor - 4) * share / tallest:.1f}H{(at + 1) * width:.1f}")
        paths.append(f'<path class="{name}" d="{"".join(path)}V{floor}"/>')
    return "".join(paths) + _axis(floor, said(low), said((low + high) / 2), said(high))


def _points_of(reference: NumericProfile, low: float, high: float) -> Array:
    """Ends of the bars: of whole numbers each bar holds equally many."""
    edges = reference.layout.edges
    if np.abs(edges - np.round(edges)).max() > 1e-6:
        return np.linspace(low, high, BARS + 1)
    step = max(1.0, np.ceil((high - low) / BARS))
    return np.arange(np.floor(low) - 0.5, np.ceil(high) + step, step)


def _axis(floor: int, *labels: str) -> str:
    places = ((0, "start"), (WIDTH / 2, "middle"), (WIDTH, "end"))
    texts = "".join(
        f'<text x="{x:g}" y="{HEIGHT - 3}" text-anchor="{anchor}">{escape(label)}</text>'
        for label, (x, anchor) in zip(labels, places, strict=True)
    )
    return f'<path class="axis" d="M0 {floor}H{WIDTH}"/>{texts}'


def _bars(reference: CategoryProfile, current: CategoryProfile) -> str:
    """The categories with the largest shares on either side, as pairs of lines; the rest is one pair."""
    if not reference.count or not current.count:
        return ""
    names, before, now = union(reference, current)
    shares = np.stack((before / before.sum(), now / now.sum()))
    order = np.argsort(-shares[:, :-1].max(0), kind="stable")
    kept = [int(at) for at in order[: SHOWN - 1] if shares[:, at].max() > 0]
    rows = [(names[at], float(shares[0, at]), float(shares[1, at])) for at in kept]
    rest = 1 - shares[:, kept].sum(1)
    if rest.max() > 1e-9:
        rows.append(("other values", float(rest[0]), float(rest[1])))
    tall = HEIGHT / max(len(rows), 3)
    longest = max(max(row[1:]) for row in rows) or 1.0
    left, room = 96.0, WIDTH - 96.0 - 100.0
    drawn = []
    for at, (name, had, has) in enumerate(rows):
        top, thick = at * tall, min((tall - 2) / 2, 9.0)
        drawn.append(
            f'<text x="{left - 4:g}" y="{top + tall / 2 + 3:.1f}" text-anchor="end">{escape(_fit(name))}</text>'
            f'<rect class="then" x="{left:g}" y="{top + 1:.1f}" width="{room * had / longest:.1f}"'
            f' height="{thick:.1f}"/>'
            f'<rect class="now" x="{left:g}" y="{top + 1 + thick:.1f}" width="{room * has / longest:.1f}"'
            f' height="{thick:.1f}"/>'
            f'<text x="{WIDTH}" y="{top + tall / 2 + 3:.1f}" text-anchor="end">{_points(had)} → {_points(has)}</text>'
        )
    return "".join(drawn)


def _points(share: float) -> str:
    return f"{100 * share:.1f} %"


def _fit(name: str) -> str:
    return name if len(name) <= 15 else name[:14] + "…"
