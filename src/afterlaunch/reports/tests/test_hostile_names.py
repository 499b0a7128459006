"""Names come from telemetry: whoever may send a span may choose them. They must show as they are and do nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from afterlaunch.ground.actors import automation
from afterlaunch.reports import documents
from afterlaunch.reports.facts import Asked, monthly
from afterlaunch.reports.names import code, markdown, plain
from afterlaunch.reports.tests.conftest import NOVEMBER, Month

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[free money](https://evil.example)",
    "a|b|c",
    "``` \n# Heading",
    "</title></svg><script>",
    "https://evil.example/path",
    "&lt;b&gt; {{ 7*7 }} {% now %}",
    "\u202egpj.exe",
    "`",
    '<a href="/',
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attributes)))


@pytest.fixture
def hostile(month: Month) -> Month:
    month.system(name=HOSTILE[0])
    for name in HOSTILE:
        month.calls(NOVEMBER + timedelta(days=1), 25, model=name, failed="timeout",
                    told={"tenant.id": name, "gen_ai.agent.name": name})  # fmt: skip
    month.incident(month.system(), NOVEMBER + timedelta(days=2), title=HOSTILE[1])
    month.rolled_back(month.system(), NOVEMBER + timedelta(days=3), HOSTILE[2])
    return month


def written(form: str) -> str:
    return documents.write(monthly(automation("test"), Asked("2026-11"), "UTC"), form, "https://w.example").decode()


def test_in_html_they_are_text_and_nothing_more(hostile: Month) -> None:
    html = written("html")
    tags = Tags()
    tags.feed(html)
    assert not {"script", "img", "iframe", "b", "object"} & {tag for tag, _ in tags.seen}
    assert not [name for _, attributes in tags.seen for name in attributes if name.startswith("on")]
    for tag, attributes in tags.seen:
        if tag == "a":
            assert str(attributes["href"]).startswith(("https://w.example/", "#"))
    assert "\u202e" not in html and "49" not in re.findall(r"<code[^>]*>([^<]*)</code>", html)


def test_in_markdown_they_are_text_and_nothing_more(hostile: Month) -> None:
    text = written("md")
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)  # what stands in no code span
    assert not re.search(r"(?<!\\)<", outside)
    assert not [
        one for one in re.findall(r"(?<!\\)\]\(([^)]*)\)", outside) if not one.startswith(("https://w.example/", "#"))
    ]
    assert "://evil" not in outside
    assert not re.search(r"^# Heading", text, re.MULTILINE)
    table = text[text.index("### Spend by model") :].split("\n\n")[1].splitlines()
    assert len(table) == len(HOSTILE) + 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in table} == {11}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_on_its_line(name: str) -> None:
    for shown in (plain(name), markdown(name), code(name, cell=True), code(name, cell=False)):
        assert "\n" not in shown and "\u202e" not in shown


def test_a_code_span_has_a_longer_fence_than_what_it_holds() -> None:
    assert code("a`b", cell=False) == "`` a`b ``" and code("`", cell=False) == "`` ` ``"
    assert code("a|b", cell=True) == "`a\\|b`" and code("a|b", cell=False) == "`a|b`"
