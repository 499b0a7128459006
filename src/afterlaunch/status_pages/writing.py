"""The page as HTML, RSS and JSON, and as files in a folder that another server can serve."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import orjson
from django.template.loader import render_to_string

from afterlaunch.ground.settings import settings
from afterlaunch.status_pages.models import StatusPage
from afterlaunch.status_pages.shown import document

HERE = Path(__file__).parent / "static" / "status_pages"
ASSETS = ("status.css", "status.js")
MARK = ".afterlaunch-status-page"  # a folder of ours: it may be removed when its page is
NAMES = {"html": "index.html", "json": "status.json", "rss": "feed.rss"}
TYPES = {"html": "text/html; charset=utf-8", "json": "application/json", "rss": "application/rss+xml; charset=utf-8"}
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def folder() -> Path:
    given = settings().text("STATUS_FOLDER")
    return Path(given).expanduser() if given else settings().data / "status"


def as_json(told: Mapping[str, Any]) -> bytes:
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def as_html(told: Mapping[str, Any], base: str, assets: str) -> bytes:
    """`base` begins the addresses of what the page asks for, `assets` those of style and script."""
    context = {"told": _with_instants(told), "base": base, "assets": assets}
    return render_to_string("status_pages/public.html", context).encode()


def _with_instants(told: Any) -> Any:
    if isinstance(told, Mapping):
        return {name: _instant(value) if _tells_time(name) else _with_instants(value) for name, value in told.items()}
    return [_with_instants(one) for one in told] if isinstance(told, list) else told


def _tells_time(name: str) -> bool:
    return name == "at" or name.endswith("_at")


def _instant(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def as_rss(told: Mapping[str, Any]) -> bytes:
    """The newest posts of everything that is published, and planned maintenance."""
    items = [
        (post["at"], f"{one['title']}: {post['phase']}", post["text"], f"post-{post['id']}")
        for one in (*told["incidents"], *told["history"])
        for post in one["posts"]
    ]
    items += [
        (work["starts_at"], f"Maintenance: {work['title']}",
         f"{work['starts_at']} to {work['ends_at']}. {work['about']}", f"work-{work['id']}")
        for work in told["maintenance"]
    ]  # fmt: skip
    newest = sorted(items, reverse=True)[:50]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<rss version="2.0"><channel>',
        f"<title>{_xml(told['title'])}</title><link>{_xml(told['address'])}</link>",
        f"<description>{_xml(told['about'] or told['headline'])}</description>",
        f"<lastBuildDate>{_date(told['written_at'])}</lastBuildDate>",
        *(
            f'<item><title>{_xml(title)}</title><link>{_xml(told["address"])}</link><guid isPermaLink="false">'
            f"{_xml(told['address'])}#{key}</guid><pubDate>{_date(at)}</pubDate>"
            f"<description>{_xml(text)}</description></item>"
            for at, title, text, key in newest
        ),
        "</channel></rss>",
    ]
    return "\n".join(lines).encode()


def _xml(text: str) -> str:
    return escape(NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _date(at: str) -> str:
    return format_datetime(datetime.fromisoformat(at))


def write(page: StatusPage, now: datetime, into: Path | None = None) -> Path:
    """The whole page as files, each put in place at once, so that who reads sees the old one or the new one."""
    place = (into or folder()) / page.key
    place.mkdir(parents=True, exist_ok=True)
    told = document(page, now)
    address = f"{settings().public_url}{page.get_absolute_url()}"
    made = {NAMES["html"]: as_html(told, address, "."), NAMES["json"]: as_json(told), NAMES["rss"]: as_rss(told)}
    made |= {name: (HERE / name).read_bytes() for name in ASSETS}
    made[MARK] = str(page.pk).encode()
    for name, body in made.items():
        _put(place / name, body)
    return place


def _put(file: Path, body: bytes) -> None:
    if file.exists() and file.read_bytes() == body:
        return
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_bytes(body)
    fresh.replace(file)


def write_all(now: datetime, into: Path | None = None) -> int:
    """Every page; folders of pages that are no more, or have another address, are removed."""
    place = into or folder()
    pages = list(StatusPage.objects.select_related("client"))
    for page in pages:
        write(page, now, place)
    kept = {page.key for page in pages}
    for one in place.iterdir() if place.exists() else ():
        if one.is_dir() and one.name not in kept and (one / MARK).exists():
            shutil.rmtree(one)
    return len(pages)


def last_written(key: str, kind: str) -> bytes | None:
    """What was written last: served when the database does not answer."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key):
        return None
    file = folder() / key / NAMES[kind]
    return file.read_bytes() if file.exists() else None
