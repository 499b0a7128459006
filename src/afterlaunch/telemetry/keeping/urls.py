from __future__ import annotations

from django.urls import path

from afterlaunch.telemetry.keeping import pages

urlpatterns = [
    path("settings/keeping", pages.keeping),
    path("settings/dead-letters", pages.letters),
    path("settings/dead-letters/replay", pages.replay_all),
    path("settings/dead-letters/<str:letter_id>", pages.letter),
    path("settings/dead-letters/<str:letter_id>/replay", pages.replay),
    path("settings/dead-letters/<str:letter_id>/discard", pages.discard),
    path("settings/erasures", pages.erasing),
    path("settings/erasures/<int:erasure_id>/check", pages.check),
]
