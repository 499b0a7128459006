"""A real browser that looks at pages and says what is wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Eyes:
    """One browser; every look is a fresh page of the given width and colour scheme."""

    def __init__(self, address: str, session: str) -> None:
        self._address, self._session = address, session

    def __enter__(self) -> Eyes:
        self._play = sync_playwright().start()
        self._browser = self._play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        self._play.stop()

    def _open(self, width: int, scheme: Any) -> Any:
        context = self._browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
        context.add_cookies([{"name": "sessionid", "value": self._session, "url": self._address}])
        return context

    def a_trace(self) -> str:
        """The path of the newest call's trace."""
        context = self._open(1280, "light")
        page = context.new_page()
        page.goto(self._address + "/calls")
        path = page.locator('a[href^="/traces/"]').first.get_attribute("href")
        context.close()
        return str(path)

    def look(self, path: str, width: int, scheme: str, shot: Path | None = None, full: bool = True) -> list[str]:
        """What is wrong, as sentences; empty when nothing is."""
        context = self._open(width, scheme)
        page, wrong = context.new_page(), []
        page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("requestfailed", lambda request: wrong.append(f"request failed: {request.url}"))
        answer = page.goto(self._address + path, wait_until="networkidle")
        if answer is None or answer.status != 200:
            wrong.append(f"status {answer.status if answer else 'none'}")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wrong.append(f"{over} px wider than the window")
        if shot:
            page.screenshot(path=str(shot), full_page=full)
        context.close()
        return [f"{path} at {width} px, {scheme}: {one}" for one in wrong]
