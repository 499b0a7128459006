from __future__ import annotations

from django.urls import path

from afterlaunch.receivers import pages

urlpatterns = [
    path("integrations", pages.integrations, name="integrations"),
    path("integrations/<int:pk>", pages.integration),
    path("integrations/<int:pk>/keys", pages.new_key),
    path("integrations/<int:pk>/keys/<int:key>/revoke", pages.revoke),
    path("integrations/<int:pk>/test", pages.test),
    path("integrations/<int:pk>/remove", pages.remove),
    path("integrations/events/<int:pk>", pages.event),
]
