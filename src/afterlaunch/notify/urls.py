from __future__ import annotations

from django.urls import path

from afterlaunch.notify import pages

urlpatterns = [
    path("settings/contacts", pages.contacts, name="contacts"),
    path("settings/contacts/add", pages.add),
    path("settings/contacts/<int:pk>/test", pages.test),
    path("settings/contacts/<int:pk>/verify", pages.verify),
    path("settings/contacts/<int:pk>/remove", pages.remove),
]
