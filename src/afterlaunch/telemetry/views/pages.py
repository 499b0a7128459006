"""The views as pages: one template, whose parts a `Sheet` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from afterlaunch.ground.errors import NotFound
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.views import agents, compare, errors, latency, people, quality, retrieval, usage
from afterlaunch.telemetry.views.asked import Asked, asked
from afterlaunch.telemetry.views.sheets import Section, Sheet

KEEP = ("group_by", "by", "a", "b", "order", "id", "of_client")
PICKS = ("model", "tenant", "agent", "route", "version", "system", "environment", "provider", "tool", "kind", "client",
         "arm", "service")  # fmt: skip


@dataclass(frozen=True)
class View:
    """`groups`: offered as `group_by`; the first is the default. `tab`: under which tab it stands."""

    name: str
    title: str
    what: str
    sheet: Callable[[Asked], Sheet]
    groups: tuple[str, ...] = ()
    tab: str = ""

    @property
    def page(self) -> str:
        return f"/calls/{self.name}"

    @property
    def api(self) -> str:
        return f"/api/v1/{self.name}"


_ANY = ("model", "agent", "tenant", "route", "version", "provider", "system", "environment", "client", "arm", "service")
VIEWS = (
    View("usage", "Usage", "Tokens, the prompt cache and cost by any dimension; cost per transaction, session and user",
         usage.sheet, (*_ANY, "op_kind")),
    View("latency", "Latency", "Latency and time to first token of every kind of operation", latency.sheet,
         ("op_kind", *_ANY, "tool")),
    View("errors", "Errors", "Failures by whose fault; throttled attempts; how close the limits are", errors.sheet,
         ("op_kind", *_ANY, "tool")),
    View("agents", "Agents", "Steps of runs, tools, their order, and loops", agents.sheet),
    View("retrieval", "Retrieval", "Quality, empty results, cache hits and age of what is found", retrieval.sheet),
    View("transactions", "Transactions", "Transactions by cost", people.transactions),
    View("transaction", "Transaction", "One transaction", people.transaction, tab="Transactions"),
    View("sessions", "Sessions", "Sessions by cost", people.sessions),
    View("session", "Session", "One session", people.session, tab="Sessions"),
    View("users", "Users", "Users by cost", people.users),
    View("user", "User", "One user", people.user, tab="Users"),
    View("quality", "Data quality", "Flags by sender; sums that are not those of their calls; spans beside metrics",
         quality.sheet),
    View("compare", "Compare", "Two periods, or two values of a dimension, side by side", compare.sheet),
)  # fmt: skip
BY_NAME = {view.name: view for view in VIEWS}
COMPARABLE = (
    "period",
    "version",
    "arm",
    "model",
    "agent",
    "route",
    "tenant",
    "provider",
    "environment",
    "system",
    "client",
)


def tabs(ask: Asked) -> list[tuple[str, str]]:
    """Of all views; time and search go along."""
    return [("Calls", ask.link("/calls")), *((one.title, ask.link(one.page)) for one in VIEWS if not one.tab)]


def _card(view: View, ask: Asked, one: Section) -> dict[str, Any]:
    left = max(0, len(one.grid.rows) - one.most)
    return {"one": one, "files": ask.files(view.api, one.key), "cells": one.grid.cells(one.most), "left": left}


def page_of(view: View) -> Callable[[Request], HttpResponse]:
    @require_safe
    def page(request: Request) -> HttpResponse:
        ask = asked(request, *KEEP)
        sheet = view.sheet(ask)
        if part := request.GET.get("part"):
            found = [one for one in sheet.sections if one.key == part]
            if not found:
                raise NotFound(f"This page has no part {part!r}.")
            return render(request, "telemetry/_section.html", _card(view, ask, found[0]))
        chosen = ask.kept.get("group_by", view.groups[0] if view.groups else "")
        context: dict[str, Any] = {
            **ask.context(view.api),
            "view": view,
            "sheet": sheet,
            "chart": sheet.chart() if sheet.chart else "",
            "heading": ask.kept.get("id") or view.title,
            "sections": [
                {"one": one, "address": ask.link(part=one.key)} if one.later else _card(view, ask, one)
                for one in sheet.sections
            ],
            "files": [
                (f"{one.title}, {word}", address)
                for one in sheet.sections
                for word, address in ask.files(view.api, one.key)
            ],
            "tabs": tabs(ask),
            "tab": view.tab or view.title,
            "picks": PICKS,
            "groups": [(name, ask.link(group_by=name), name == chosen) for name in view.groups],
            "group_by": chosen,
            "dimensions": DIMENSIONS,
            "comparable": COMPARABLE if view.name == "compare" else (),
            "by": ask.kept.get("by", "period"),
            "a": ask.kept.get("a", ""),
            "b": ask.kept.get("b", ""),
            "turns": people.said(view.name, ask) if view.tab else None,
            "most_said": people.MOST_SAID,
            "orders": [(name, ask.link(order=name), name == ask.kept.get("order", "cost")) for name in people.ORDERS]
            if view.name in ("transactions", "sessions", "users")
            else (),
        }
        return render(request, "telemetry/view.html", context)

    page.__name__ = f"view_{view.name}"
    return page
