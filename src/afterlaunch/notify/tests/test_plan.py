from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.notify.planning import (
    FIRST,
    GRAVE_FIRST,
    NOTICE,
    REPEATED,
    STATUS,
    TEST,
    VERIFY,
    Send,
    Sent,
    Waiting,
    plan,
    rank_of,
)
from afterlaunch.notify.throttles import PAGES, Limit, limits_of, next_allowed

NOW = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)


def page(pk: int, to: str = "c1", rank: int = REPEATED, ago: float = 0, **more: Any) -> Waiting:
    told: dict[str, Any] = {
        "person": int(to[1:]), "kind": "email", "medium": "email", "purpose": "page", "topic": f"incident/{pk}",
        "service": "desk", **more,
    }  # fmt: skip
    return Waiting(pk, to, rank=rank, created_at=NOW - timedelta(seconds=ago), **told)


def sent(to: str, ago: float, rank: int = REPEATED, purpose: str = "page", kind: str = "email") -> Sent:
    return Sent(to, int(to[1:]), kind, purpose, rank, NOW - timedelta(seconds=ago))


def test_the_classes_go_in_their_order() -> None:
    ranks = [
        rank_of("page", "P1", True),
        rank_of("page", "P2", True),
        rank_of("verify", "", False),
        rank_of("test", "", False),
        rank_of("notice", "", False),
        rank_of("page", "P1", False),
        rank_of("status", "P1", False),
        rank_of("edit", "P1", False),
    ]
    assert ranks == sorted(ranks) and len(set(ranks)) == 8
    waiting = [
        page(number, f"c{number}", rank, kind=f"k{number}", medium="chat")
        for number, rank in enumerate([STATUS, REPEATED, NOTICE, TEST, VERIFY, FIRST, GRAVE_FIRST], 1)
    ]
    assert [send.leader for send in plan(waiting, [], NOW, 10).sends] == [7, 6, 5, 4, 3, 2, 1]


def test_within_a_class_whoever_is_longest_without_a_message_comes_first() -> None:
    waiting = [page(1, "c1"), page(2, "c2"), page(3, "c3")]
    before = [sent("c1", 100, kind="x"), sent("c2", 400, kind="x")]
    assert [send.leader for send in plan(waiting, before, NOW, 10).sends] == [3, 2, 1]


def test_what_waits_for_one_person_is_one_message_led_by_the_gravest() -> None:
    waiting = [page(1, ago=50), page(2, rank=GRAVE_FIRST), page(3, ago=20), page(4, "c2")]
    sends = plan(waiting, [], NOW, 10).sends
    assert Send(2, (1, 3)) in sends and Send(4) in sends and len(sends) == 2


def test_a_throttled_page_is_held_and_goes_with_the_next_allowed_one() -> None:
    made = plan([page(1), page(2)], [sent("c1", 20)], NOW, 10)
    (hold,) = made.holds
    assert not made.sends and hold.pages == (1, 2) and hold.until == NOW + timedelta(seconds=40)
    later = plan([page(1), page(2), page(3)], [sent("c1", 60)], NOW, 10)
    assert later.sends == [Send(1, (2, 3))]


def test_the_first_page_of_a_p1_is_not_held_but_once_a_minute() -> None:
    first = page(9, rank=GRAVE_FIRST)
    assert plan([first, page(1)], [sent("c1", 1)], NOW, 10).sends == [Send(9, (1,))]
    assert plan([first], [sent("c1", 30, GRAVE_FIRST)], NOW, 10).holds[0].until == NOW + timedelta(seconds=30)


def test_a_kind_sends_five_in_five_seconds_and_nothing_is_dropped() -> None:
    waiting = [page(number, f"c{number}", GRAVE_FIRST) for number in range(1, 8)]
    made = plan(waiting, [], NOW, 100)
    assert len(made.sends) == 5 and {hold.until for hold in made.holds} == {NOW + timedelta(seconds=5)}
    told = [send.leader for send in made.sends] + [pk for hold in made.holds for pk in hold.pages]
    assert sorted(told) == [1, 2, 3, 4, 5, 6, 7]


def test_voice_waits_as_goalert_lets_it_wait() -> None:
    before = [sent("c1", 800), sent("c1", 500), sent("c1", 200)]
    (hold,) = plan([page(1, medium="voice")], before, NOW, 10).holds
    assert hold.until == NOW + timedelta(seconds=675 - 200)  # 45 min spread over the 4 that the hour has left


def test_a_retry_has_its_own_times_and_its_own_message() -> None:
    waiting = [page(1, begun=True), page(2), page(3)]
    made = plan(waiting, [sent("c1", 70)], NOW, 10)
    assert sorted(made.sends, key=lambda one: one.leader) == [Send(1), Send(2, (3,))]


def test_a_thread_keeps_its_order() -> None:
    told: dict[str, Any] = {"person": None, "ordered": True, "medium": "chat", "topic": "incident/1"}
    waiting = [page(5, "h1", **told), page(4, "h1", **told), page(6, "h2", **told)]
    assert {send.leader for send in plan(waiting, [], NOW, 10).sends} == {4, 6}
    assert {send.leader for send in plan(waiting, [], NOW, 10, {("h1", "incident/1"): 2}).sends} == {6}


@given(st.lists(st.integers(0, 600), max_size=60), st.sampled_from(["voice", "sms"]))
@settings(max_examples=150, deadline=None)
def test_no_window_ever_holds_more_than_its_share(gaps: list[int], medium: str) -> None:
    """Asks come at any time; each goes out as soon as the rules let it."""
    out: list[datetime] = []
    limits, at = limits_of(medium, "page"), NOW
    for gap in gaps:
        at += timedelta(seconds=gap)
        allowed, _ = next_allowed(limits, out, at)
        while allowed > at:
            at = allowed
            allowed, _ = next_allowed(limits, out, at)
        out.append(at)
    for limit in PAGES[medium]:
        for first in out:
            inside = [one for one in out if first <= one < first + timedelta(seconds=limit.seconds)]
            assert len(inside) <= limit.count


def test_an_hour_of_asking_all_the_time_is_spread() -> None:
    out: list[datetime] = []
    at = NOW
    while at < NOW + timedelta(hours=3):
        if next_allowed(PAGES["voice"], out, at)[0] <= at:
            out.append(at)
        at += timedelta(seconds=30)
    assert len(out) <= 15 and len([one for one in out if one < NOW + timedelta(hours=1)]) <= 7
    assert out[-1] > NOW + timedelta(hours=2), "some are left for the end"


def test_a_limit_says_itself() -> None:
    assert Limit(3, 900).words == "3 in 15 min" and Limit(7, 3600).words == "7 in 1 h"


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 7), st.booleans()), max_size=40))
@settings(max_examples=150, deadline=None)
def test_every_page_is_sent_held_or_left_for_want_of_room(rows: list[tuple[int, int, bool]]) -> None:
    waiting = [page(number, f"c{to}", rank, begun=begun) for number, (to, rank, begun) in enumerate(rows, 1)]
    made = plan(waiting, [], NOW, 1000)
    told = [pk for send in made.sends for pk in (send.leader, *send.carried)]
    told += [pk for hold in made.holds for pk in hold.pages]
    assert sorted(told) == [one.pk for one in waiting]
