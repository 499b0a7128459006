from __future__ import annotations

from typing import Any

import orjson
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from afterlaunch.evidence.api import entries_seen_by
from afterlaunch.evidence.checkpoints import verifier_key
from afterlaunch.evidence.models import Entry, SignedCheckpoint
from afterlaunch.look.requests import Request

PER_PAGE = 50
FILTERS = ("subject", "deed", "actor")
PLACES = {"incident": "incidents", "change": "changes", "system": "systems"}  # subjects that have a page


@require_GET
def evidence(request: Request) -> HttpResponse:
    """The newest entries first, and what signs them."""
    asked = {name: request.GET.get(name, "").strip() for name in FILTERS}
    wanted = {f"{name}__icontains": value for name, value in asked.items() if value}
    rows = entries_seen_by(request.actor).filter(**wanted).order_by("-index")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    newest = SignedCheckpoint.objects.first()
    context = {
        "page": page,
        "rows": [_row(entry, newest.size if newest else 0) for entry in page],
        "asked": asked,
        "newest": newest,
        "key": verifier_key().text(),
        "total": page.paginator.count,
    }
    return render(request, "evidence/evidence.html", context)


def _row(entry: Entry, signed: int) -> dict[str, Any]:
    details = orjson.loads(bytes(entry.body))["details"]
    shown = orjson.dumps(details, option=orjson.OPT_INDENT_2).decode() if details else ""
    kind, _, number = entry.subject.partition("/")
    return {
        "entry": entry,
        "details": shown,
        "signed": entry.index < signed,
        "leaf": bytes(entry.leaf).hex(),
        "address": f"/{PLACES[kind]}/{number}" if kind in PLACES and number.isdigit() else "",
    }
