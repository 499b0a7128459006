"""A runbook's text and what is in it. Pure.

    What it is about, in a few words.

    ## A section
    - A step, with a link: [calls]({calls}), [the provider](https://status.example.org/).
      run: contain

A step that holds `run:` can be performed by the product; every other one is ticked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from afterlaunch.ground.errors import Invalid

LONGEST, MOST_STEPS = 20_000, 60
SHIPPED = Path(__file__).parent / "shipped"
_LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s]+)\)")
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Step:
    """`number` counts from 1 over the whole runbook and names the step; `run` is empty for one that is ticked."""

    number: int
    section: str
    text: str
    run: str = ""


@dataclass(frozen=True)
class Runbook:
    intro: str
    steps: tuple[Step, ...]

    def step(self, number: int) -> Step | None:
        return self.steps[number - 1] if 1 <= number <= len(self.steps) else None


@dataclass(frozen=True)
class Part:
    """A piece of a step's text; with an address it is a link."""

    text: str
    address: str = ""


def parse(text: str) -> Runbook:
    """Raises Invalid, with the line, for what would be lost or misread."""
    if len(text) > LONGEST:
        raise Invalid(f"A runbook has at most {LONGEST} characters.", "Link to longer texts.")
    intro: list[str] = []
    steps: list[Step] = []
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("## "):
            section = bare[3:].strip()
        elif line.startswith("- "):
            steps.append(Step(len(steps) + 1, section, bare[2:].strip()))
        elif bare and steps and line[0] in " \t":
            steps[-1] = _longer(steps[-1], bare)
        elif bare and not steps and not section:
            intro.append(bare)
        elif bare:
            raise Invalid(
                f"Line {number} belongs to no step: {bare[:60]}", "A step begins with '- '; what follows is indented."
            )
    if not steps:
        raise Invalid("A runbook needs a step.", "A step is a line that begins with '- '.")
    if len(steps) > MOST_STEPS:
        raise Invalid(f"A runbook has at most {MOST_STEPS} steps.", "Nobody reads more at night.")
    return Runbook(" ".join(intro), tuple(steps))


def _longer(step: Step, line: str) -> Step:
    if not line.startswith("run:"):
        return Step(step.number, step.section, f"{step.text} {line}", step.run)
    if step.run:
        raise Invalid(f"Step {step.number} runs two things.", "Make two steps of it.")
    return Step(step.number, step.section, step.text, line.removeprefix("run:").strip())


def check(text: str, places: Collection[str], runs: Collection[str]) -> Runbook:
    """Parsed, with every link and every run known. Raises Invalid."""
    book = parse(text)
    for step in book.steps:
        if step.run and step.run not in runs:
            named = [run for run in runs if " " not in run]
            raise Invalid(
                f"Step {step.number}: there is nothing to run named {step.run!r}.", _one_of([*named, "open PAGE"])
            )
        for _, address in _LINK.findall(step.text):
            name = _PLACE.fullmatch(address)
            if name and name[1] not in places:
                raise Invalid(f"Step {step.number}: there is no page named {name[1]!r}.", _one_of(places))
            if not name and not address.startswith(("https://", "http://")):
                raise Invalid(f"Step {step.number}: {address!r} is no link.", "Write {NAME}, or https://…")
    return book


def _one_of(names: Collection[str]) -> str:
    return "One of: " + ", ".join(sorted(names))


def parts(text: str, places: Mapping[str, str]) -> list[Part]:
    """Text and links of a step; a page that is not known any more stays as its words."""
    found: list[Part] = []
    at = 0
    for link in _LINK.finditer(text):
        found.append(Part(text[at : link.start()]))
        name = _PLACE.fullmatch(link[2])
        address = places.get(name[1], "") if name else link[2]
        found.append(Part(link[1], address))
        at = link.end()
    return [part for part in [*found, Part(text[at:])] if part.text]


def shipped(kind: str) -> str:
    """The text that the product comes with. Every kind has one."""
    return (SHIPPED / f"{kind}.md").read_text(encoding="utf-8")
