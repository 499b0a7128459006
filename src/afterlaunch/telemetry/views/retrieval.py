"""What look-ups bring: quality against judgements, empty results, cache hits, and how old index and documents are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.look import formats
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.queries import narrowed
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.views import reading
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.grids import COUNT, MS, NUMBER, SHARE, TEXT, Column, Grid
from afterlaunch.telemetry.views.newest import newest
from afterlaunch.telemetry.views.ranking import Score, score
from afterlaunch.telemetry.views.sheets import Section, Sheet, Tile
from afterlaunch.telemetry.views.sums import groups_of

NEWEST, K, MOST_DOCUMENTS = 2_000, 10, 50
COLUMNS = (
    "client, trace_id, span_id, start_ns, failed, attributes, data_source, document_count, document_ids,"
    " document_updated_ns, index_updated_ns, cache_hit"
)
DAY = 86_400.0
SOURCES = (
    Column("source", TEXT, "Index"),
    Column("retrievals", COUNT, "Look-ups"),
    Column("failed", COUNT, "Failed"),
    Column("empty_share", SHARE, "Empty", "of those that tell their documents"),
    Column("documents_mean", NUMBER, "Documents"),
    Column("cache_hit_rate", SHARE, "Cache hits", "of those that tell it"),
    Column("cache_told", COUNT, "Cache told", "look-ups that tell whether a cache answered", shown=False),
    Column("index_age_days", NUMBER, "Index age, days", "at the newest look-up"),
    Column("document_age_p50_days", NUMBER, "Documents' age, days", "median of those found, when they were found"),
    Column("document_age_p95_days", NUMBER, "p95", shown=False),
    Column("document_age_max_days", NUMBER, "oldest"),
    Column("ages_told", SHARE, "Ages told", "found documents that tell when they were updated"),
)
QUALITY = (
    Column("source", TEXT, "Index"),
    Column("judged", COUNT, "Judged look-ups"),
    Column("recall", SHARE, f"Recall@{K}"),
    Column("precision", SHARE, f"Precision@{K}"),
    Column("ndcg", NUMBER, f"nDCG@{K}"),
    Column("mrr", NUMBER, "MRR"),
)
SLOW = (
    Column("op_kind", TEXT, "Kind"),
    Column("count", COUNT, "Count"),
    Column("failed_share", SHARE, "Failed"),
    Column("p50_ms", MS, "p50"),
    Column("p95_ms", MS, "p95"),
    Column("p99_ms", MS, "p99"),
)
OLD = (
    Column("document", TEXT, "Document"),
    Column("source", TEXT, "Index"),
    Column("found", COUNT, "Found"),
    Column("age_days", NUMBER, "Age, days"),
)
SEND = "afterlaunch.retrieval(…) tells query, index and documents; so do instrumentations of vector stores."
JUDGE = (
    "Set afterlaunch.retrieval.relevant_ids (a JSON list of ids, or id -> gain) on the look-up's span where the right"
    " documents are known, or send feedback named relevance with afterlaunch.document.id for its trace."
)
AGES = "Give documents updated_at or last_modified (and indexed_at), or the look-up retrieval.index.updated_at."


def sheet(ask: Asked) -> Sheet:
    rows = newest(ask, "op_kind = 'retrieval'", COLUMNS, NEWEST)
    judged = _judgements(ask, rows)
    for row in rows:
        row["documents"] = reading.documents(row)
    sources: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        sources.setdefault(row["data_source"], []).append(row)
    scores = {name: _scores(some, judged) for name, some in sources.items()}
    cut = f"Of the newest {NEWEST:,} look-ups. " if len(rows) == NEWEST else ""
    whole = source_row(None, rows) if rows else None
    quality = [_quality(name, some) for name, some in scores.items() if some]
    every = [one for some in scores.values() for one in some]
    return Sheet(
        [
            Section("rows", "Indexes", Grid(SOURCES, [source_row(name, some) for name, some in sources.items()]),
                    cut + "A dash is not told: " + AGES, "No look-up is told", SEND),
            Section("quality", "Quality", Grid(QUALITY, quality), cut, "No look-up is judged", JUDGE),
            Section("latency", "Latency", Grid(SLOW, _latency(ask)), "", "No look-up is told", SEND),
            Section("stale", "Oldest documents found", Grid(OLD, _oldest(rows)), cut,
                    "No document tells its age", AGES),
        ],
        _tiles(whole, len(rows), every),
    )  # fmt: skip


def source_row(name: str | None, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`rows`: newest first, each with its `documents`."""
    documents = [row["documents"] for row in rows]
    told = [found for found in documents if found is not None]
    hits = [row["cache_hit"] for row in rows if row["cache_hit"] is not None]
    ages = sorted(_ages(rows, documents))
    many = sum(len(found) for found in told)
    return {
        "source": name,
        "retrievals": len(rows),
        "failed": sum(bool(row["failed"]) for row in rows),
        "empty_share": sum(not found for found in told) / len(told) if told else None,
        "documents_mean": many / len(told) if told else None,
        "cache_hit_rate": sum(hits) / len(hits) if hits else None,
        "cache_told": len(hits),
        "index_age_days": _index_age(rows),
        "document_age_p50_days": ages[len(ages) // 2] if ages else None,
        "document_age_p95_days": ages[min(len(ages) - 1, int(len(ages) * 0.95))] if ages else None,
        "document_age_max_days": ages[-1] if ages else None,
        "ages_told": len(ages) / many if many else None,
    }


def _ages(rows: Sequence[dict[str, Any]], documents: Sequence[list[dict[str, Any]] | None]) -> list[float]:
    """Days, at the time of the look-up."""
    return [
        max(0.0, (clock.from_ns(row["start_ns"]) - one["updated"]).total_seconds() / DAY)
        for row, found in zip(rows, documents, strict=True)
        for one in found or ()
        if one["updated"] is not None
    ]


def _index_age(rows: Sequence[dict[str, Any]]) -> float | None:
    for row in rows:
        if (made := row["index_updated_ns"]) is not None:
            return max(0.0, float(row["start_ns"] - made) / 1e9 / DAY)
    return None


def _judgements(ask: Asked, rows: Sequence[dict[str, Any]]) -> dict[tuple[str, bytes, bytes | None], dict[str, float]]:
    """(client, trace, span or None) -> document -> gain, as feedback events told it."""
    if not rows:
        return {}
    seen, mine = narrowed(ask.clients, {})
    found = current().query(
        "select client, trace_id, span_id, attributes from records where at_ns >= ?"
        f" and {seen} and event = 'gen_ai.evaluation.result' and trace_id is not null limit 20000",
        [clock.to_ns(ask.start), *mine],
    )
    out: dict[tuple[str, bytes, bytes | None], dict[str, float]] = {}
    for row in found:
        told = reading.attributes(row)
        document = told.get("afterlaunch.document.id")
        if document and told.get("gen_ai.evaluation.name") == "relevance":
            try:
                gain = float(told.get("gen_ai.evaluation.score.value", "1"))
            except ValueError:
                continue
            out.setdefault((row["client"], row["trace_id"], row["span_id"]), {})[document] = gain
            out.setdefault((row["client"], row["trace_id"], None), {})[document] = gain
    return out


def _scores(rows: Sequence[dict[str, Any]], judged: Any) -> list[Score]:
    out = []
    for row in rows:
        place = (row["client"], row["trace_id"])
        gains = reading.relevant(row) or judged.get((*place, row["span_id"])) or judged.get((*place, None))
        documents = row["documents"]
        if gains and documents is not None and (one := score([found["id"] for found in documents], gains, K)):
            out.append(one)
    return out


def _quality(name: str | None, scores: Sequence[Score]) -> dict[str, Any]:
    def mean(part: str) -> float:
        return sum(float(getattr(one, part)) for one in scores) / len(scores)

    return {
        "source": name,
        "judged": len(scores),
        "recall": mean("recall"),
        "precision": mean("precision"),
        "ndcg": mean("ndcg"),
        "mrr": mean("reciprocal_rank"),
    }


def _latency(ask: Asked) -> list[dict[str, Any]]:
    out = []
    for one in groups_of(ask, ["op_kind"], (profiles.LATENCY,), operations=True):
        if one.key["op_kind"] in KINDS:
            took = one.quantiles(profiles.LATENCY)
            share = one["failed"] / one["calls"] if one["calls"] else None
            row = {"op_kind": one.key["op_kind"], "count": one["calls"], "failed_share": share}
            out.append(row | {f"{name}_ms": getattr(took, name) if took else None for name in ("p50", "p95", "p99")})
    return out


KINDS = ("retrieval", "rerank", "embedding")


def _oldest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    out: dict[tuple[Any, str], dict[str, Any]] = {}
    for row in rows:
        at = clock.from_ns(row["start_ns"])
        for one in row["documents"] or ():
            if one["updated"] is not None:
                age = max(0.0, (at - one["updated"]).total_seconds() / DAY)
                key = (row["data_source"], one["id"])
                kept = out.setdefault(key, {"document": one["id"], "source": key[0], "found": 0, "age_days": age})
                kept["found"] += 1
    return sorted(out.values(), key=lambda row: -row["age_days"])[:MOST_DOCUMENTS]


def _tiles(whole: dict[str, Any] | None, count: int, scores: Sequence[Score]) -> list[Tile]:
    if whole is None:
        return []
    quality = _quality(None, scores) if scores else {}
    judged = f"of {len(scores):,} judged" if scores else "none is judged"

    def days(name: str) -> str:
        return formats.UNKNOWN if whole[name] is None else f"{whole[name]:,.1f} d"

    ndcg = formats.UNKNOWN if not quality else f"{quality['ndcg']:.3f}"
    return [
        Tile("Look-ups", formats.compact(count)),
        Tile("Empty", formats.percent(whole["empty_share"])),
        Tile("Cache hits", formats.percent(whole["cache_hit_rate"]), f"{whole['cache_told']:,} tell it"),
        Tile("nDCG", ndcg, judged),
        Tile("Recall", formats.percent(quality.get("recall")), judged),
        Tile("Index age", days("index_age_days")),
        Tile("Documents' age, p50", days("document_age_p50_days")),
    ]
