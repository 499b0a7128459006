"""Which firing alert keeps another one quiet. Pure.

A rule has matchers for the source and for the target, and labels that must be equal; a missing label equals an empty
one. Only a source that still fires inhibits. An alert that matches both sides is not inhibited by another that does
too, so that of two such alerts one always pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from afterlaunch.alerts.matchers import Matcher, all_match

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    name: str
    source: Sequence[Matcher]
    target: Sequence[Matcher]
    equal: Sequence[str]

    def key(self, labels: Labels) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self.equal)


class Inhibitor:
    """One rule over everything that fires: sources are looked up by their equal labels, so a target costs one look."""

    def __init__(self, rule: Rule, firing: Iterable[tuple[int, Labels]]) -> None:
        self.rule = rule
        self._pure: dict[tuple[str, ...], int] = {}  # sources that are no targets of the rule
        self._any: dict[tuple[str, ...], list[int]] = {}
        for pk, labels in firing:
            if all_match(rule.source, labels):
                place = rule.key(labels)
                self._any.setdefault(place, []).append(pk)
                if not all_match(rule.target, labels):
                    self._pure.setdefault(place, pk)

    def source_of(self, pk: int, labels: Labels) -> int | None:
        """The alert that inhibits this one."""
        if not all_match(self.rule.target, labels):
            return None
        place = self.rule.key(labels)
        if all_match(self.rule.source, labels):
            return self._pure.get(place)
        return next((one for one in self._any.get(place, ()) if one != pk), None)
