"""What a server process does: all of it, or one part, each in a process of its own beside shared stores."""

from __future__ import annotations

from enum import StrEnum

from afterlaunch.ground.settings import WrongSetting, settings


class Role(StrEnum):
    """`ALL`: one server on embedded stores, or on any."""

    ALL = "all"
    WEB = "web"
    INGEST = "ingest"
    ENGINE = "engine"

    @property
    def ingests(self) -> bool:
        return self in (Role.ALL, Role.INGEST)

    @property
    def receives(self) -> bool:
        """Alerts of other tools: wherever something comes in, pages or telemetry."""
        return self is not Role.ENGINE

    @property
    def has_engine(self) -> bool:
        return self in (Role.ALL, Role.ENGINE)

    @property
    def has_pages(self) -> bool:
        return self in (Role.ALL, Role.WEB)


def need_shared_stores(role: Role) -> None:
    """Raises WrongSetting where a process of this kind would have its stores to itself."""
    if role is Role.ALL:
        return
    missing = []
    if not settings().text("DATABASE_URL"):
        missing.append("AFTERLAUNCH_DATABASE_URL=postgresql://…")
    if not settings().text("TELEMETRY_URL").startswith("clickhouse"):
        missing.append("AFTERLAUNCH_TELEMETRY_URL=clickhouse://…")
    if missing:
        raise WrongSetting(
            f"`serve {role}` shares its stores with other processes, and embedded ones have one owner."
            f" Set {' and '.join(missing)}, or start `afterlaunch up`, which does all of it in one process."
        )
