from __future__ import annotations

from django.urls import path

from afterlaunch.notify import channel_pages, pages

urlpatterns = [
    path("settings/contacts", pages.contacts, name="contacts"),
    path("settings/contacts/add", pages.add),
    path("settings/contacts/<int:pk>/test", pages.test),
    path("settings/contacts/<int:pk>/verify", pages.verify),
    path("settings/contacts/<int:pk>/remove", pages.remove),
    path("settings/contacts/<int:pk>/first", pages.first),
    path("settings/contacts/rules", pages.set_personal_rules),
    path("settings/channels", channel_pages.channels, name="channels"),
    path("settings/channels/<int:pk>/test", channel_pages.test),
    path("settings/channels/<int:pk>/remove", channel_pages.remove),
    path("settings/deliveries", channel_pages.deliveries, name="deliveries"),
]
