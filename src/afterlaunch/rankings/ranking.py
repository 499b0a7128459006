"""What one query's ranking holds: the grades of its documents in order, and how many of each grade there are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from afterlaunch.rankings.files import Grades

NOT_IN_POOL, UNJUDGED = -1, -2


@dataclass
class Ranking:
    """`grades`: of the retrieved documents, best first. `levels`: how many documents were judged of each grade.
    A document is relevant from the grade `level`."""

    grades: list[int]
    levels: Counter[int]
    level: int = 1
    collection: int = 0

    @cached_property
    def retrieved(self) -> int:
        return len(self.grades)

    @cached_property
    def relevant(self) -> int:
        return sum(n for grade, n in self.levels.items() if grade >= self.level)

    @cached_property
    def so_far(self) -> list[int]:
        """Relevant documents among the first 0, 1, 2, … retrieved."""
        return [0, *accumulate(1 if grade >= self.level else 0 for grade in self.grades)]

    @cached_property
    def found(self) -> int:
        return self.so_far[-1]

    def among(self, first: int) -> int:
        """Relevant documents among so many retrieved; where fewer were, the rest is taken for not relevant."""
        return self.so_far[min(first, self.retrieved)]

    @cached_property
    def precisions(self) -> list[float]:
        """Precision at the rank of each relevant document found."""
        return [self.so_far[i] / i for i in range(1, self.retrieved + 1) if self.so_far[i] > self.so_far[i - 1]]


def rank(found: dict[str, float], grades: Grades, level: int, most: int, judged_only: bool, collection: int) -> Ranking:
    told = [_grade(grades.get(name)) for name in ordered(found)[:most]]
    if judged_only:
        told = [grade for grade in told if grade >= 0]
    return Ranking(told, Counter(grade for grade in grades.values() if grade >= 0), level, collection)


def ordered(found: dict[str, float]) -> list[str]:
    """Best score first; of equal ones the later name first, byte by byte."""
    return sorted(found, key=lambda name: (found[name], name.encode("utf-8", "surrogateescape")), reverse=True)


def _grade(told: int | None) -> int:
    return NOT_IN_POOL if told is None else UNJUDGED if told < 0 else told
