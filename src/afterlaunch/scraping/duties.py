from __future__ import annotations

from datetime import datetime
from functools import cache

from afterlaunch.scraping.scraper import Scraper


@cache
def _scraper() -> Scraper:
    """The process's own: it remembers what every target told."""
    return Scraper()


def scrape(now: datetime) -> None:
    """Fetch what is due; collect what has come."""
    _scraper().run(now)
