"""`anomalies score`: a file of a series is all that is needed."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from afterlaunch.cli.output import answer, fail, plainly, say

anomalies = typer.Typer(no_args_is_help=True, help="Anomalies in time series.")


@anomalies.callback()
def _anomalies() -> None:
    """Anomalies in time series."""


@anomalies.command("score")
@plainly
def score(
    file: str = typer.Argument(..., help="CSV with the columns timestamp and value; more are kept. - is stdin."),
    output: Path | None = typer.Option(None, "-o", "--output", help="Write the CSV here, not on stdout."),
    state: Path | None = typer.Option(None, "--state", help="Go on from this file where it exists, and save it."),
    budget: float = typer.Option(1.0, "--budget", help="False alerts a week that may be. A saved state keeps its own."),
    fail_on_alert: bool = typer.Option(False, "--fail-on-alert", help="Exit 1 when there is an alert."),
    json: bool = typer.Option(False, "--json", help="One JSON document on stdout: points, alerts, trends, findings."),
) -> None:
    """Add anomaly_score and alert to a series. Each score depends on earlier rows only; rhythm of day and week and slow
    growth are learnt and taken off. Rows that can't be judged are named. See docs/anomalies.md."""
    from afterlaunch.series import scoring
    from afterlaunch.series.detector import Detector
    from afterlaunch.series.files import Table

    detector, told = Detector(budget), scoring.Told()
    if state and state.exists():
        detector = scoring.resumed(state.read_bytes())
    try:
        with nullcontext(sys.stdin) if file == "-" else open(file, encoding="utf-8-sig", newline="") as source:
            table = Table(source)
            points: list[dict[str, Any]] = []
            if output:
                with output.open("w", encoding="utf-8", newline="") as out:
                    scoring.write(table, detector, told, out)
            elif json:
                points = scoring.points(table, detector, told)
            else:
                scoring.write(table, detector, told, sys.stdout)
    except OSError as problem:
        fail(f"{problem.filename or file}: {problem.strerror}.", code=2)
    document = scoring.document(table, detector, told)
    if state:
        _save(state, scoring.saved(detector))
    if json:
        answer(document | ({} if output else {"points": points}))
    _say(document)
    if fail_on_alert and document["alerts"]:
        raise typer.Exit(1)


def _save(state: Path, body: bytes) -> None:
    """Whole or not at all."""
    beside = state.with_name(state.name + ".new")
    beside.write_bytes(body)
    beside.replace(state)


def _say(told: dict[str, Any]) -> None:
    say(f"{told['rows']:,} rows: {told['judged']:,} judged, {told['learning']:,} learnt from only.")
    if told["verdict"] == "not_assessed":
        say(f"Not assessed: {told['reason'].replace('_', ' ')}.")
    elif told["judged"]:
        many = len(told["alerts"])
        say(f"{many} alert{'s' * (many != 1)}; rhythm: {told['season']}; threshold {told['threshold_in_force']:.3f}.")
    for trend in told["trends"]:
        say(f"Trend: {trend['change']:+.0%} from {trend['since']} to {trend['until']}.")
    for finding in told["findings"]:
        rows = ", ".join(map(str, finding["rows"][:5])) + (" …" if finding["count"] > 5 else "")
        say(f"{finding['kind']}: {finding['message']}" + (f" ({finding['count']}; row {rows})." if rows else "."))
