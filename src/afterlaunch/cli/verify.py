"""`verify` and `evidence export`: nothing but files is needed."""

from __future__ import annotations

from pathlib import Path

import typer

from afterlaunch.cli.output import answer, fail, plainly, say, with_data

evidence = typer.Typer(no_args_is_help=True, help="The evidence log.")
DATA = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA.")


@plainly
def verify(
    pack: Path | None = typer.Argument(None, help="An exported pack. Without it: the log in the data folder."),
    data: str | None = DATA,
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
) -> None:
    """Check the evidence log, a pack, or an incident's exported timeline, offline. Exit 1 when it does not hold."""
    from afterlaunch.evidence.notes import BadNote
    from afterlaunch.evidence.verify import check, check_pack

    if pack and _is_timeline(pack):
        _verify_timeline(pack, json)
        return
    try:
        if pack:
            result = check_pack(pack.read_bytes())
        else:
            with_data(data)
            from afterlaunch.evidence.checkpoints import folder, verifier_key

            bodies, signed = _log()
            outside = folder() / "checkpoint"
            result = check(bodies, signed, verifier_key(), outside.read_text() if outside.exists() else None)
    except (BadNote, OSError) as problem:
        fail(str(problem))
    if json:
        answer({"holds": not result.problems, **vars(result)})
    else:
        for said in result.problems:
            say(f"[red]{said}[/red]")
        said = f"{result.entries} entries, {result.signed} of them under {result.checkpoints} signed checkpoints"
        say(f"[red]does not hold[/red]: {said}" if result.problems else f"[green]holds[/green]: {said}")
    if result.problems:
        raise typer.Exit(1)


def _is_timeline(pack: Path) -> bool:
    from afterlaunch.incidents.chain import FORMAT

    try:
        return f'"{FORMAT}"'.encode() in pack.read_bytes()[:200]
    except OSError as problem:
        fail(str(problem))


def _verify_timeline(pack: Path, json: bool) -> None:
    from afterlaunch.incidents.chain import NoTimeline, check

    try:
        result = check(pack.read_bytes())
    except NoTimeline as problem:
        fail(str(problem))
    if json:
        answer({"holds": not result.problems, **vars(result)})
    else:
        for said in result.problems:
            say(f"[red]{said}[/red]")
        word = "[red]does not hold[/red]" if result.problems else "[green]holds[/green]"
        say(f"{word}: timeline of incident {result.incident}, {result.entries} entries, head {result.head}")
    if result.problems:
        raise typer.Exit(1)


@evidence.command("export")
@plainly
def export(file: Path = typer.Argument(..., help="Where to write the pack."), data: str | None = DATA) -> None:
    """Write the whole log, its checkpoints and the verifier key as one pack."""
    with_data(data)
    from afterlaunch.evidence.checkpoints import sign, verifier_key
    from afterlaunch.evidence.verify import write_pack
    from afterlaunch.ground import clock

    sign(clock.now())
    bodies, signed = _log()
    file.write_bytes(write_pack(bodies, signed, verifier_key()))
    say(f"{len(bodies)} entries written to {file}. Check them anywhere: afterlaunch verify {file}")


def _log() -> tuple[list[bytes], list[str]]:
    from afterlaunch.evidence.models import Entry, SignedCheckpoint

    bodies = [bytes(body) for body in Entry.objects.order_by("index").values_list("body", flat=True)]
    return bodies, list(SignedCheckpoint.objects.order_by("size").values_list("note", flat=True))
