"""Every measure by name, with its parameters, and how values of queries become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.rankings import binary, gains, preferences
from afterlaunch.rankings.ranking import Ranking

MEAN, SUM, GEOMETRIC, NONE = "mean", "sum", "geometric mean", "none"
CUTOFFS, SHARES, NUMBERS, PAIRS = "cutoffs", "shares", "numbers", "pairs"
RANKS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
TENTHS = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class Measure:
    """`of(ranking, parameters)`: a number, or one for each parameter where `form` is cutoffs or shares.
    `over`: how queries become one. `judged`: the form of
    judgements it needs; of qrels_jg the mean over groups of judges. `written`: parameters as told."""

    name: str
    of: Callable[[Any, Any], Any]
    form: str = ""
    parameters: Any = ()
    over: str = MEAN
    whole: bool = False
    judged: str = "qrels"
    written: str = ""

    def names(self) -> list[str]:
        if self.form == CUTOFFS:
            return [f"{self.name}_{cut}" for cut in self.parameters]
        if self.form == SHARES:
            return [f"{self.name}_{share:3.2f}" for share in self.parameters]
        return [f"{self.name}_{self.written}" if self.written else self.name]

    def values(self, rankings: Sequence[Any]) -> list[Any]:
        """In the order of `names`, one ranking for each group of judges."""
        told = [self.of(ranking, self.parameters) for ranking in rankings]
        if self.form not in (CUTOFFS, SHARES):
            return [told[0]] if len(told) == 1 else [sum(told) / len(told)]
        return [sum(column) / len(told) for column in zip(*told, strict=True)]


def _plain(of: Callable[[Ranking], Any]) -> Callable[[Ranking, Any], Any]:
    return lambda ranking, _: of(ranking)


def _persistent(ranking: Ranking, pairs: dict[int | str, float]) -> float:
    only = {grade: gain for grade, gain in pairs.items() if isinstance(grade, int)}
    return gains.rank_biased_precision(ranking, only, pairs.get("p", 0.9))


def _preferences() -> Iterator[Measure]:
    all_of, ret, imp = preferences.all_of, preferences.retrieved_of, preferences.implied_of
    for name, at in (("poss", 1), ("ful", 0)):
        yield Measure(f"prefs_num_prefs_{name}", _counted(all_of, at), over=SUM, whole=True, judged="prefs")
    yield Measure("prefs_num_prefs_ful_ret", _counted(ret, 0), over=SUM, whole=True, judged="prefs")
    for suffix, parts, areas in (("", all_of, 3), ("_ret", ret, 1), ("_imp", imp, 2)):
        yield Measure(f"prefs_simp{suffix}", preferences.simple(parts), judged="prefs")
        yield Measure(f"prefs_pair{suffix}", preferences.paired(areas), judged="prefs")
        yield Measure(f"prefs_avgjg{suffix}", preferences.averaged(parts), judged="prefs")
        if suffix != "_imp":
            name = f"prefs_avgjg_Rnonrel{suffix}"
            yield Measure(name, preferences.as_many_others(suffix == "_ret"), judged="prefs")


def _counted(parts: preferences.Parts, at: int) -> Callable[[Any, Any], int]:
    return lambda asked, _: sum(parts(group)[at] for group in asked.groups)


ALL: tuple[Measure, ...] = (
    Measure("num_ret", _plain(lambda r: r.retrieved), over=SUM, whole=True),
    Measure("num_rel", _plain(lambda r: r.relevant), over=SUM, whole=True),
    Measure("num_rel_ret", _plain(lambda r: r.found), over=SUM, whole=True),
    Measure("map", _plain(binary.average_precision)),
    Measure("gm_map", _plain(binary.log_average_precision), over=GEOMETRIC),
    Measure("Rprec", _plain(binary.r_precision)),
    Measure("bpref", _plain(binary.binary_preference)),
    Measure("recip_rank", _plain(binary.reciprocal_rank)),
    Measure("iprec_at_recall", binary.interpolated_precision, SHARES, TENTHS),
    Measure("P", binary.precision, CUTOFFS, RANKS),
    Measure("relstring", lambda r, told: binary.told(r, int(told[0])), NUMBERS, (10.0,), over=NONE),
    Measure("recall", binary.recall, CUTOFFS, RANKS),
    Measure("infAP", _plain(binary.inferred_average_precision)),
    Measure("gm_bpref", _plain(binary.log_binary_preference), over=GEOMETRIC),
    Measure("Rprec_mult", binary.r_precision_multiples, SHARES, tuple(i / 5 for i in range(1, 11))),
    Measure("utility", binary.utility, NUMBERS, (1.0, -1.0, 0.0, 0.0)),
    Measure("11pt_avg", binary.mean_interpolated_precision, NUMBERS, TENTHS),
    Measure("binG", _plain(gains.binary_gain)),
    Measure("G", gains.normalised_gain, PAIRS, {}),
    Measure("dcg", gains.dcg, PAIRS, {}),
    Measure("ideal_dcg", gains.ideal_dcg, PAIRS, {}),
    Measure("ndcg", gains.ndcg, PAIRS, {}),
    Measure("ndcg_rel", gains.ndcg_rel, PAIRS, {}),
    Measure("Rndcg", gains.ndcg_at_levels, PAIRS, {}),
    Measure("ndcg_cut", gains.ndcg_cut, CUTOFFS, RANKS),
    Measure("map_cut", binary.average_precision_cut, CUTOFFS, RANKS),
    Measure("relative_P", binary.relative_precision, CUTOFFS, RANKS),
    Measure("success", binary.success, CUTOFFS, (1, 5, 10)),
    Measure("set_P", _plain(binary.set_precision)),
    Measure("set_relative_P", _plain(binary.set_relative_precision)),
    Measure("set_recall", _plain(binary.set_recall)),
    Measure("set_map", _plain(binary.set_average_precision)),
    Measure("set_F", lambda r, told: binary.set_f(r, told[0]), NUMBERS, (1.0,)),
    Measure(
        "num_nonrel_judged_ret",
        _plain(lambda r: sum(1 for grade in r.grades if 0 <= grade < r.level)),
        over=SUM,
        whole=True,
    ),
    Measure("num_nonjudged_ret", _plain(lambda r: sum(1 for grade in r.grades if grade < 0)), over=SUM, whole=True),
    *_preferences(),
    Measure("map_avgjg", _plain(binary.average_precision), judged="qrels_jg"),
    Measure("P_avgjg", binary.precision, CUTOFFS, RANKS, judged="qrels_jg"),
    Measure(
        "Rprec_mult_avgjg",
        binary.r_precision_multiples,
        SHARES,
        tuple(i / 5 for i in range(1, 11)),
        judged="qrels_jg",
    ),
    Measure("yaap", _plain(binary.smoothed_average_precision)),
    Measure("rbp", _persistent, PAIRS, {}),
    Measure("rbp_resid", _plain(gains.rank_biased_residual)),
    Measure("Runj", _plain(binary.unjudged_at_r)),
    Measure("unj", binary.unjudged, CUTOFFS, (5, 10, 20)),
)
BY_NAME = {one.name: one for one in ALL}
GROUPED = tuple(one.name for one in ALL if one.judged == "qrels_jg")
PREFERENCES = tuple(one.name for one in ALL if one.judged == "prefs")
OFFICIAL = tuple(one.name for one in ALL[:10])
SETS = {
    "official": OFFICIAL,
    "set": (
        "num_ret",
        "num_rel",
        "num_rel_ret",
        "utility",
        "set_P",
        "set_recall",
        "set_relative_P",
        "set_map",
        "set_F",
    ),
    "all_trec": tuple(
        one.name
        for one in ALL
        if one.judged == "qrels" and one.name not in ("dcg", "ideal_dcg", "num_nonjudged_ret", "yaap", "Runj")
    ),
    "qrels_jg": GROUPED,
    "all_prefs": PREFERENCES,
    "prefs": PREFERENCES[:6],
}
HEAD = ("runid", "num_q")
"""Of the run, not of a query."""


FORMS = {"qrels": "official", "qrels_jg": "qrels_jg", "prefs": "prefs", "qrels_prefs": "prefs"}
"""Form of judgements → the measures of which it is usual to ask."""


def chosen(asked: Sequence[str], form: str) -> tuple[list[Measure], frozenset[str]]:
    """The measures, in the order of `ALL`, and which of `HEAD`. `asked`: names, names with parameters after a dot
    (`P.5,10`, `ndcg.1=3,2=9`), names of sets."""
    names: dict[str, Measure] = {}
    head: set[str] = set()
    for one in asked or (FORMS[form],):
        name, _, told = one.partition(".")
        if name in SETS and not told:
            head |= set(HEAD)
            for each in SETS[name]:
                names.setdefault(each, BY_NAME[each])
        elif name in HEAD and not told:
            head.add(name)
        elif name in BY_NAME:
            names[name] = with_parameters(BY_NAME[name], told) if told else names.get(name, BY_NAME[name])
        else:
            known = ", ".join([*SETS, *HEAD, *BY_NAME])
            raise Invalid(f"There is no measure {name!r}.", f"Measures and sets: {known}")
    for measure in names.values():
        if measure.judged != form.removeprefix("qrels_" if form == "qrels_prefs" else ""):
            raise Invalid(f"{measure.name} needs judgements of the form {measure.judged}.", f"Say -R {measure.judged}.")
    return [names[one.name] for one in ALL if one.name in names], frozenset(head)


def with_parameters(measure: Measure, told: str) -> Measure:
    """Raises Invalid where they are not of the measure's form."""
    if not measure.form:
        raise Invalid(f"{measure.name} takes no parameters.")
    try:
        if measure.form == PAIRS:
            return replace(measure, parameters=_pairs(told), written=told)
        numbers = [float(part) for part in told.split(",")]
        if not all(-1e9 < number < 1e9 for number in numbers):
            raise ValueError
    except ValueError:
        raise Invalid(f"{measure.name}.{told} is not understood.", f"Its parameters are {measure.form}.") from None
    if measure.form == NUMBERS:
        if measure.name != "11pt_avg" and len(numbers) != len(measure.parameters):
            raise Invalid(f"{measure.name} takes {len(measure.parameters)} numbers, not {len(numbers)}.")
        return replace(measure, parameters=tuple(numbers), written=told)
    values = sorted(int(number) for number in numbers) if measure.form == CUTOFFS else sorted(numbers)
    if len(set(values)) < len(values) or values[0] < 0 or (measure.form == CUTOFFS and values[0] < 1):
        raise Invalid(f"{measure.name}.{told}: cutoffs are positive, and each is told once.")
    return replace(measure, parameters=tuple(values))


def _pairs(told: str) -> dict[int | str, float]:
    """`1=3.5,2=9`: gains of grades; `p=0.8` of rank-biased precision."""
    out: dict[int | str, float] = {}
    for part in told.split(","):
        name, _, value = part.partition("=")
        out["p" if name == "p" else int(name)] = float(value)
    return out
