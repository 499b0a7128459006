"""What a review holds, what it still lacks, and when it is due. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from afterlaunch.calendars.business import Calendar, business_date_after, end_of_business_date, local_date

DRAFT_DAYS, APPROVE_DAYS = 2, 5
SECTIONS: tuple[tuple[str, str, str], ...] = (
    # (key, title, what a person should write)
    ("summary", "Summary", "What happened, in a few sentences that somebody outside understands."),
    ("impact", "Impact", "Users, requests, error budget and cost."),
    ("timeline", "Timeline", "What happened when. Correct it in words; the incident's own timeline never changes."),
    ("detection", "Detection", "How it was noticed, and what should have noticed it earlier."),
    ("cause", "Cause and contributing factors", "Why it happened, and what made it possible or worse."),
    ("fix", "Containment and fix", "What stopped the harm, what mended it, and what did not help."),
    ("well", "What went well", "What we want to keep."),
    ("luck", "Where luck helped", "What would have made it worse, had it gone another way."),
    ("sla", "What was promised", "The promise of a first response, and whether it was kept."),
    ("evidence", "Evidence", "What is kept, with its hashes."),
)
TITLES = {key: title for key, title, _ in SECTIONS}
BY_PEOPLE = ("detection", "cause", "well", "luck")
"""What no machine can know: a person must have written it before the review is submitted."""


def business_days(calendar: Calendar, start: datetime, days: int) -> datetime:
    """The end of the last window of the k-th business date strictly after the day of `start`."""
    return end_of_business_date(calendar, business_date_after(calendar, local_date(calendar, start), days))


@dataclass(frozen=True)
class Item:
    """What of an action item decides."""

    title: str
    owner: bool
    due: bool
    state: str = "open"


@dataclass(frozen=True)
class NoAction:
    """That nothing is to be done: why, said by whom, seconded by whom. Empty: nobody said so."""

    reason: str = ""
    by: str = ""
    seconded_by: str = ""


def lacks(
    sections: Mapping[str, Mapping[str, Any]], items: Sequence[Item], severity: str, nothing: NoAction
) -> list[str]:
    """Sentences: what stands in the way of its approval."""
    found = [f"{TITLES[key]} is empty." for key in TITLES if not str(sections.get(key, {}).get("text", "")).strip()]
    found += [f"{TITLES[key]} is a machine's; a person has to write it." for key in BY_PEOPLE if machine(sections, key)]
    for item in items:
        if item.state == "open" and not (item.owner and item.due):
            what = "an owner" if not item.owner else "a due date"
            found.append(
                f"“{item.title}” has not {what}.".replace("has not an", "has no").replace("has not a", "has no")
            )
    if severity == "P1" and not [item for item in items if item.state != "dropped"]:
        if not nothing.reason:
            found.append("A P1 needs an action item, or the reason why there is none.")
        elif not nothing.seconded_by:
            found.append("That nothing is to be done needs a second person's word.")
    return found


def machine(sections: Mapping[str, Mapping[str, Any]], key: str) -> bool:
    return bool(sections.get(key, {}).get("text")) and bool(sections[key].get("machine"))


def may_approve(posture: str, author: str, approver: str) -> str:
    """A named reason. In governed production nobody approves their own review."""
    if author != approver:
        return "another_person"
    return "author" if posture == "pilot" else "own_work"


def item_overdue(state: str, due_on: date | None, today: date) -> bool:
    """It is in time on its day."""
    return state == "open" and due_on is not None and today > due_on
