"""Answers a page as somebody just woken does: `python tests/browser/phone.py FOLDER`.
`AFTERLAUNCH_BROWSER_DATA` may name a data folder for the server.

The mail is rendered as the product wrote it; the browser is 390 pixels wide, has no session, and taps.
"""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
TAPS = 3  # from the mail in the inbox to acknowledged


def main(folder: Path) -> int:
    os.environ["AFTERLAUNCH_DATA"] = os.environ.get("AFTERLAUNCH_BROWSER_DATA") or tempfile.mkdtemp(prefix="phone-")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # playwright's loop runs in this thread; nothing here is async
    from tests.browser.house import House, free_port

    port = free_port()
    os.environ["AFTERLAUNCH_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    house = House(port)
    try:
        mail = page_somebody()
        return tap(house.address, mail, folder)
    finally:
        house.close()


def page_somebody() -> Any:
    """An incident, and the message that its page becomes."""
    from afterlaunch.accounts.actions import first_administrator, house_client
    from afterlaunch.estate.models import System
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.incidents.actions import open_incident
    from afterlaunch.notify.actions import add_contact
    from afterlaunch.notify.duties import message_of
    from afterlaunch.notify.models import Page

    someone = automation("setting up")
    add_contact(someone, first_administrator(), "email", "ada@acme.example", verified=True)
    system = System.objects.create(client=house_client(), key="support-assistant", name="Support assistant")
    incident = open_incident(
        someone,
        system=system,
        environment="prod",
        title="Refused answers in breach: support-assistant, prod",
        severity="P1",
        summary="Refused answers: 9 of 21 calls (42.9%) were refused; the limit is 5.0%.",
        fingerprint="phone",
        detected_at=clock.now(),
        occurred_at=clock.now() - timedelta(minutes=12),
        kind="quality_burn",
    )
    return message_of(Page.objects.filter(topic=incident.topic).latest("pk"))


class Thumb:
    """A finger on a phone's page, which counts how often it was needed."""

    def __init__(self, page: Any) -> None:
        self._page, self.taps = page, 0

    def tap(self, target: Any) -> None:
        self.taps += 1
        target.tap()
        self._page.wait_for_load_state("load")


def previewed(link: str) -> list[str]:
    """What mail gateways and chat tools do with a link before anybody reads it; it must acknowledge nothing."""
    from afterlaunch.incidents.models import Incident

    for method in ("HEAD", "GET", "GET"):
        asked = urllib.request.Request(link, headers={"User-Agent": "Slackbot-LinkExpanding 1.0"}, method=method)
        if urllib.request.urlopen(asked, timeout=10).status != 200:
            return [f"a preview's {method} is refused"]
    if Incident.objects.get().acknowledged_at is not None:
        return ["a preview acknowledged"]
    return []


def tap(address: str, mail: Any, folder: Path) -> int:
    from playwright.sync_api import sync_playwright

    from afterlaunch.incidents.models import Incident
    from tests.browser.eyes import ARGUMENTS, chromium

    links = [link for link in (mail.acknowledge_url, mail.url) if link]
    body = "".join(f'<p><a href="{link}">{link}</a></p>' for link in links)
    wrong = previewed(mail.acknowledge_url)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        page = phone.new_page()
        thumb = Thumb(page)
        inbox = (
            f"<meta name=viewport content='width=device-width'><details><summary>{mail.title}</summary>{body}</details>"
        )
        page.set_content(inbox)
        thumb.tap(page.locator("summary"))  # the mail
        thumb.tap(page.locator(f'a[href="{mail.acknowledge_url}"]'))  # its link
        button = page.locator("button", has_text="Acknowledge")
        button.wait_for()
        wrong += too_wide(page, "the link's page")
        if Incident.objects.get().acknowledged_at is not None:
            wrong.append("opening the link acknowledged already")
        box = button.bounding_box()
        if box is None or box["y"] + box["height"] > 844 or box["height"] < 44:
            wrong.append(f"the button is too small or below the fold: {box}")
        page.screenshot(path=str(folder / "phone-before.png"))
        thumb.tap(button)
        page.get_by_text("You have acknowledged it").wait_for(timeout=10_000)
        page.screenshot(path=str(folder / "phone-after.png"))
        if Incident.objects.get().acknowledged_at is None:
            wrong.append("nothing was acknowledged")
        if thumb.taps > TAPS:
            wrong.append(f"it took {thumb.taps} taps; {TAPS} are promised")
        wrong += too_wide(page, "the answer")
        browser.close()
    print("\n".join(wrong) or f"acknowledged in {thumb.taps} taps")
    return 1 if wrong else 0


def too_wide(page: Any, what: str) -> list[str]:
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{what} is {over} px wider than the phone"] if over > 0 else []


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
