"""Meaning by a local embedding model, which the operator names as a folder (static embeddings, `model2vec`): how like
an answer is to its question and to what was retrieved, and where it lies along eight fixed directions, so that a change
of subject shows. Off unless named; nothing is ever downloaded.

The directions are drawn once for a length of vectors, the same on every machine, as cells are: any period can be the
reference. Another model is another set of cells, and begins new references.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from afterlaunch.ground.settings import settings
from afterlaunch.profiles.hashing import Array

log = logging.getLogger(__name__)
SETTING = "ANSWERS_EMBEDDINGS"
FILES = ("model.safetensors", "tokenizer.json", "config.json")
DIRECTIONS = 8
SEED = 20_260_301
LONGEST = 20_000  # characters of a text
NAMED = [f"direction_{at}" for at in range(1, DIRECTIONS + 1)]
NAMES = ("meaning_question", "meaning_context", *NAMED)
Embed = Callable[[Sequence[str]], Array]


def folder() -> Path | None:
    named = settings()[SETTING]
    return Path(named) if named else None


def why_not() -> str:
    """Why meaning is not assessed although a model is named; empty: it is, or none is named."""
    named = folder()
    if named is None:
        return ""
    lacking = [one for one in FILES if not (named / one).is_file()]
    if lacking:
        return f"Meaning is not assessed: {named} has no {lacking[0]}."
    if find_spec("model2vec") is None:
        return "Meaning is not assessed: model2vec is not installed (pip install 'afterlaunch[embeddings]')."
    return ""


def digest() -> int:
    """Of the model in force, above 0; 0: none is."""
    named = folder()
    if named is None or why_not():
        return 0
    stamps = tuple((one, (named / one).stat().st_mtime_ns) for one in FILES)
    return _digest(str(named), stamps)


@cache
def _digest(named: str, stamps: tuple[tuple[str, int], ...]) -> int:
    sums = hashlib.sha256()
    for one, _ in stamps:
        with (Path(named) / one).open("rb") as file:
            sums.update(hashlib.file_digest(file, "sha256").digest())
    return 1 + int.from_bytes(sums.digest()[:4], "big") % 32_000


def in_force() -> Embed | None:
    number = digest()
    return _loaded(str(folder()), number) if number else None


@cache
def _loaded(named: str, number: int) -> Embed | None:
    """None, and a line of the log, where the folder holds no model that can be read."""
    from model2vec import StaticModel  # only who describes answers loads it

    try:
        model: Any = StaticModel.from_pretrained(Path(named))
    except Exception:  # the library has no errors of its own
        log.exception("the embedding model in %s can't be read: meaning is not assessed", named)
        return None

    def embed(texts: Sequence[str]) -> Array:
        """(n, d), of length 1, or 0 where no word is known."""
        found = np.asarray(model.encode([text[:LONGEST] for text in texts], use_multiprocessing=False), np.float64)
        sizes = np.linalg.norm(found, axis=1, keepdims=True)
        known: Array = np.divide(found, sizes, out=np.zeros_like(found), where=sizes > 0)
        return known

    return embed


@cache
def directions(length: int) -> Array:
    """(d, k), at right angles to one another, as long as makes the spread of random answers 1."""
    drawn = np.random.default_rng(SEED).normal(size=(length, min(DIRECTIONS, length)))
    found: Array = np.linalg.qr(drawn)[0] * np.sqrt(length)
    return found


def describe(embed: Embed, answer: str, question: str, context: str) -> dict[str, float]:
    """Of `NAMES`, what can be told: texts may be empty."""
    told = {"answer": answer, "meaning_question": question, "meaning_context": context}
    known = {name: text for name, text in told.items() if text.strip()}
    if "answer" not in known:
        return {}
    vectors = dict(zip(known, embed(list(known.values())), strict=True))
    own = vectors.pop("answer")
    if not own.any():
        return {}
    found = {name: float(np.clip(own @ vector, -1.0, 1.0)) for name, vector in vectors.items() if vector.any()}
    along = own @ directions(len(own))
    return found | dict(zip(NAMED, along.tolist(), strict=False))
