"""The pictures of the docs, from a demo whose story is over: `python tests/browser/pictures.py SIGN-IN-LINK`.

`SIGN-IN-LINK` is what `make demo` prints as Pages. Optional second word: the mail catcher's address. Writes
docs/pictures/NAME.png, for the pages of docs/tour.md that the demo fills; `shots.py --docs` takes the others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
WIDTH, HEIGHT = 1280, 860
VIEWS = ("usage", "latency", "errors", "agents", "retrieval", "sessions", "compare")
# name: an address, or a link to follow from a page (page, CSS of the link)
PAGES: dict[str, str | tuple[str, str]] = {
    "overview": "/",
    "incidents": "/incidents",
    "silences": "/silences",
    "changes": "/changes",
    "change": ("/changes", "a:text-is('A more thorough prompt')"),
    "systems": "/systems",
    "system": ("/systems", "td.wide a"),
    "calls": "/calls",
    "trace": ("/calls", 'a[href^="/traces/"]'),
    **{name: f"/calls/{name}" for name in VIEWS},
    "spend": "/spend",
    "reports": "/reports",
    "report": ("/reports", 'a[href^="/reports/monthly/"]'),
    "oncall": "/oncall",
    "evidence": "/evidence",
    "settings": "/settings",
    "contacts": "/settings/contacts",
    "gateway": "/settings/gateway",
    "keeping": "/settings/keeping",
    "server": "/settings/server",
    "second-factor": "/accounts/2fa/",
}


def main(link: str, mails: str) -> int:
    from playwright.sync_api import sync_playwright

    from tests.browser.eyes import ARGUMENTS, chromium

    base = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light").new_page()
        page.goto(link)
        page.locator("button").first.click()
        page.wait_for_load_state("networkidle")
        for name, place in PAGES.items():
            address = place if isinstance(place, str) else _behind(page, base, *place)
            answer = page.goto(base + address, wait_until="networkidle")
            if answer is None or answer.status != 200:
                print(f"{name}: {address} answers {answer.status if answer else 'nothing'}")
                return 1
            page.screenshot(path=str(FOLDER / f"{name}.png"))
        if mails:
            page.goto(mails, wait_until="networkidle")
            page.screenshot(path=str(FOLDER / "mails.png"))
        browser.close()
    return 0


def _behind(page: Any, base: str, start: str, link: str) -> str:
    page.goto(base + start, wait_until="networkidle")
    return str(page.locator(link).first.get_attribute("href"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
