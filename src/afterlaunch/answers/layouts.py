"""The cells of each descriptor: fixed once for all, so that any two periods, systems and slices merge and compare
without being learnt anew. Another set of cells is another `VERSION`, and what was folded before it is incomparable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afterlaunch.answers import embedding
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import CategoryLayout, Layout, NumericLayout
from afterlaunch.telemetry.conventions.words import FINISH

VERSION = 1
_CODES = (
    "af am an ar as az be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fo fr ga gl gu he hi "
    "hr ht hu hy id is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mk ml mn mr ms mt nb ne nl nn "
    "no oc or pa pl ps pt qu ro ru rw se si sk sl sq sr sv sw ta te th tl tr ug uk ur vi vo wa xh zh "
    "zu"
)
LANGUAGES = tuple(_CODES.split())


def _counts(most: float, centre: float) -> NumericLayout:
    """Whole numbers: each of the first 40 has a cell of its own, those above share 280, ever wider ones."""
    steps = np.unique(np.round(np.geomspace(41, most, 280)))
    edges: Array = np.unique(np.concatenate((np.arange(41.0), steps)))
    return NumericLayout(edges, centre)


def _shares(low: float = 0.0) -> NumericLayout:
    """From `low` to 1 in 310 cells; both ends and the middle may be atoms."""
    edges = np.linspace(low, 1.0, 311)
    atoms = np.array([0.0, np.nextafter(0.0, 1.0), 1.0, np.nextafter(1.0, 2.0)])
    return NumericLayout(np.unique(np.concatenate((edges, atoms))), (low + 1.0) / 2)


def _along() -> NumericLayout:
    """Of an answer drawn by chance the spread is 1."""
    return NumericLayout(np.linspace(-12.0, 12.0, 311), 0.0)


def _names(*names: str) -> CategoryLayout:
    return CategoryLayout(tuple(names))


@dataclass(frozen=True)
class Descriptor:
    """`title`: a few words; `meaning`: what is counted."""

    title: str
    meaning: str
    layout: Layout


DESCRIPTORS: dict[str, Descriptor] = {
    "characters": Descriptor("characters", "characters of the answer", _counts(1_000_000, 800)),
    "words": Descriptor("words", "words of the answer", _counts(200_000, 150)),
    "tokens": Descriptor("output tokens", "as the provider counted them", _counts(1_000_000, 200)),
    "letters": Descriptor("letters", "share of letters among the characters", _shares()),
    "language": Descriptor("language", "of answers with 20 letters", CategoryLayout(LANGUAGES)),
    "form": Descriptor(
        "form",
        "whether JSON and arguments of tools, where asked for, can be read",
        _names("not asked", "valid", "invalid"),
    ),
    "refusal": Descriptor("refusals", "by the provider's word or by phrases in five languages", _names("no", "yes")),
    "finish": Descriptor("ending", "why the model stopped", CategoryLayout(tuple(sorted(set(FINISH.values()))))),
    "sentiment": Descriptor("sentiment", "of English answers, from -1 to 1", _shares(-1.0)),
    "repetition": Descriptor("repetition", "share of runs of three words that came before", _shares()),
    "like_question": Descriptor("like the question", "share of words that stand in the question too", _shares()),
    "like_context": Descriptor("like the sources", "share of words that stand in what was retrieved", _shares()),
}
DESCRIPTORS |= {
    "meaning_question": Descriptor("means the question", "likeness of the embeddings, from -1 to 1", _shares(-1.0)),
    "meaning_context": Descriptor("means the sources", "likeness to what was retrieved, by embeddings", _shares(-1.0)),
}
DESCRIPTORS |= {
    name: Descriptor(f"meaning, direction {at}", "where the answer's embedding lies along a fixed direction", _along())
    for at, name in enumerate(embedding.NAMED, 1)
}
WORDS: dict[str, Layout] = {name: one.layout for name, one in DESCRIPTORS.items() if name not in embedding.NAMES}
ALL: dict[str, Layout] = {name: one.layout for name, one in DESCRIPTORS.items()}
NEEDS_CONTENT = frozenset(DESCRIPTORS) - {"tokens", "finish"}


def in_force() -> dict[str, Layout]:
    """With those of meaning where a model tells it."""
    return ALL if embedding.digest() else WORDS


def cells() -> int:
    """Which set of cells is in force; every embedding model has its own."""
    return VERSION + embedding.digest()
