from __future__ import annotations

import csv
import io
from pathlib import Path

import orjson
import pytest

from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotAllowed, NotFound, TooLarge, Unavailable, Unsupported
from afterlaunch.ground.settings import settings
from afterlaunch.incidents import export
from afterlaunch.incidents.actions import add_note
from afterlaunch.incidents.chain import NoTimeline, check
from afterlaunch.incidents.files import actions, store
from afterlaunch.incidents.files.api import handed_out
from afterlaunch.incidents.files.models import Attachment
from afterlaunch.incidents.files.rules import media_type, safe_name
from afterlaunch.incidents.tests.conftest import World

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("shot.png", PNG, "image/png"),
        ("trace.json", b'{"a": 1}', "application/json"),
        ("app.log", "Grüße".encode(), "text/plain"),
        ("cut.txt", ("x" * 4095 + "ü").encode()[:4096], "text/plain"),
        ("pack.zip", b"PK\x03\x04....", "application/zip"),
    ],
)
def test_the_type_is_told_by_the_bytes(name: str, head: bytes, kind: str) -> None:
    assert media_type(name, head) == kind


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("page.html", b"<html>"),
        ("evil.svg", b"<svg onload=alert(1)>"),
        ("run.exe", b"MZ\x90\x00"),
        ("shot.png", b"<script>"),
        ("notes.txt", PNG),
        ("data.csv", b"\x00\x01"),
        ("nothing", b"plain"),
        ("wrong.txt", b"\xff\xfe\x00"),
    ],
)
def test_what_a_browser_could_run_or_lies_about_itself_is_refused(name: str, head: bytes) -> None:
    with pytest.raises(Unsupported):
        media_type(name, head)


def test_names_lose_folders_and_control_characters() -> None:
    assert safe_name("../../etc/pass\x00wd.txt") == "passwd.txt"
    assert safe_name("C:\\temp\\shot.png") == "shot.png" and safe_name("...") == "file"
    assert safe_name("a\r\nb.txt") == "ab.txt" and len(safe_name("x" * 500 + ".txt")) <= 200


def test_a_file_is_kept_by_its_hash_and_handed_out_as_an_attachment(world: World, folder: Path) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    row = actions.attach(mate, incident, 'sh"ot.png', [PNG[:10], PNG[10:]])
    assert (row.size, row.media_type) == (len(PNG), "image/png")
    assert actions.attach(mate, incident, 'sh"ot.png', [PNG]) == row
    assert [one.name for one in folder.rglob("*") if one.is_file()] == [row.sha256]
    answer = handed_out(incident, row.pk)
    assert answer.content == PNG and answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Type"] == "application/octet-stream" and "sandbox" in answer["Content-Security-Policy"]
    store.place(row.sha256).write_bytes(b"altered")
    with pytest.raises(Unavailable, match="altered"):
        handed_out(incident, row.pk)


def test_large_empty_and_foreign_files_leave_nothing_behind(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mate, viewer = world.person("mate", Role.RESPONDER, "acme"), world.person("viewer", Role.VIEWER, "acme")
    incident, other = world.incident(), world.incident("other")
    monkeypatch.setattr(actions, "largest", lambda: 10)
    for data, wrong in ((PNG, TooLarge), (b"", Invalid), (b"<html>", Unsupported)):
        with pytest.raises(wrong):
            actions.attach(mate, incident, "page.html" if data == b"<html>" else "a.png", [data])
    with pytest.raises(NotAllowed):
        actions.attach(viewer, incident, "a.txt", [b"hello"])
    assert not [one for one in folder.rglob("*") if one.is_file()] and not Attachment.objects.exists()
    row = actions.attach(mate, incident, "a.txt", [b"hello"])
    with pytest.raises(NotFound):
        actions.file_of(other, row.pk)
    assert settings().number("INCIDENT_FILE_MAX_MB") == 20


@pytest.mark.django_db(transaction=True)
def test_removing_needs_an_operator_and_a_reason(world: World) -> None:
    mate, chief = world.person("mate", Role.RESPONDER, "acme"), world.person("chief", Role.OPERATOR, "acme")
    incident = world.incident()
    row = actions.attach(mate, incident, "a.txt", [b"hello"])
    with pytest.raises(NotAllowed):
        actions.remove(mate, incident, row.pk, "private")
    with pytest.raises(Invalid):
        actions.remove(chief, incident, row.pk, "")
    actions.remove(chief, incident, row.pk, "private")
    assert not store.place(row.sha256).exists()
    with pytest.raises(NotFound):
        actions.file_of(incident, row.pk)


def test_an_exported_timeline_can_be_checked_with_nothing_but_itself(world: World) -> None:
    mate, incident = world.person("mate", Role.RESPONDER, "acme"), world.incident()
    add_note(mate, incident, "=cmd|' /C calc'!A0\n# not a heading")
    data = export.written(incident, "json")
    result = check(data)
    assert (result.problems, result.entries, result.incident) == ((), incident.timeline.count(), incident.pk)
    for spoil in (_altered, _cut, _swapped):
        assert check(orjson.dumps(spoil(orjson.loads(data)))).problems
    for wrong in (b"{}", b"[]", b"nonsense"):
        with pytest.raises(NoTimeline):
            check(wrong)
    rows = list(csv.DictReader(io.StringIO(export.written(incident, "csv").decode())))
    assert rows[-1]["text"].startswith("'=cmd") and rows[-1]["hash"] == result.head
    told = export.written(incident, "md").decode()
    assert "\n# not a heading" not in told and result.head in told


def _altered(document: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    document["entries"][0]["text"] = "something else"
    return document


def _cut(document: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    document["entries"].pop()
    return document


def _swapped(document: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    document["entries"][0], document["entries"][1] = document["entries"][1], document["entries"][0]
    return document
