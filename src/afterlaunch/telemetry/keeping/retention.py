"""How long each kind of data is kept, and which tables hold it. Pure: both engines read it here.

`DEFAULT_DAYS` is the product's; the house and each client may decide otherwise (`rules.days_of`). Content goes before
the numbers of its span; spans and calls before their sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from afterlaunch.ground.errors import Invalid

LONGEST = 3_653  # ten years


@dataclass(frozen=True)
class Kind:
    """`tables`: what holds it; `columns`: of these only, emptied instead of taken out; `shared`: rows are not of one
    client, so that only the house decides."""

    name: str
    days: int
    told: str
    tables: tuple[str, ...]
    columns: tuple[str, ...] = ()
    shared: bool = False

    @property
    def label(self) -> str:
        return f"Sums {self.head.lower()}" if self.shared else self.head

    @property
    def head(self) -> str:
        """As narrow as it goes."""
        return f"By {self.name.removesuffix('s')}" if self.shared else self.name.replace("_", " ").capitalize()


KINDS = (
    Kind(
        "content",
        30,
        "prompts, answers, tool arguments and results, exceptions, attributes of spans",
        ("spans",),
        ("input_text", "output_text", "events", "links", "request_params", "status_message", "attributes"),
    ),
    Kind("spans", 190, "spans: names, times, tokens, cost, errors", ("spans", "failures", "sum_checks")),
    Kind("calls", 400, "calls, each once", ("calls",)),
    Kind("logs", 190, "log records", ("records",)),
    Kind("points", 60, "metric points", ("points",)),
    Kind("conventions", 30, "how often each attribute was told, by the hour", ("attribute_counts",)),
    Kind("dead_letters", 30, "what could not be stored", ("dead_letter",)),
    Kind("minutes", 190, "sums and histograms by the minute", ("sums_minute", "profile_minute"), shared=True),
    Kind("hours", 800, "sums and histograms by the hour", ("sums_hour", "profile_hour"), shared=True),
    Kind("days", 3_653, "sums and histograms by the day", ("sums_day", "profile_day"), shared=True),
)
BY_NAME = {kind.name: kind for kind in KINDS}
DEFAULT_DAYS: Mapping[str, int] = {kind.name: kind.days for kind in KINDS}
ORDER = (("content", "spans"), ("minutes", "hours"), ("hours", "days"))


def checked(days: Mapping[str, int], inherited: Mapping[str, int], house: bool) -> dict[str, int]:
    """Raises Invalid for an unknown kind, no number of days, or a kind that would outlive what it hangs on."""
    for name, number in days.items():
        kind = BY_NAME.get(name)
        if kind is None:
            raise Invalid(f"There is no kind of data {name!r}.", "Kinds: " + ", ".join(BY_NAME))
        if kind.shared and not house:
            raise Invalid(f"How long {name} are kept is decided for the whole house.", "Leave the client out.")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= LONGEST:
            raise Invalid(f"{name} must be kept 1 to {LONGEST} days, not {number!r}.")
    whole = {**inherited, **days}
    for first, later in ORDER:
        if whole[first] > whole[later]:
            raise Invalid(
                f"{first} would be kept {whole[first]} days, but {later} only {whole[later]}.",
                f"Keep {later} at least as long as {first}.",
            )
    return dict(days)
