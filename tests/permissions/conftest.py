from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction

from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry import store as stores
from tests.permissions.world import World, bury_again


@contextmanager
def undone() -> Iterator[None]:
    """What happens within is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    with suppress(Unavailable):  # the world has ended
        bury_again()
    cache.clear()


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once per file; every request is undone."""
    with django_db_blocker.unblock(), undone():
        yield World(tmp_path_factory.mktemp("world"))
        stores.close_store()


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
