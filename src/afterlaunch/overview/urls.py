from __future__ import annotations

from django.urls import path

from afterlaunch.overview import gateway_pages, pages, settings_pages

urlpatterns = [
    path("", pages.overview),
    path("systems", pages.systems),
    path("systems/add", pages.add_system),
    path("systems/<int:pk>", pages.system),
    path("settings", settings_pages.front),
    path("settings/tokens", settings_pages.token_create),
    path("settings/tokens/<int:pk>/revoke", settings_pages.token_revoke),
    path("settings/people", settings_pages.person_invite),
    path("settings/server", settings_pages.server),
    path("settings/gateway", gateway_pages.front),
    path("settings/gateway/upstreams", gateway_pages.upstream_put),
    path("settings/gateway/routes", gateway_pages.route_put),
    path("settings/gateway/routes/<slug:name>/shadow/end", gateway_pages.shadow_end),
    path("settings/gateway/keys", gateway_pages.key_create),
    path("settings/gateway/keys/<str:key_id>/revoke", gateway_pages.key_revoke),
]
