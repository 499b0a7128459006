from __future__ import annotations

from django.urls import path, re_path

from afterlaunch.incidents import pages
from afterlaunch.incidents.containment import pages as containment
from afterlaunch.incidents.files import pages as files
from afterlaunch.incidents.reviews import pages as reviews
from afterlaunch.incidents.runbooks import pages as runbooks
from afterlaunch.incidents.updates import pages as updates

urlpatterns = [
    path("incidents", pages.incidents, name="incidents"),
    path("incidents/reviews", reviews.reviews),
    path("incidents/actions", reviews.items),
    path("incidents/actions/<int:pk>/end", reviews.end_item),
    path("incidents/runbooks", runbooks.front),
    path("incidents/runbooks/<slug:client>/<slug:kind>", runbooks.editor),
    path("incidents/policy/<slug:client>", containment.policy),
    path("incidents/stakeholders/<slug:client>", updates.stakeholder),
    path("incidents/<int:pk>", pages.incident, name="incident"),
    re_path(rf"^incidents/(?P<pk>\d+)/(?P<deed>{'|'.join(pages.DEEDS)})$", pages.act),
    path("incidents/<int:pk>/runbook/<int:number>", runbooks.step),
    path("incidents/<int:pk>/evidence/<slug:key>", runbooks.evidence),
    path("incidents/<int:pk>/containment/<slug:key>", containment.dry_run),
    path("incidents/<int:pk>/measures/<int:measure>/undo", containment.undo),
    path("incidents/<int:pk>/update", updates.update),
    path("incidents/<int:pk>/updates/<int:number>/<slug:audience>", updates.decide),
    path("incidents/<int:pk>/files", files.attach),
    path("incidents/<int:pk>/files/<int:file_id>", files.file),
    path("incidents/<int:pk>/files/<int:file_id>/remove", files.remove),
    path("incidents/<int:pk>/timeline.<slug:form>", files.timeline),
    path("incidents/<int:pk>/review", reviews.review),
    path("incidents/<int:pk>/review/<slug:name>", reviews.deed),
    path("incidents/<int:pk>/action-items", reviews.put_item),
    path("incidents/<int:pk>/prompt", reviews.prompt),
    path("ack/<str:token>", pages.signed_acknowledge),
]
