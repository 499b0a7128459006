"""Measures that know relevant and not relevant only.

Definitions: the TREC appendices on measures; bpref: Buckley, Voorhees, SIGIR 2004; infAP: Yilmaz, Aslam, CIKM 2006;
yaap: Robertson, ECIR 2012.
"""

from __future__ import annotations

from math import floor, log

from afterlaunch.rankings.ranking import NOT_IN_POOL, Ranking

LEAST = 0.00001
"""What a geometric mean takes a zero for."""


def average_precision(ranking: Ranking) -> float:
    return sum(ranking.precisions) / ranking.relevant if ranking.relevant else 0.0


def average_precision_cut(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    if not ranking.relevant:
        return [0.0] * len(cutoffs)
    return [sum(ranking.precisions[: ranking.among(cut)]) / ranking.relevant for cut in cutoffs]


def log_average_precision(ranking: Ranking) -> float:
    return log(max(average_precision(ranking), LEAST))


def smoothed_average_precision(ranking: Ranking) -> float:
    total = sum(ranking.precisions)
    return log((1 + total) / (1 + ranking.relevant - total))


def precision(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    return [ranking.among(cut) / cut for cut in cutoffs]


def recall(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    return [ranking.among(cut) / ranking.relevant if ranking.relevant else 0.0 for cut in cutoffs]


def relative_precision(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    """Of what precision can be at that rank."""
    if not ranking.relevant:
        return [0.0] * len(cutoffs)
    return [ranking.among(cut) / min(cut, ranking.relevant) for cut in cutoffs]


def success(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    return [1.0 if ranking.among(cut) else 0.0 for cut in cutoffs]


def reciprocal_rank(ranking: Ranking) -> float:
    return next((1 / i for i, grade in enumerate(ranking.grades, 1) if grade >= ranking.level), 0.0)


def r_precision(ranking: Ranking) -> float:
    return ranking.among(ranking.relevant) / ranking.relevant if ranking.relevant else 0.0


def r_precision_multiples(ranking: Ranking, multiples: tuple[float, ...]) -> list[float]:
    cutoffs = [int(multiple * ranking.relevant + 0.9) for multiple in multiples]
    return [ranking.among(cut) / cut if cut > 0 else 0.0 for cut in cutoffs]


def interpolated_precision(ranking: Ranking, recalls: tuple[float, ...]) -> list[float]:
    """The best precision at this recall or a higher one."""
    best: list[float] = []
    for value in reversed(ranking.precisions):
        best.append(max(value, best[-1] if best else 0.0))
    best.reverse()
    cutoffs = [floor(share * ranking.relevant + 0.5) for share in recalls]
    return [best[max(cut, 1) - 1] if cut <= len(best) and best else 0.0 for cut in cutoffs]


def mean_interpolated_precision(ranking: Ranking, recalls: tuple[float, ...]) -> float:
    return sum(interpolated_precision(ranking, recalls)) / len(recalls)


def binary_preference(ranking: Ranking) -> float:
    """bpref: the share of judged pairs in the right order."""
    others = sum(n for grade, n in ranking.levels.items() if grade < ranking.level)
    if not ranking.relevant:
        return 0.0
    before, total = 0, 0.0
    for grade in ranking.grades:
        if grade >= ranking.level:
            total += 1 - min(before, ranking.relevant) / min(others, ranking.relevant) if before else 1.0
        elif grade >= 0:
            before += 1
    return total / ranking.relevant


def log_binary_preference(ranking: Ranking) -> float:
    return log(max(binary_preference(ranking), LEAST))


def inferred_average_precision(ranking: Ranking) -> float:
    """infAP: what is in the pool, but not judged, is taken to be relevant as often as what was judged."""
    relevant = others = unjudged = 0
    total = 0.0
    for before, grade in enumerate(ranking.grades):
        if grade >= ranking.level:
            pooled, judged = relevant + others + unjudged, relevant + others
            share = (relevant + LEAST) / (judged + 2 * LEAST)
            total += 1 / (before + 1) + before / (before + 1) * (pooled / before if before else 0.0) * share
            relevant += 1
        elif grade >= 0:
            others += 1
        elif grade != NOT_IN_POOL:
            unjudged += 1
    return total / ranking.relevant if ranking.relevant else 0.0


def set_precision(ranking: Ranking) -> float:
    return ranking.found / ranking.retrieved if ranking.retrieved else 0.0


def set_recall(ranking: Ranking) -> float:
    return ranking.found / ranking.relevant if ranking.relevant else 0.0


def set_relative_precision(ranking: Ranking) -> float:
    least = min(ranking.retrieved, ranking.relevant)
    return ranking.found / least if least else 0.0


def set_average_precision(ranking: Ranking) -> float:
    return set_precision(ranking) * set_recall(ranking)


def set_f(ranking: Ranking, weight: float) -> float:
    p, r = set_precision(ranking), set_recall(ranking)
    return (weight + 1) * p * r / (weight * p + r) if ranking.found else 0.0


def utility(ranking: Ranking, worth: tuple[float, ...]) -> float:
    """Worth of: relevant retrieved, others retrieved, relevant missed, others left out."""
    missed, others = ranking.relevant - ranking.found, ranking.retrieved - ranking.found
    left = ranking.collection + ranking.found - ranking.retrieved - ranking.relevant
    return worth[0] * ranking.found + worth[1] * others + worth[2] * missed + worth[3] * left


def unjudged(ranking: Ranking, cutoffs: tuple[int, ...]) -> list[float]:
    return [sum(1 for grade in ranking.grades[:cut] if grade < 0) / cut for cut in cutoffs]


def unjudged_at_r(ranking: Ranking) -> float:
    first = ranking.grades[: ranking.relevant]
    return sum(1 for grade in first if grade < 0) / len(first) if first else 0.0


def told(ranking: Ranking, length: int) -> str:
    """One character for each of the first documents: its grade, `>` above 9, `-` not in the pool, `.` unjudged."""
    return "".join(
        ">" if grade > 9 else str(grade) if grade >= 0 else "-" if grade == NOT_IN_POOL else "."
        for grade in ranking.grades[: max(length, 0)]
    )
