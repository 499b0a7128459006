"""What outsiders reach without signing in. Reading asks nothing of who reads; when the database does not answer, the
files that were written last are served."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError, Invalid, NotFound, RateLimited
from afterlaunch.status_pages import letters, writing
from afterlaunch.status_pages.actions import page_at
from afterlaunch.status_pages.shown import document

ASSETS = "/static/status_pages"
SECONDS = 15  # that caches may keep it


@require_GET
def page(request: HttpRequest, key: str, kind: str = "html") -> HttpResponse:
    """`kind`: html, json, rss."""
    try:
        row = page_at(key)
        told = document(row, clock.now())
        base = row.get_absolute_url()
        body = {
            "html": lambda: writing.as_html(told, base, ASSETS),
            "json": lambda: writing.as_json(told),
            "rss": lambda: writing.as_rss(told),
        }[kind]()
    except NotFound as problem:
        return _said("Nothing here", problem.message, 404)
    except DatabaseError:
        kept = writing.last_written(key, kind)
        if kept is None:
            return _said("Not available", "Try again in a moment.", 503)
        body = kept.replace(b'"./status.', f'"{ASSETS}/status.'.encode())
    response = HttpResponse(body, content_type=writing.TYPES[kind])
    response["Cache-Control"] = f"public, max-age={SECONDS}" if not _secret(key) else "private, no-store"
    response["Referrer-Policy"] = "no-referrer"
    if _secret(key):
        response["X-Robots-Tag"] = "noindex"
    return response


def _secret(key: str) -> bool:
    return len(key) == 32  # of 24 random bytes; a public page's name says nothing that its links do not


def _said(title: str, text: str, status: int = 200, button: str = "", back: str = "") -> HttpResponse:
    response = render(
        None,
        "status_pages/letter.html",
        {"title": title, "text": text, "button": button, "back": back},
        status=status,
    )
    response["Referrer-Policy"], response["Cache-Control"] = "no-referrer", "no-store"
    return response


@csrf_exempt
@require_POST
def subscribe(request: HttpRequest, key: str) -> HttpResponse:
    """It acts for nobody who is signed in, and what it does is to ask by mail."""
    try:
        row = page_at(key)
        letters.subscribe(row, request.POST.get("email", ""))
    except (NotFound, Invalid, RateLimited) as problem:
        return _problem(problem)
    back = row.get_absolute_url()
    return _said("Look into your mail", "If this address may get news, a mail asks you to confirm it.", back=back)


def _problem(problem: AfterlaunchError) -> HttpResponse:
    return _said("That did not work", f"{problem.message} {problem.hint}".strip(), problem.status)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, so that a mail scanner confirms nothing."""
    try:
        if request.method == "POST":
            row = letters.confirm(token)
            return _said("Confirmed", f"You get news of {row.page.title}.", back=row.page.get_absolute_url())
        row = letters.subscriber_by(token)
    except NotFound as problem:
        return _problem(problem)
    return _said("Get news by mail?", f"{row.email} will get news of {row.page.title}.", button="Yes, confirm")


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """One click: a mail client may POST here by itself (RFC 8058)."""
    try:
        if request.method == "POST":
            return _said(
                "Done", f"You get no more mails about {letters.unsubscribe(token)}. Your address is forgotten."
            )
        row = letters.subscriber_by(token)
    except NotFound as problem:
        return _problem(problem)
    return _said("No more mails?", f"{row.email} gets news of {row.page.title} now.", button="Unsubscribe")
