"""Fetches due targets at once, a bounded number of them, and lands what they told in one commit.

A pass never waits for a slow target: what is still under way is collected by a later pass. What a target told before is
kept in memory; after a restart its series are learnt anew.
"""

from __future__ import annotations

import base64
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from afterlaunch import __version__
from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError, Invalid, TooLarge
from afterlaunch.ground.outbound import Document, Refused, Unreachable, get
from afterlaunch.ground.references import dereferenced
from afterlaunch.scraping import rules
from afterlaunch.scraping.models import Target
from afterlaunch.scraping.parse import ACCEPT
from afterlaunch.scraping.rules import Trouble
from afterlaunch.scraping.series import Place, Series, TooMany, Unreadable
from afterlaunch.telemetry.inflate import inflated
from afterlaunch.telemetry.keeping.actions import rules as rules_now
from afterlaunch.telemetry.keeping.content import POINT_SHAPE, private
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.store import current

log = logging.getLogger(__name__)
WORKERS = 16
AT_ONCE = 256  # due targets that one pass takes up
WAIT_SECONDS = 3.0
BODY_LIMIT = 32 * 2**20
STATE = ("last_at", "last_ok_at", "failing_since", "seconds", "samples", "reason", "error")


@dataclass(frozen=True)
class Fetched:
    """`text` None: `trouble` says why."""

    at: datetime
    seconds: float
    text: str | None = None
    open_metrics: bool = False
    trouble: Trouble | None = None


class Scraper:
    def __init__(self, workers: int = WORKERS) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="scrape")
        self._under_way: dict[tuple[int, int], Future[Fetched]] = {}
        self._known: dict[tuple[int, int], Series] = {}

    def run(self, now: datetime, wait_seconds: float = WAIT_SECONDS) -> int:
        """One pass; returns how many targets were heard of, well or ill."""
        self._send_out(now)
        if self._under_way:
            wait(self._under_way.values(), timeout=wait_seconds)
        ended = {key: future for key, future in self._under_way.items() if future.done()}
        for key in ended:
            del self._under_way[key]
        rows = {(row.pk, row.revision): row for row in Target.objects.select_related("client")}
        landing = [self._forgotten(key, now) for key in set(self._known) - set(rows)]
        heard = [(rows[key], future.result()) for key, future in ended.items() if key in rows]
        landing += [self._read(row, fetched) for row, fetched in heard]
        batch = [table for table in landing if table is not None and table.num_rows]
        if batch:
            decided = rules_now().of
            tables.Lander(current(), tables.METRICS).commit([private(one, POINT_SHAPE, decided) for one in batch])
        Target.objects.bulk_update([row for row, _ in heard], STATE, batch_size=100)
        return len(heard)

    def _send_out(self, now: datetime) -> None:
        due = Target.objects.filter(paused=False, next_due__lte=now).order_by("next_due")[:AT_ONCE]
        moved = []
        for row in due:
            row.next_due = rules.next_due(now, row.interval, row.pk)
            moved.append(row)
            key = (row.pk, row.revision)
            if key not in self._under_way:
                self._under_way[key] = self._pool.submit(fetch, row)
        Target.objects.bulk_update(moved, ["next_due"], batch_size=100)

    def _forgotten(self, key: tuple[int, int], now: datetime) -> Any:
        """A target that is no more, or another now: its series end."""
        return self._known.pop(key).ended(clock.to_ns(now))

    def _read(self, row: Target, fetched: Fetched) -> Any:
        """Its points; what came of it is put on the row."""
        known = self._known.setdefault((row.pk, row.revision), Series(place_of(row)))
        at_ns, trouble = clock.to_ns(fetched.at), fetched.trouble
        points, count = None, None
        if fetched.text is not None:
            try:
                points, count = known.answered(
                    fetched.text, fetched.open_metrics, at_ns, fetched.seconds, row.sample_limit
                )
            except Unreadable as problem:
                trouble = Trouble("not_metrics", f"It cannot be read: {problem}.")
            except TooMany as problem:
                trouble = Trouble("too_many_samples", f"It tells {problem}.")
        row.last_at, row.seconds, row.samples = fetched.at, fetched.seconds, count
        row.reason, row.error = (trouble.reason, trouble.said[:500]) if trouble else ("", "")
        row.failing_since = (row.failing_since or fetched.at) if trouble else None
        if points is None:
            return known.silent(at_ns, fetched.seconds)
        row.last_ok_at = fetched.at
        return points


def place_of(row: Target) -> Place:
    parts = urlsplit(row.url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    labels = {"job": row.name, "instance": f"{host}:{port}", **row.labels}
    return Place(row.client.slug, row.system, row.environment, labels)


def fetch(row: Target) -> Fetched:
    """One target's text. Never raises: whatever goes wrong is told on the page."""
    at, began = clock.now(), time.monotonic()
    try:
        answer = get(row.url, _headers(row), min(rules.TIMEOUT, row.interval), BODY_LIMIT, private=row.trusted)
        told: str | Trouble = rules.trouble_of_status(answer.status, answer.headers.get("location", "")) or _text(
            answer
        )
    except Exception as problem:  # noqa: BLE001 - each has its words, and the last ones are for a fault of ours
        return Fetched(at, time.monotonic() - began, trouble=_trouble(problem))
    seconds = time.monotonic() - began
    if isinstance(told, Trouble):
        return Fetched(at, seconds, trouble=told)
    kind = answer.headers.get("content-type", "").lower()
    return Fetched(at, seconds, told, kind.startswith("application/openmetrics-text"))


def _trouble(problem: Exception) -> Trouble:
    if isinstance(problem, _NoCredential):
        return Trouble("credential", str(problem))
    if isinstance(problem, Refused):
        return Trouble("address_refused", problem.message)
    if isinstance(problem, Unreachable):
        cause = problem.__cause__
        if "no answer within" in str(problem):
            return Trouble("timed_out", f"{problem}.")
        if isinstance(cause, OSError) and cause.strerror:
            return Trouble("unreachable", f"{str(problem).partition(': ')[0]}: {cause.strerror}.")
        return Trouble("unreachable", f"{problem}.")
    if isinstance(problem, TooLarge):
        return Trouble("too_large", problem.message)
    if isinstance(problem, (Invalid, UnicodeDecodeError)):
        return Trouble("not_metrics", f"It cannot be read: {problem}")
    log.error("a target could not be fetched", exc_info=problem)
    return Trouble("unreachable", f"A fault of the server: {type(problem).__name__}.")


class _NoCredential(Exception):
    pass


def _headers(row: Target) -> list[tuple[str, str]]:
    timeout = min(rules.TIMEOUT, row.interval)
    headers = [
        ("Accept", ACCEPT),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", f"afterlaunch/{__version__}"),
        ("X-Prometheus-Scrape-Timeout-Seconds", f"{timeout:g}"),
    ]
    try:
        if row.bearer:
            headers.append(("Authorization", f"Bearer {dereferenced(row.bearer, 'the server')}"))
        elif row.password:
            pair = f"{row.username}:{dereferenced(row.password, 'the server')}".encode()
            headers.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
    except AfterlaunchError as problem:
        raise _NoCredential(f"{problem.message} {problem.hint}".strip()) from None
    return headers


def _text(answer: Document) -> str:
    if len(answer.body) > BODY_LIMIT:
        raise TooLarge(f"It tells over {BODY_LIMIT // 2**20} MiB.")
    if answer.headers.get("content-type", "").lower().startswith("text/html"):
        raise Invalid("it is a web page.")
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        return inflated(answer.body, BODY_LIMIT).decode()
    if encoding not in ("", "identity"):
        raise Invalid(f"it is encoded as {encoding}")
    return answer.body.decode()
