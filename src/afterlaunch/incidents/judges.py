"""Which kind of incident a judge's breach is. The table is `app.judges.KINDS`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string


@lru_cache(maxsize=1)
def _kinds() -> Mapping[str, str]:
    return cast("Mapping[str, str]", import_string(settings.JUDGE_KINDS))


def kind_of_judge(*judges: str) -> str:
    """The kind of the first of `judges` (the gravest first) that tells one; `other` when none does."""
    for judge in judges:
        found = _kinds().get(judge) or _kinds().get(judge.partition(".")[0], "other")
        if found != "other":
            return found
    return "other"
