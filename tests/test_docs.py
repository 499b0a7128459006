"""The documentation can't rot: what exists is named there, and what is named there exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from afterlaunch.app.api import api
from afterlaunch.app.configuration.apply import parse
from afterlaunch.app.duties import DUTIES
from afterlaunch.app.judges import TITLES
from afterlaunch.app.menu import MENU
from afterlaunch.data_contracts.contract import read as contract
from afterlaunch.ground.settings import SETTINGS
from tests.tools.docs import DOCS, ROOT, commands, current

PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("decisions/*.md"), *DOCS.glob("recipes/*.md")])
TEXTS = {page: page.read_text() for page in [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"]}
ALL = "\n".join(text for page, text in TEXTS.items() if page.name != "CHANGELOG.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
BY_NAME = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in TEXTS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_made_from_the_code_lack_no_row(page: Path) -> None:
    """That they hold no row too many is checked by `python tests/tools/docs.py --check`, which `make test` runs."""

    def cells(text: str) -> set[str]:
        return {cell.strip() for cell in re.split(r"[|;\n]", text)}

    lacking = cells(current(TEXTS[page])) - cells(TEXTS[page])
    assert not lacking, f"run: python tests/tools/docs.py\n{lacking}"


def test_every_setting_command_duty_judge_and_page_is_named() -> None:
    names = [row.name for row in SETTINGS] + [words for words, _ in commands()]
    names += [duty.name for duty in DUTIES] + list(TITLES)
    names += [f"\n## {label}\n" for label, _, _ in MENU]
    missing = [name for name in names if name not in ALL]
    assert not missing, f"not in the docs: {missing}"


def test_every_duty_says_what_its_failure_looks_like() -> None:
    told = re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| [^|]+ \|$", TEXTS[DOCS / "duties.md"], re.M)
    assert {duty.name for duty in DUTIES} <= set(told)


def test_every_operation_of_the_api_is_named() -> None:
    told = TEXTS[DOCS / "api.md"]
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {re.sub(r'{.*?}', 'ID', path)}`" in told


def test_every_environment_variable_is_named() -> None:
    found: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        if "tests" not in file.parts and "demo" not in file.parts:
            found |= set(re.findall(r"\bAFTERLAUNCH_[A-Z_]*[A-Z]\b", file.read_text()))
    assert not [name for name in found if name not in ALL]


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", BY_NAME)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", TEXTS[page])):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{page.name}: {link}"


def typed(text: str) -> list[str]:
    """Every `afterlaunch …` that a reader is told to type, in blocks and between the lines."""
    lines = [line for kind, block in FENCE.findall(text) if kind != "yaml" for line in block.splitlines()]
    lines += re.findall(r"`(afterlaunch [^`]+)`", FENCE.sub("", text))
    return [line.partition(" #")[0].strip() for line in lines if line.strip().startswith("afterlaunch ")]


@pytest.mark.parametrize("page", BY_NAME)
def test_every_command_in_the_text_exists_with_its_flags(page: Path) -> None:
    known = dict(commands())
    groups = {" ".join(words.split()[:length]) for words in known for length in (1, 2)}
    for line in typed(TEXTS[page]):
        words = shlex.split(line.replace("|", " "))
        name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in known), None)
        if name is None:
            assert words[-1] in ("--help", "--version") or " ".join(words[:2]) in groups, f"{page.name}: {line}"
            continue
        flags = {flag for one in known[name].params for flag in (*one.opts, *one.secondary_opts)} | {"--help"}
        for word in words:
            if word.startswith("-") and word not in ("-",):
                assert word.partition("=")[0] in flags, f"{page.name}: {line}: {word}"


@pytest.mark.parametrize("page", BY_NAME)
def test_examples_are_well_formed(page: Path) -> None:
    for kind, block in FENCE.findall(TEXTS[page]):
        if kind == "python":
            compile(block, page.name, "exec")
        if kind in ("yaml", "yml") and "apiVersion" in block:
            assert contract(block) if "kind: DataContract" in block else parse(block, page.name)
