"""Looks at every page with chromium: `python tests/browser/shots.py FOLDER [page …]`.

Prints what is wrong with a page (status, console, failed requests, overflow) and exits 1 then. An empty FOLDER ("")
keeps no pictures. `shots.py --docs` takes the docs' own of pages that the demo does not fill instead.
`AFTERLAUNCH_BROWSER_DATA` may name a data folder for the server.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
WIDE, PHONE = (1280, 760), (390, 760)
DOCS = {  # pictures of docs/tour.md: (page, size of the window)
    "incident": ("incident", WIDE),
    "incident-phone": ("incident", PHONE),
    "review": ("review", (1280, 640)),
    "alerts": ("alerts", WIDE),
    "slos": ("slos", WIDE),
    "slo": ("slo", WIDE),
    "probes": ("probes", WIDE),
    "schedule": ("schedule-gaps", WIDE),
    "clock": ("sla-clock", WIDE),
    "status": ("status", WIDE),
}


def pictures(folder: str, name: str) -> Callable[[int, str], Path] | None:
    return (lambda width, scheme: Path(folder) / f"{name}-{width}-{scheme}.png") if folder else None


def main(folder: str, wanted: list[str]) -> int:
    os.environ["AFTERLAUNCH_DATA"] = os.environ.get("AFTERLAUNCH_BROWSER_DATA") or tempfile.mkdtemp(prefix="shots-")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # playwright's loop runs in this thread; nothing here is async
    os.environ["AFTERLAUNCH_ENGINE_PERIOD"] = "1"
    os.environ["AFTERLAUNCH_OUTBOUND_ALLOW"] = "127.0.0.0/8"
    from tests.browser import probing, turns
    from tests.browser.eyes import Eyes
    from tests.browser.house import PAGES, House

    house = House()
    wrong: list[str] = []
    try:
        house.fill()
        house.story()
        house.targets()
        house.slos()
        house.budgets()
        house.guard()
        house.keeping()
        house.channels()
        house.signals()
        house.alerts()
        turns.on_call()
        turns.promises()
        probing.probes(house.address)
        probing.heartbeats()
        probing.status_page()
        house.settled()
        if folder and folder != "--docs":
            Path(folder).mkdir(parents=True, exist_ok=True)
        with Eyes(house.address, house.session()) as eyes:
            if folder == "--docs":
                for name, (page, size) in DOCS.items():
                    eyes.picture(str(PAGES[page]), *size, ROOT / "docs" / "pictures" / f"{name}.png")
                return 0
            for name in wanted or PAGES:
                address = PAGES[name] or eyes.a_trace()
                wrong += eyes.look(address, pictures(folder, name))
    finally:
        house.close()
    print("\n".join(wrong) or "every page is well")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
