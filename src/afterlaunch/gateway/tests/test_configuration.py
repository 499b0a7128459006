"""Configuration: in force within a second, kept on disk, and refused when it does not verify."""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from afterlaunch import sdk
from afterlaunch.contracts.snapshot import Key, key_digest, seal
from afterlaunch.gateway.configuration import KEEP, Configuration, Holder
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.tests.house import (
    KEY,
    SHARED,
    Canned,
    House,
    Provider,
    gateway_at,
    running,
    snapshot_of,
    until,
)
from afterlaunch.gateway.tests.test_forwarding import ANSWER, call
from afterlaunch.ground import clock


def test_a_share_flips_within_a_second_without_restart(gateway_house: House) -> None:
    gateway_house.publish(share=10_000)
    assert call(gateway_house, afterlaunch_session="s")[1]["afterlaunch-arm"] == "candidate"
    began = time.perf_counter()
    gateway_house.server.publish(snapshot_of(gateway_house.provider_url, epoch=3, share=0))
    until(lambda: call(gateway_house, afterlaunch_session="s")[1]["afterlaunch-arm"] == "baseline")
    assert time.perf_counter() - began < 2.0  # the bound of a containment; usually a third of a second


def test_a_flip_under_load_fails_no_request(gateway_house: House) -> None:
    gateway_house.publish(share=10_000)
    gateway_house.provider.answer = lambda _: Canned([ANSWER], pause=0.01)
    told: list[tuple[int, str]] = []
    ended = time.perf_counter() + 30

    def calling(number: int) -> None:
        """Until it was the baseline's five times in a row."""
        in_row = 0
        while in_row < 5 and time.perf_counter() < ended:
            status, headers, _ = call(gateway_house, afterlaunch_session=f"s{number}")
            told.append((status, headers["afterlaunch-arm"]))
            in_row = in_row + 1 if headers["afterlaunch-arm"] == "baseline" else 0

    with ThreadPoolExecutor(8) as many:
        callers = [many.submit(calling, number) for number in range(8)]
        until(lambda: len(told) >= 40, 20)
        gateway_house.server.publish(snapshot_of(gateway_house.provider_url, epoch=3, share=0))
        for one in callers:
            one.result()
    assert {status for status, _ in told} == {200}
    assert {arm for _, arm in told[:40]} == {"candidate"} and {arm for _, arm in told[-8:]} == {"baseline"}


def test_an_arm_sticks_to_its_unit_and_the_application_is_told_it_beforehand(gateway_house: House) -> None:
    gateway_house.publish(share=5_000, candidate_model="gpt-new")
    arms = set()
    for number in range(40):
        told = sdk.assignment("answers", f"user-{number}", gateway_house.url, KEY)
        said = call(gateway_house, afterlaunch_user=f"user-{number}")[1]
        assert said["afterlaunch-arm"] == told.arm
        assert (told.prompt_version, told.model) == (("p2", "gpt-new") if told.arm == "candidate" else ("p1", None))
        arms.add(told.arm)
    assert arms == {"baseline", "candidate"}


def test_a_call_without_a_unit_is_the_baselines_and_counted(gateway_house: House) -> None:
    gateway_house.publish(share=10_000)
    assert call(gateway_house)[1]["afterlaunch-arm"] == "baseline"
    text = urllib.request.urlopen(gateway_house.url + "/metrics").read().decode()
    assert 'afterlaunch_gateway_unassigned_total{route="answers"} 1' in text


def test_without_the_server_it_starts_from_the_last_good_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_SECRET", "sk")
    provider = Provider()
    provider.answer = lambda _: Canned([b'{"ok":1}'])
    with running(provider) as upstream:
        Holder(tmp_path / "snapshots", lambda: SHARED).take(seal(snapshot_of(upstream, epoch=5), SHARED))
        with gateway_at("http://127.0.0.1:1", tmp_path) as (url, gateway):
            house = House(url, provider, upstream, None, gateway)  # type: ignore[arg-type]
            assert call(house)[2] == b'{"ok":1}'
            ready = json.load(urllib.request.urlopen(url + "/readyz"))
            until(lambda: "silent" in json.load(urllib.request.urlopen(url + "/readyz"))["server"])
            assert ready["epoch"] == 5


def test_nothing_is_served_before_a_configuration_has_verified(tmp_path: Path) -> None:
    with gateway_at("http://127.0.0.1:1", tmp_path) as (url, gateway):
        house = House(url, None, "", None, gateway)  # type: ignore[arg-type]
        status, said, _ = call(house)
        assert (status, said["afterlaunch-reason"], said["retry-after"]) == (503, "no-configuration", "2")


def test_bad_signatures_lower_epochs_and_dangling_names_are_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    holder = Holder(tmp_path, lambda: SHARED)
    good = snapshot_of("http://127.0.0.1:1", epoch=4)
    assert holder.take(seal(good, SHARED))
    assert not holder.take(seal(snapshot_of("http://127.0.0.1:1", epoch=5), b"another key"))
    assert not holder.take(seal(snapshot_of("http://127.0.0.1:1", epoch=4), SHARED))
    assert not holder.take(seal(snapshot_of("http://127.0.0.1:1", epoch=5, share=20_000), SHARED))
    assert not holder.take(b"{}")
    assert holder.epoch == 4 and holder.refused["BadSnapshot"] == 4


def test_the_last_ten_stay_on_disk_and_a_damaged_newest_one_is_passed_over(tmp_path: Path) -> None:
    holder = Holder(tmp_path, lambda: SHARED)
    for epoch in range(1, KEEP + 4):
        assert holder.take(seal(snapshot_of("http://127.0.0.1:1", epoch=epoch), SHARED))
    files = sorted(tmp_path.glob("snapshot-*.json"))
    assert len(files) == KEEP
    files[-1].write_bytes(files[-1].read_bytes()[:-9])
    again = Holder(tmp_path, lambda: SHARED)
    again.start()
    assert again.epoch == KEEP + 2


def test_a_key_is_refused_from_its_end_on_also_when_it_has_been_good_before() -> None:
    end = clock.now() + timedelta(days=1)
    key = Key("k1", key_digest("secret", SHARED), "acme", ("answers",), expires_at=end.timestamp())
    made = Configuration(replace(snapshot_of("http://127.0.0.1:1"), keys=(key,)), SHARED)
    with clock.frozen(end - timedelta(seconds=1)):
        assert made.authenticate(KEY) == key
    with clock.frozen(end), pytest.raises(Refusal) as refused:
        made.authenticate(KEY)
    assert (refused.value.status, refused.value.reason) == (401, "key-expired")
    with clock.frozen(end), pytest.raises(Refusal) as guessed:
        made.authenticate("al_k1_wrong")
    assert guessed.value.reason == "key-unknown"
