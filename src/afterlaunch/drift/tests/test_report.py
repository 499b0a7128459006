"""The page that `--html` writes: one file, nothing from elsewhere, nothing of the data taken for markup."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from afterlaunch.drift.judging import Limits
from afterlaunch.drift.oneshot import compare
from afterlaunch.drift.report import page

RANDOM = np.random.default_rng(2)


def written(path: Path, shift: float) -> Path:
    count = 2_000
    words = np.where(RANDOM.random(count) < 0.5 + shift / 4, "<script>", "b&b")
    columns = {"<img src=x>": RANDOM.normal(size=count) + shift, "word": words.tolist(), "same": [1] * count}
    parquet.write_table(pa.table(columns), path)
    return path


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_report_has_a_picture_and_a_reason_for_each_column(tmp_path: Path) -> None:
    found = compare(written(tmp_path / "a", 0.0), written(tmp_path / "b", 1.0), Limits())
    text = page(found, "then <1>", "now")
    seen = Tags()
    seen.feed(text)
    assert seen.tags.count("svg") == 3 and seen.tags.count("section") == 3
    assert seen.links == [] and not {"script", "img", "link", "iframe"} & set(seen.tags)
    assert "url(" not in text and "@import" not in text
    assert "&lt;img src=x&gt;" in text and "then &lt;1&gt;" in text
    assert "above the line of 0.2" in text and "prefers-color-scheme:dark" in text


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a", 0.0), written(tmp_path / "b", 0.5)
    assert page(compare(a, b, Limits()), "a", "b") == page(compare(a, b, Limits()), "a", "b")


def test_an_empty_table_still_makes_a_page(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"word": pa.array([], pa.string())}), tmp_path / "empty")
    found = compare(written(tmp_path / "a", 0.0), tmp_path / "empty", Limits())
    assert "not assessed" in page(found, "a", "b").lower()
