"""Connections to ClickHouse: over HTTP to a server, or to its engine inside this process (chdb).

`clickhouse://user:password@host:8123/database`, `clickhouses://` over TLS, both with `?cluster=NAME` for a cluster;
`chdb:///folder` or `chdb:///folder?database=NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from afterlaunch.ground.errors import Unavailable
from afterlaunch.ground.settings import WrongSetting

SCHEMES = ("clickhouse", "clickhouses", "chdb")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PASSING = {
    *(159, 160, 164, 202, 203, 209, 210, 236, 241, 242, 243, 252, 285, 286, 319, 394, 439, 499, 999),
    *(225, 244, 254, 279, 305, 313, 373, 425, 473, 516, 665, 745),
}
"""Codes that say nothing of the statement: timeouts, memory, disk, too many parts, replicas or Keeper away."""
_READING = {
    "async_insert": 0,  # an insert is answered when its rows are stored
    "aggregate_functions_null_for_empty": 1,  # the sum of nothing is unknown
    "join_use_nulls": 1,
    "prefer_column_name_to_alias": 1,
    "do_not_merge_across_partitions_select_final": 1,  # the partition follows from the key
    "max_partitions_per_insert_block": 0,
    "max_query_size": 64 * 2**20,  # long lists of ids are part of a statement
}
_CLUSTERED = {
    "insert_quorum": "auto",
    "distributed_foreground_insert": 1,
    "load_balancing": "in_order",  # what was written is read back from the same replica
    "mutations_sync": 2,
}


@dataclass(frozen=True)
class Address:
    """`folder`: of an engine inside this process; otherwise `host` is a server."""

    database: str
    cluster: str = ""
    folder: str = ""
    host: str = ""
    port: int = 0
    secure: bool = False
    user: str = "default"
    password: str = field(default="", repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        return _READING | (_CLUSTERED if self.cluster else {"mutations_sync": 1})


def address(url: str) -> Address:
    """Raises WrongSetting."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise WrongSetting(f"AFTERLAUNCH_TELEMETRY_URL must begin with {', '.join(f'{one}://' for one in SCHEMES)}.")
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := asked.keys() - {"cluster", "database"}:
        raise WrongSetting(f"AFTERLAUNCH_TELEMETRY_URL: {', '.join(sorted(unknown))} is no option; cluster is.")
    inside = parts.scheme == "chdb"
    database = asked.get("database") or ("" if inside else parts.path.strip("/")) or "afterlaunch"
    for name in (database, asked.get("cluster", "x")):
        if not _NAME.fullmatch(name):
            raise WrongSetting(f"AFTERLAUNCH_TELEMETRY_URL: {name!r} is no name of a database or cluster.")
    if inside:
        if not parts.path.strip("/"):
            raise WrongSetting("AFTERLAUNCH_TELEMETRY_URL: chdb needs a folder: chdb:///var/lib/afterlaunch/chdb")
        return Address(database, folder=unquote(parts.path))
    if not parts.hostname:
        raise WrongSetting("AFTERLAUNCH_TELEMETRY_URL names no host: clickhouse://user:password@host:8123/afterlaunch")
    secure = parts.scheme == "clickhouses"
    return Address(
        database,
        asked.get("cluster", ""),
        host=parts.hostname,
        port=parts.port or (8443 if secure else 8123),
        secure=secure,
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
    )


class Clients:
    """As many connections as threads ask at once; each is lent to one at a time. The database is made if missing."""

    def __init__(self, to: Address) -> None:
        self._to = to
        self._errors: tuple[type[Exception], ...] = ()
        self._idle: LifoQueue[Any] = LifoQueue()
        first = self._open("")
        everywhere = f" on cluster '{to.cluster}'" if to.cluster else ""
        first.command(f"create database if not exists {to.database}{everywhere}")
        first.close()
        self._idle.put(self._open(to.database))

    def _open(self, database: str) -> Any:
        try:
            import clickhouse_connect
            from clickhouse_connect.driver.exceptions import Error
        except ModuleNotFoundError as missing:
            raise Unavailable(f"ClickHouse needs {missing.name}.", "pip install 'afterlaunch[clickhouse]'") from None
        to, self._errors = self._to, (Error,)
        shared: dict[str, Any] = {"database": database or None, "settings": to.settings}
        try:
            if to.folder:
                return clickhouse_connect.get_client(interface="chdb", path=to.folder, **shared)
            return clickhouse_connect.get_client(
                host=to.host,
                port=to.port,
                interface="https" if to.secure else "http",
                username=to.user,
                password=to.password,
                autogenerate_session_id=False,
                client_name="afterlaunch",
                send_receive_timeout=120,
                **shared,
            )
        except ModuleNotFoundError as missing:
            raise Unavailable(f"A store inside this process needs {missing.name}.", "pip install chdb") from None
        except (Error, OSError) as problem:
            where = to.folder or f"{to.host}:{to.port}"
            raise Unavailable(f"ClickHouse at {where} does not answer: {_first_line(problem)}", "Is it up?") from None

    @contextmanager
    def client(self) -> Iterator[Any]:
        try:
            lent = self._idle.get_nowait()
        except Empty:
            lent = self._open(self._to.database)
        try:
            yield lent
        except self._errors as problem:
            raise _told(problem) from None  # the original holds the statement, and with it what people said
        finally:
            self._idle.put(lent)

    def close(self) -> None:
        """Those that are not lent."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return


class Refused(Exception):
    """ClickHouse took a statement for wrong."""


def _told(problem: Exception) -> Exception:
    """Refused, or Unavailable when it may pass: the server is out of reach, out of memory or room, or too busy."""
    code = getattr(problem, "code", None)
    text = re.split(r"In scope|: While|\. \(|\n", _first_line(problem).removeprefix("Code: "))[0]
    if code is None or code in _PASSING:
        return Unavailable(f"ClickHouse failed: {text}", "Send again later.")
    return Refused(text)


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0][:300]
