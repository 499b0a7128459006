from __future__ import annotations

from datetime import datetime

from afterlaunch.status_pages import following, letters, writing


def follow_incidents(now: datetime) -> None:
    """Incidents become drafts or publications, as each page's policy says."""
    following.follow(now)


def write_files(now: datetime) -> None:
    """Every status page as files, with the age of its data."""
    writing.write_all(now)


def send_letters(now: datetime) -> None:
    """Mails to subscribers."""
    letters.send(now)
