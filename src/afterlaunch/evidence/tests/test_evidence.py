from __future__ import annotations

import json
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from tests.real_input import real

from afterlaunch.evidence import notes, tree
from afterlaunch.evidence.checkpoints import folder, sign, verifier_key
from afterlaunch.evidence.log import record, split_peaks
from afterlaunch.evidence.models import Entry, Head, SignedCheckpoint
from afterlaunch.evidence.verify import check, check_pack, write_pack
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Conflict


def vectors(name: str) -> Any:
    return json.loads(real(f"vectors/delivery/{name}").read_text())


def test_the_tree_gives_the_reference_roots_and_proofs_and_refuses_flipped_ones() -> None:
    given = vectors("merkle.json")
    leaves = [tree.leaf_hash(bytes.fromhex(leaf)) for leaf in given["leaves_hex"]]
    roots = [bytes.fromhex(root) for root in given["roots_hex"]]
    assert [tree.root(leaves[:size]) for size in range(len(roots))] == roots
    for case in given["inclusion"]:
        index, size = case["index"], case["size"]
        proof = [bytes.fromhex(one) for one in case["proof_hex"]]
        assert tree.inclusion_proof(leaves[:size], index) == proof
        assert tree.verify_inclusion(leaves[index], index, size, proof, roots[size])
        for place in range(len(proof)):
            flipped = [*proof[:place], bytes([proof[place][0] ^ 1]) + proof[place][1:], *proof[place + 1 :]]
            assert not tree.verify_inclusion(leaves[index], index, size, flipped, roots[size])
    for case in given["consistency"]:
        old, new = case["old"], case["new"]
        proof = [bytes.fromhex(one) for one in case["proof_hex"]]
        assert tree.consistency_proof(leaves[:new], old) == proof
        assert tree.verify_consistency(old, new, roots[old], roots[new], proof)
        for place in range(len(proof)):
            flipped = [*proof[:place], bytes([proof[place][0] ^ 1]) + proof[place][1:], *proof[place + 1 :]]
            assert not tree.verify_consistency(old, new, roots[old], roots[new], flipped)


def test_signed_notes_are_taken_and_refused_as_the_specification_says() -> None:
    given = vectors("signed_note.json")
    for case in [one for one in given["cases"] if one["kind"] in ("note", "checkpoint")]:
        keys = [notes.VerifierKey.parse(key) for key in case["vkeys"]]
        try:
            text, _ = notes.verify(case["note"], keys)
            good = True
            if case["kind"] == "checkpoint":
                point = notes.parse_checkpoint(text)
                good = point.origin == case.get("origin", point.origin)
        except notes.BadNote:
            good = False
        assert good == case["valid"], case["name"]


@pytest.fixture
def log(db: None, settings: Any) -> list[bytes]:
    for old in folder().glob("checkpoint"):
        old.unlink()
    for number in range(5):
        with transaction.atomic():
            record(automation("test"), "thing.done", f"thing/{number}", "acme", {"number": number})
    sign(clock.now())
    return [bytes(body) for body in Entry.objects.values_list("body", flat=True)]


def pack_of(bodies: list[bytes]) -> bytes:
    return write_pack(bodies, [point.note for point in SignedCheckpoint.objects.all()], verifier_key())


def test_an_untouched_log_holds(log: list[bytes]) -> None:
    result = check_pack(pack_of(log))
    assert (result.entries, result.signed, result.problems) == (5, 5, ())


def test_a_flipped_byte_a_cut_tail_and_a_swapped_pair_are_found(log: list[bytes]) -> None:
    flipped = [*log[:2], log[2].replace(b'"number":2', b'"number":3'), *log[3:]]
    swapped = [log[1], log[0], *log[2:]]
    for broken in (flipped, log[:-1], swapped):
        assert check_pack(pack_of(broken)).problems
    note = SignedCheckpoint.objects.get().note
    for at in range(0, len(note), 7):
        changed = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
        assert check(log, [changed], verifier_key()).problems, at


def test_a_log_cut_in_the_database_is_never_signed_again(
    log: list[bytes], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        record(automation("test"), "thing.done", "thing/6", "acme", {})
        sign(clock.now())
    assert (folder() / "checkpoint").exists()
    Entry.objects.filter(index__gte=3).delete()
    SignedCheckpoint.objects.all().delete()
    head = Head.objects.get()
    peaks: list[bytes] = []
    for size, leaf in enumerate(Entry.objects.values_list("leaf", flat=True)):
        peaks = tree.append(peaks, size, bytes(leaf))
    head.size, head.peaks = 3, b"".join(peaks)
    head.save()
    with pytest.raises(Conflict):
        sign(clock.now())
    (folder() / "checkpoint").unlink()


def test_floats_and_entries_outside_a_transaction_are_refused(transactional_db: None) -> None:
    with pytest.raises(RuntimeError):
        record(automation("test"), "thing.done", "thing/1")
    with transaction.atomic(), pytest.raises(TypeError):
        record(automation("test"), "thing.done", "thing/1", None, {"cost": [0.1]})


def test_what_a_thread_remembers_of_the_log_is_believed_only_while_it_is_so(transactional_db: None) -> None:
    """A deed that was taken back, and an entry that somebody else wrote meanwhile."""

    def note(subject: str) -> int:
        return record(automation("test"), "thing.done", subject).index

    def elsewhere() -> None:
        with transaction.atomic():
            note("thing/elsewhere")
        connection.close()

    with transaction.atomic():
        note("thing/1")
        with pytest.raises(ValueError, match="no"), transaction.atomic():
            note("thing/taken back")
            raise ValueError("no")
        assert note("thing/2") == 1
    thread = Thread(target=elsewhere)
    thread.start()
    thread.join()
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        assert (note("thing/3"), note("thing/4")) == (3, 4)
    texts = [one["sql"].lower() for one in queries.captured_queries]
    assert sum(one.startswith("select size, peaks") for one in texts) == 1  # the first knew better, the second knew
    bodies = [bytes(body) for body in Entry.objects.order_by("index").values_list("body", flat=True)]
    assert [json.loads(body)["index"] for body in bodies] == [0, 1, 2, 3, 4]
    head = Head.objects.get()
    leaves = [tree.leaf_hash(body) for body in bodies]
    assert tree.root_of_peaks(split_peaks(head.peaks)) == tree.root(leaves)
