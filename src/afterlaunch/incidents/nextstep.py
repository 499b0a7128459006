"""The one thing that somebody just woken should do now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.incidents.lifecycle import Facts, blockers, needs_review


@dataclass(frozen=True)
class Next:
    """`why` in a sentence; the button says `button` and leads to `address`, or performs it when `post`."""

    name: str
    why: str
    button: str = ""
    address: str = ""
    post: bool = False


@dataclass(frozen=True)
class Around:
    """What else decides: `rollback` says what a rollback would do (empty: there is none); `step` the first open step of
    the runbook; `stable_at` when it has been healthy for long enough; `again` why it pages once more."""

    here: str
    now: datetime
    rollback: str = ""
    step: int = 0
    step_text: str = ""
    stable_at: datetime | None = None
    review_state: str = ""
    again: str = ""


def next_step(facts: Facts, around: Around) -> Next | None:
    """None: nothing is left to do."""
    here = around.here
    if facts.status != "open":
        return _after(facts, around)
    if not facts.acknowledged:
        why = f"{around.again} Nobody has it now." if around.again else "Nobody has it yet."
        return Next("take", why, "I take it", f"{here}/acknowledge", post=True)
    if around.again:
        return Next("take_again", around.again, "I am on it", f"{here}/acknowledge", post=True)
    if facts.updates_overdue:
        return Next("update", "The promised update is overdue.", "Write it now", f"{here}#updates")
    if facts.recovered and facts.stable:
        return Next("resolve", "It has been healthy for the stability window.", "Resolve it", f"{here}#resolve")
    if facts.recovered and around.stable_at is not None:
        left = max(around.stable_at - around.now, timedelta(0))
        minutes = round(left.total_seconds() / 60)
        return Next("wait", f"It is healthy; wait {minutes} min more to be sure. Meanwhile write down what mended it.",
                    "Write it down", f"{here}#story")  # fmt: skip
    if around.rollback and not facts.contained:
        return Next("contain", around.rollback, "See the dry run", f"{here}/containment/contain")
    if around.step:
        return Next("runbook", around.step_text, f"Step {around.step} of the runbook", f"{here}#step-{around.step}")
    return Next("note", "The runbook is done. Write down what you know, and call the owner if you are stuck.",
                "Write a note", f"{here}#timeline")  # fmt: skip


def _after(facts: Facts, around: Around) -> Next | None:
    here = around.here
    if facts.phase == "closed":
        return None
    if needs_review(facts.peak_severity) and not facts.review_approved:
        words = {
            "submitted": ("The review waits for approval.", "Read and approve it"),
            "approved": ("The review is approved.", "Open it"),
        }
        why, button = words.get(around.review_state, ("It needs a review: what happened, and what will prevent it.",
                                                      "Write the review"))  # fmt: skip
        return Next("review", why, button, f"{here}/review")
    lacking = [need for need in blockers(facts) if need.key != "review"]
    if lacking:
        return Next("task", f"{lacking[0].text}.", "Do it", f"{here}#{lacking[0].place}")
    return Next("close", "Nothing is left to do.", "Close it", f"{here}/close", post=True)
