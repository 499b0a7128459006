from __future__ import annotations

from django.urls import path

from afterlaunch.guard import pages

urlpatterns = [
    path("guard", pages.guard),
    path("guard/policies/<int:pk>", pages.policy),
    path("guard/policies/<int:pk>/end", pages.end),
    path("guard/policies/<int:pk>/bypasses", pages.bypass),
    path("guard/policies/<int:pk>/bypasses/<int:bypass_pk>/end", pages.end_a_bypass),
    path("guard/approvals", pages.approvals),
    path("guard/approvals/<int:pk>", pages.approval),
]
