from __future__ import annotations

from django.urls import path

from afterlaunch.oncall import feed_pages, load_pages, pages, policy_pages, schedule_pages

SCHEDULE = "oncall/<slug:slug>/schedules/<int:pk>"

urlpatterns = [
    path("oncall", pages.oncall, name="oncall"),
    path("oncall/calendars", feed_pages.make),
    path("oncall/calendars/<int:pk>/revoke", feed_pages.revoke),
    path("calendars/<str:secret>.ics", feed_pages.serve),
    path("oncall/<slug:slug>/load", load_pages.load),
    path("oncall/<slug:slug>/teams", pages.teams),
    path("oncall/<slug:slug>/teams/<int:pk>/remove", pages.team_remove),
    path("oncall/<slug:slug>/schedules/new", schedule_pages.new),
    path(SCHEDULE, schedule_pages.schedule),
    path(f"{SCHEDULE}/edit", schedule_pages.edit),
    path(f"{SCHEDULE}/remove", schedule_pages.remove),
    path(f"{SCHEDULE}/overrides", schedule_pages.override),
    path(f"{SCHEDULE}/overrides/<int:override>/cancel", schedule_pages.override_cancel),
    path(f"{SCHEDULE}/swaps", schedule_pages.swap),
    path(f"{SCHEDULE}/swaps/<int:swap>/accept", schedule_pages.swap_answer, {"deed": "accept"}),
    path(f"{SCHEDULE}/swaps/<int:swap>/decline", schedule_pages.swap_answer, {"deed": "decline"}),
    path(f"{SCHEDULE}/swaps/<int:swap>/withdraw", schedule_pages.swap_answer, {"deed": "withdraw"}),
    path(f"{SCHEDULE}/temporary", schedule_pages.temporary),
    path(f"{SCHEDULE}/temporary/<int:temporary>/cancel", schedule_pages.temporary_cancel),
    path(f"{SCHEDULE}/calendars", feed_pages.add),
    path(f"{SCHEDULE}/calendars/<int:calendar>/remove", feed_pages.remove),
    path(f"{SCHEDULE}/versions/<int:number>/drop", schedule_pages.version_drop),
    path("oncall/<slug:slug>/policies/new", policy_pages.new),
    path("oncall/<slug:slug>/policies/<int:pk>", policy_pages.policy),
    path("oncall/<slug:slug>/policies/<int:pk>/remove", policy_pages.remove),
]
