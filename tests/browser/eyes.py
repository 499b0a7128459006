"""A real browser that looks at pages and says what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1280, "light"), (1280, "dark"), (390, "dark"), (390, "light"),
)  # fmt: skip
OVER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Eyes:
    """One browser with one page, which is resized and recoloured rather than loaded again."""

    def __init__(self, address: str, session: str) -> None:
        self._address, self._session = address, session

    def __enter__(self) -> Eyes:
        self._play = sync_playwright().start()
        self._browser = self._play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        context = self._browser.new_context()
        context.add_cookies([{"name": "sessionid", "value": self._session, "url": self._address}])
        self._page, self._wrong = context.new_page(), list[str]()
        self._page.on("console", self._said)
        self._page.on("pageerror", lambda error: self._wrong.append(f"script: {error}"))
        self._page.on("requestfailed", lambda request: self._wrong.append(f"request failed: {request.url}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        self._play.stop()

    def _said(self, said: Any) -> None:
        if said.type == "error":
            self._wrong.append(f"console: {said.text}")

    def a_trace(self) -> str:
        """The path of the newest call's trace."""
        self._page.goto(self._address + "/calls")
        return str(self._page.locator('a[href^="/traces/"]').first.get_attribute("href"))

    def picture(self, path: str, width: int, height: int, file: Path) -> None:
        """For the docs: what fits in a window of that size."""
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(color_scheme="light")
        self._page.goto(self._address + path, wait_until="load")
        self._page.locator(".htmx-request").first.wait_for(state="detached")
        self._page.screenshot(path=str(file))

    def look(self, path: str, shot: Callable[[int, str], Path] | None = None) -> list[str]:
        """What is wrong at each (width, colour scheme), as sentences; empty when nothing is."""
        page, self._wrong = self._page, []
        answer = page.goto(self._address + path, wait_until="load")
        if answer is None or answer.status != 200:
            self._wrong.append(f"status {answer.status if answer else 'none'}")
        page.locator(".htmx-request").first.wait_for(state="detached")  # parts that it fetches by itself
        for width, scheme in LOOKS:
            page.set_viewport_size({"width": width, "height": 860})
            page.emulate_media(color_scheme=scheme)
            over = page.evaluate(OVER)
            if over > 0:
                self._wrong.append(f"{over} px wider than the window at {width} px, {scheme}")
            if shot:
                page.screenshot(path=str(shot(width, scheme)), full_page=True)
        return [f"{path}: {one}" for one in self._wrong]
