"""What predictions and their labels add up to: hours, days and baselines are sums of tallies, never counted again.

Scores from 0 to 1 are counted in cells of equal width in log odds: their ends are as fine as their middle.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import orjson

from afterlaunch.performance.crossing import (
    OTHER,
    SCORE_GROUPS,
    Array,
    Coded,
    Said,
    added,
    crossed,
    disagreements,
    losses_by,
    same,
)
from afterlaunch.performance.sampling import merged

CELLS, WIDEST = 400, 10.0  # of log odds, from -10 to 10
LAGS, FIRST_LAG, LAG_STEP = 72, 1.0, 1.3  # cells of seconds from prediction to label; the last ends after five years
SIZE_STEP = 1.1  # cells of absolute errors
CLASSES = 100  # of outputs and labels that are told apart
FLOOR = 1e-7  # of a probability in a logarithm
MEASURES = "ndcg", "mrr", "precision", "recall"  # of rankings
EXPOSED = "exposed"  # segment: whether those who label saw the output
LATENCY_STEP, LATEST = 1.01, 1 << 20  # cells of milliseconds; that of time-outs
EXPECTED_FOLDS = 5  # models that expect errors
GAINS = 201  # cells of nDCG, from 0 to 1
PROBABILITY, CONFIDENCE = "probability", "confidence"
APART = ("speaks_of", "cutoff", "expected_by", "contents", "contents_below")  # do not add up as sums do


def _cells() -> Array:
    return np.zeros((2, CELLS), np.int64)


def _expected() -> Array:
    return np.zeros(3 + EXPECTED_FOLDS)


@dataclass
class Tally:
    """`speaks_of`: what the scores are: the probability of the positive class, or the confidence in the output.
    `cells`: scored predictions, by whether the output is the positive class (of confidence: all in the first row);
    `labelled_cells`: those with a label; `hit_cells`: those whose label is the positive class, or equals the output.
    `segments`: of each value rows, labelled ones, their losses and squared losses; a loss is 1 for a wrong class, the
    absolute error of a quantity. `errors`: sums over labelled quantities: error, its absolute value, square and fourth
    power, label, its square. `sizes`: absolute errors by cells. `sources`: labels, and how many equal the output;
    `source_cells`: labels by groups of scores, then those that are hits;
    `pairs`: of two sources that labelled the same prediction, how often they said what; `coincidences`: of all of them,
    as `agreement.alpha` takes them. `queries`: sums over rankings, see `rankings`; `gains`: their nDCG by cells;
    `cutoff`: the rank down to which they were judged. `expected`, `large_cells`: sums of `expecting.Expecting` over all
    quantities, labelled or not, by the model `expected_by`. `latency`: predictions by cells of milliseconds.
    `segment_cells`: of each value of a segment, four runs of groups of scores: scored predictions whose output is not
    the positive class, or is; labelled ones; hits. `source_labels`: what each source said how often. `contents`,
    `contents_below`: a sample of contents, and of each what labels which source gave it, see `sampling`. `items`: of
    rankings what they showed, by groups of items. `source_segments`: see `crossing.disagreements`."""

    rows: int = 0
    labelled: int = 0
    without_output: int = 0
    score_invalid: int = 0
    speaks_of: str = ""
    outputs: dict[str, int] = field(default_factory=dict)
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    cells: Array = field(default_factory=_cells)
    labelled_cells: Array = field(default_factory=_cells)
    hit_cells: Array = field(default_factory=_cells)
    log_loss: Array = field(default_factory=lambda: np.zeros(3))  # count, sum, sum of squares
    errors: Array = field(default_factory=lambda: np.zeros(6))
    sizes: dict[int, int] = field(default_factory=dict)
    lags: Array = field(default_factory=lambda: np.zeros(LAGS, np.int64))
    segments: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    sources: dict[str, list[int]] = field(default_factory=dict)
    pairs: dict[str, dict[str, int]] = field(default_factory=dict)
    coincidences: dict[str, float] = field(default_factory=dict)
    source_cells: dict[str, list[int]] = field(default_factory=dict)
    segment_cells: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    queries: Array = field(default_factory=lambda: np.zeros(10))
    gains: Array = field(default_factory=lambda: np.zeros(GAINS, np.int64))
    cutoff: int = 0
    expected: Array = field(default_factory=_expected)
    large_cells: Array = field(default_factory=lambda: np.zeros(101, np.int64))
    expected_by: int = 0
    latency: dict[int, int] = field(default_factory=dict)
    source_labels: dict[str, dict[str, int]] = field(default_factory=dict)
    contents: dict[str, dict[str, int]] = field(default_factory=dict)
    contents_below: float = 1.0
    items: dict[int, int] = field(default_factory=dict)
    source_segments: dict[str, dict[str, dict[str, list[int]]]] = field(default_factory=dict)

    @property
    def correct(self) -> int:
        return sum(labels.get(output, 0) for output, labels in self.confusion.items())

    @property
    def classified(self) -> int:
        return sum(sum(labels.values()) for labels in self.confusion.values())

    @property
    def is_regression(self) -> bool:
        return bool(self.errors.any() or self.sizes)

    @property
    def is_ranking(self) -> bool:
        return bool(self.cutoff)

    @property
    def judged(self) -> int:
        """What scores rest on: labelled predictions, or rankings of which anything is labelled."""
        return int(self.gains.sum()) if self.is_ranking else self.labelled

    @property
    def coverage(self) -> float:
        return self.labelled / self.rows if self.rows else 0.0

    def merge(self, other: Tally) -> Tally:
        speaks = self.speaks_of or other.speaks_of
        if self.speaks_of and other.speaks_of and self.speaks_of != other.speaks_of:
            speaks = ""  # scores of two meanings say nothing together
        found = Tally(speaks_of=speaks, cutoff=max(self.cutoff, other.cutoff))
        found.expected_by = self.expected_by or other.expected_by
        for one in fields(Tally):
            if one.name not in APART:
                setattr(found, one.name, added(getattr(self, one.name), getattr(other, one.name)))
        found.contents, found.contents_below = merged(
            self.contents, self.contents_below, other.contents, other.contents_below
        )
        if not speaks and (self.speaks_of or other.speaks_of):
            found.cells, found.labelled_cells, found.hit_cells = _cells(), _cells(), _cells()
        if self.expected_by and other.expected_by and self.expected_by != other.expected_by:
            found.expected, found.large_cells, found.expected_by = _expected(), np.zeros(101, np.int64), 0
        return found


def total(tallies: list[Tally]) -> Tally:
    found = Tally()
    for one in tallies:
        found = found.merge(one)
    return found


def pack(tally: Tally) -> bytes:
    told = {one.name: getattr(tally, one.name) for one in fields(Tally)}
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
    return zlib.compress(orjson.dumps(told, option=options), 6)


def unpack(body: bytes) -> Tally:
    told = orjson.loads(zlib.decompress(body))
    whole = ("cells", "labelled_cells", "hit_cells", "lags", "gains", "large_cells")
    for name in (*whole, "log_loss", "errors", "queries", "expected"):
        if name not in told:
            continue  # it was packed before there was such a thing
        told[name] = np.array(told[name], np.int64 if name in whole else np.float64)
    for name in ("sizes", "latency", "items"):
        told[name] = {int(key): count for key, count in told.get(name, {}).items()}
    return Tally(**told)


def score_cells(scores: Array) -> Array:
    """Of scores from 0 to 1."""
    inner = np.clip(scores, 1e-9, 1 - 1e-9)
    odds = np.log(inner / (1 - inner))
    cells: Array = np.clip(np.floor((odds + WIDEST) * CELLS / (2 * WIDEST)), 0, CELLS - 1).astype(np.int64)
    return cells


def cell_middles() -> Array:
    odds = -WIDEST + (np.arange(CELLS) + 0.5) * 2 * WIDEST / CELLS
    return np.asarray(1 / (1 + np.exp(-odds)))


def lag_ends() -> Array:
    """Seconds at which the cells of lags end."""
    return np.asarray(FIRST_LAG * LAG_STEP ** np.arange(LAGS))


@dataclass(frozen=True)
class Classified:
    """Predictions of classes. `labels` -1, `lags` not a number: not labelled yet. `scores` not a number: none.
    `positive`: the class that is counted as positive; '' where there is none, and scores are confidences."""

    outputs: Coded
    labels: Coded
    lags: Array
    scores: Array
    speaks_of: str = ""
    positive: str = ""
    segments: Mapping[str, Coded] = field(default_factory=dict)
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Predictions of quantities; not a number: none."""

    outputs: Array
    labels: Array
    lags: Array
    segments: Mapping[str, Coded] = field(default_factory=dict)


def classified(given: Classified) -> Tally:
    outputs, labels = given.outputs, given.labels
    judged = (outputs.codes >= 0) & (labels.codes >= 0)
    names = _few(outputs, labels, *(one.labels for one in given.said))
    found = Tally(rows=len(outputs.codes), labelled=int((labels.codes >= 0).sum()))
    found.without_output = int((outputs.codes < 0).sum())
    found.outputs = _counts(outputs, names)
    found.confusion = _confusion(outputs, labels, judged, names)
    alike = same(outputs, labels)
    wrong = (judged & ~alike).astype(np.float64)
    found.lags = lags_in(given.lags)
    _scored(found, given, judged, alike)
    found.segments = losses_by(given.segments, len(outputs.codes), judged, wrong)
    found.source_segments = disagreements(given.segments, given.outputs, given.said)
    _sources(found, given, names)
    _source_cells(found, given)
    return found


def _few(*coded: Coded) -> dict[str, str]:
    """What each value is called: the rare ones of too many are one."""
    counts: dict[str, int] = {}
    for one in coded:
        for value, count in zip(
            one.values, np.bincount(one.codes[one.codes >= 0], minlength=len(one.values)), strict=True
        ):
            counts[value] = counts.get(value, 0) + int(count)
    often = sorted(counts, key=lambda value: (-counts[value], value))[:CLASSES]
    kept = set(often)
    return {value: value if value in kept else OTHER for value in counts}


def _counts(coded: Coded, names: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value, count in zip(
        coded.values, np.bincount(coded.codes[coded.codes >= 0], minlength=len(coded.values)), strict=True
    ):
        if count:
            found[names[value]] = found.get(names[value], 0) + int(count)
    return found


def _confusion(outputs: Coded, labels: Coded, judged: Array, names: Mapping[str, str]) -> dict[str, dict[str, int]]:
    width = max(len(labels.values), 1)
    keys, counts = np.unique(outputs.codes[judged].astype(np.int64) * width + labels.codes[judged], return_counts=True)
    found: dict[str, dict[str, int]] = {}
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        said, true = outputs.values[key // width], labels.values[key % width]
        row = found.setdefault(names[said], {})
        # two rare classes that differ must not look the same
        name = names[true] if said == true or names[said] != OTHER or names[true] != OTHER else f"{OTHER} 2"
        row[name] = row.get(name, 0) + count
    return found


def _scored(found: Tally, given: Classified, judged: Array, alike: Array) -> None:
    given_scores = np.isfinite(given.scores)
    usable = given_scores & (given.scores >= 0) & (given.scores <= 1) & (given.outputs.codes >= 0)
    found.score_invalid = int((given_scores & ~((given.scores >= 0) & (given.scores <= 1))).sum())
    if not given.speaks_of or not usable.any():
        return
    found.speaks_of = given.speaks_of
    is_positive = _equals(given.outputs, given.positive) if given.speaks_of == PROBABILITY else np.zeros_like(usable)
    hit = _equals(given.labels, given.positive) if given.speaks_of == PROBABILITY else alike
    cells = np.zeros(len(usable), np.int64)
    cells[usable] = score_cells(given.scores[usable])
    for part, rows in (
        ("cells", usable),
        ("labelled_cells", usable & judged),
        ("hit_cells", usable & judged & hit),
    ):
        setattr(
            found,
            part,
            np.stack([np.bincount(cells[rows & side], minlength=CELLS) for side in (~is_positive, is_positive)]),
        )
    parts = (usable & ~is_positive, usable & is_positive, usable & judged, usable & judged & hit)
    found.segment_cells = crossed(given.segments, cells * SCORE_GROUPS // CELLS, parts)
    if given.speaks_of == PROBABILITY:
        rows = usable & judged
        chance = np.clip(np.where(hit[rows], given.scores[rows], 1 - given.scores[rows]), FLOOR, 1.0)
        loss = -np.log(chance)
        found.log_loss = np.array([rows.sum(), loss.sum(), (loss**2).sum()], np.float64)


def _equals(coded: Coded, value: str) -> Array:
    if value not in coded.values:
        return np.zeros(len(coded.codes), bool)
    return np.asarray(coded.codes == coded.values.index(value))


def lags_in(lags: Array) -> Array:
    seconds = np.maximum(lags[np.isfinite(lags)], 0.0)
    at = np.searchsorted(lag_ends(), seconds, side="left")
    return np.bincount(np.minimum(at, LAGS - 1), minlength=LAGS).astype(np.int64)


def _sources(found: Tally, given: Classified, names: Mapping[str, str]) -> None:
    for one in given.said:
        there = one.labels.codes >= 0
        outputs = given.outputs.codes[one.rows]
        alike = same(Coded(given.outputs.values, outputs), one.labels)
        before = found.sources.get(one.source, [0, 0])
        found.source_labels[one.source] = _counts(one.labels, names)
        found.sources[one.source] = [before[0] + int(there.sum()), before[1] + int((there & alike).sum())]
    for at, one in enumerate(given.said):
        for other in given.said[at + 1 :]:
            both, mine, theirs = np.intersect1d(one.rows, other.rows, return_indices=True)
            if not len(both):
                continue
            first, second = sorted((one.source, other.source))
            told = found.pairs.setdefault(f"{first}\t{second}", {})
            for a, b in zip(one.labels.codes[mine].tolist(), other.labels.codes[theirs].tolist(), strict=True):
                words = one.labels.values[a], other.labels.values[b]
                key = "\t".join(words if one.source == first else words[::-1])
                told[key] = told.get(key, 0) + 1
    _coincidences(found, given)


def _source_cells(found: Tally, given: Classified) -> None:
    if not found.speaks_of:
        return
    usable = np.isfinite(given.scores) & (given.scores >= 0) & (given.scores <= 1) & (given.outputs.codes >= 0)
    groups = np.zeros(len(usable), np.int64)
    groups[usable] = score_cells(given.scores[usable]) * SCORE_GROUPS // CELLS
    for one in given.said:
        there = (one.labels.codes >= 0) & usable[one.rows]
        if found.speaks_of == PROBABILITY:
            hit = _equals(one.labels, given.positive)
        else:
            hit = same(Coded(given.outputs.values, given.outputs.codes[one.rows]), one.labels)
        of = groups[one.rows]
        counts = [np.bincount(of[rows], minlength=SCORE_GROUPS) for rows in (there, there & hit)]
        told = np.concatenate(counts).tolist()
        found.source_cells[one.source] = added(found.source_cells.get(one.source, [0] * 2 * SCORE_GROUPS), told)


def _coincidences(found: Tally, given: Classified) -> None:
    """Only of predictions that several sources labelled; their number is small beside all."""
    answers = np.zeros(len(given.outputs.codes), np.int64)
    for one in given.said:
        answers[one.rows[one.labels.codes >= 0]] += 1
    told: dict[int, list[str]] = {}
    for one in given.said:
        shared = (one.labels.codes >= 0) & (answers[one.rows] > 1)
        for row, code in zip(one.rows[shared].tolist(), one.labels.codes[shared].tolist(), strict=True):
            told.setdefault(row, []).append(one.labels.values[code])
    for words in told.values():
        for at, word in enumerate(words):
            for other in words[:at] + words[at + 1 :]:
                key = f"{word}\t{other}"
                found.coincidences[key] = found.coincidences.get(key, 0.0) + 1 / (len(words) - 1)


def measured(given: Measured) -> Tally:
    judged = np.isfinite(given.outputs) & np.isfinite(given.labels)
    error = np.where(judged, given.outputs - given.labels, 0.0)
    size = np.abs(error)
    label = np.where(judged, given.labels, 0.0)
    found = Tally(rows=len(given.outputs), labelled=int(np.isfinite(given.labels).sum()))
    found.without_output = int((~np.isfinite(given.outputs)).sum())
    sums = (error, size, error**2, error**4, label, label**2)
    found.errors = np.array([one[judged].sum() for one in sums], np.float64)
    keys, counts = np.unique(size_cells(size[judged]), return_counts=True)
    found.sizes = dict(zip(keys.tolist(), counts.tolist(), strict=True))
    found.lags = lags_in(given.lags)
    found.segments = losses_by(given.segments, found.rows, judged, size)
    return found


def latency_cells(milliseconds: Array) -> dict[int, int]:
    """Below 0: a time-out; not a number: not told."""
    told = milliseconds[~np.isnan(milliseconds)]
    cells = np.floor(np.log(np.clip(told, 1e-3, 1e12)) / np.log(LATENCY_STEP)).astype(np.int64)
    keys, counts = np.unique(np.where(told < 0, LATEST, cells), return_counts=True)
    return dict(zip(keys.tolist(), counts.tolist(), strict=True))


def size_cells(sizes: Array) -> Array:
    """Of absolute errors: logarithmic, about 10 % wide; exact zeros have one of their own."""
    least = 1e-12
    at = np.floor(np.log(np.maximum(sizes, least)) / np.log(SIZE_STEP)).astype(np.int64)
    return np.where(sizes < least, -10_000, at)
