"""Meaning by a local model: of a tiny real one, made here; off unless named, and never a download."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest

from afterlaunch.answers import embedding, layouts, references
from afterlaunch.answers.describing import Answer, describe
from afterlaunch.answers.models import Hour
from afterlaunch.answers.tests.test_answers_drift import FIRST, day, desk, look, opened
from afterlaunch.estate.models import System
from afterlaunch.ground import clock, settings
from afterlaunch.ground.actors import automation
from afterlaunch.telemetry import store

__all__ = ["desk", "opened"]
SHIPPING = ["order", "shipped", "arrive", "house", "yesterday", "next", "sunny", "day", "week", "parcel", "delivery"]
MONEY = ["refund", "invoice", "price", "paid", "card", "bank", "credit", "amount", "charge", "fee", "bill"]
NAME = "AFTERLAUNCH_ANSWERS_EMBEDDINGS"


def made(folder: Path, seed: int = 0) -> Path:
    """Words of one subject have like vectors, those of another have other ones."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", *SHIPPING, *MONEY]
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    random = np.random.default_rng(seed)
    subjects = random.normal(size=(2, 32))
    vectors = [np.zeros(32), *(subjects[int(word in MONEY)] + 0.5 * random.normal(size=32) for word in words[1:])]
    StaticModel(np.array(vectors, np.float32), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = made(tmp_path / "model")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv(NAME, str(folder))
    settings.reload()
    yield folder
    monkeypatch.undo()
    settings.reload()


def chat(role: str, text: str) -> str:
    return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}]).decode()


def test_without_a_model_there_are_words_only() -> None:
    assert embedding.in_force() is None and embedding.why_not() == ""
    assert layouts.cells() == layouts.VERSION and "meaning_question" not in layouts.in_force()
    assert not set(describe(Answer("stop", False, 3, chat("user", "refund"), chat("assistant", "paid")))) & {
        *embedding.NAMES
    }


def test_likeness_is_of_meaning_where_no_word_is_shared(model: Path) -> None:
    embed = embedding.in_force()
    assert embed is not None
    question, near, far = "order shipped house", "parcel delivery arrive", "refund invoice bank"
    told = {
        name: describe(Answer("stop", False, 3, chat("user", question), chat("assistant", text), near), embed)
        for name, text in (("near", near), ("far", far))
    }
    assert told["near"]["like_question"] == told["far"]["like_question"] == 0
    assert float(told["near"]["meaning_question"]) > 0.6 > 0.4 > float(told["far"]["meaning_question"])
    assert told["near"]["meaning_context"] == pytest.approx(1.0)
    assert {*embedding.NAMED} < {*told["far"]}
    assert not {*embedding.NAMES} & {*describe(Answer("stop", answer=chat("assistant", "qwertz")), embed)}


def test_directions_are_the_same_everywhere_and_spread_by_one() -> None:
    found = embedding.directions(256)
    assert found.shape == (256, 8) and np.allclose(found.T @ found, 256 * np.eye(8), atol=1e-6)
    random = np.random.default_rng(3).normal(size=(4_000, 256))
    along = random / np.linalg.norm(random, axis=1, keepdims=True) @ found
    assert along.std(0) == pytest.approx(np.ones(8), abs=0.05)
    assert embedding.directions(3).shape == (3, 3)


def test_a_name_that_is_no_folder_stops_the_start() -> None:
    with pytest.raises(settings.WrongSetting, match="must be a folder that exists"):
        settings.Settings({NAME: "minishlab/potion-base-8M"})


def test_what_is_missing_is_not_assessed_with_a_sentence(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = layouts.cells()
    assert other != layouts.VERSION and embedding.why_not() == ""
    find = importlib.util.find_spec
    monkeypatch.setattr(embedding, "find_spec", lambda name: None if name == "model2vec" else find(name))
    assert "model2vec is not installed" in embedding.why_not() and embedding.in_force() is None
    assert layouts.cells() == layouts.VERSION
    monkeypatch.setattr(embedding, "find_spec", find)
    (model / "tokenizer.json").unlink()
    assert "has no tokenizer.json" in embedding.why_not() and embedding.digest() == 0


def test_a_folder_that_holds_something_else_is_not_assessed(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    (model / "model.safetensors").write_bytes(b"no tensors")
    assert embedding.in_force() is None and "can't be read" in caplog.text


def test_another_model_is_another_set_of_cells(model: Path, tmp_path: Path) -> None:
    before = layouts.cells()
    made(model, seed=1)
    assert layouts.cells() != before and 0 < layouts.cells() < 32_768


def test_a_change_of_subject_is_found_by_meaning(model: Path, opened: store.Store, desk: System) -> None:
    """The same lengths and forms, other words: two days of shipping, then one of money."""
    day(opened, 0, words=SHIPPING, sorry=0.0)
    look(FIRST + timedelta(days=1, hours=2))
    with clock.frozen(FIRST + timedelta(days=1, hours=2)):
        made_of = references.choose(automation("test"), desk, "prod", FIRST, FIRST + timedelta(days=1))
    assert made_of.cells == layouts.cells()
    day(opened, 1, words=SHIPPING, sorry=0.0)
    assert look(FIRST + timedelta(days=2, hours=2)).status == "ok"
    day(opened, 2, words=MONEY, sorry=0.0)
    assert look(FIRST + timedelta(days=3, hours=2)).status == "breach"
    newest = Hour.objects.filter(slice="").latest("start")
    told = {one["name"]: one["status"] for one in newest.features}
    assert "breach" in {told[name] for name in embedding.NAMED} and told["meaning_question"] == "breach"
    assert told["words"] == "ok"
