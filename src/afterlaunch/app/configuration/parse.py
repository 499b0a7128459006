"""From YAML to documents; what is wrong is named with file, line, kind, name and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from afterlaunch.app.configuration.document import Kind, Metadata, Spec
from afterlaunch.app.configuration.kinds import KINDS
from afterlaunch.ground.errors import Invalid

API_VERSION = "afterlaunch/v1"
Key = tuple[str, tuple[tuple[str, str], ...]]
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Document:
    """`where` names file, line, kind and name, for errors."""

    kind: Kind
    metadata: Metadata
    spec: Spec
    where: str = ""

    @property
    def key(self) -> Key:
        return self.kind.name, tuple(sorted(self.metadata.items()))

    @property
    def name(self) -> str:
        return "/".join(self.metadata.values())

    def as_yaml(self) -> dict[str, Any]:
        labels = {name: value for name, value in self.spec.items() if name in self.kind.labels}
        spec = {name: value for name, value in self.spec.items() if name not in labels}
        metadata = {**self.metadata, **labels}
        return {"apiVersion": API_VERSION, "kind": self.kind.name, "metadata": metadata, "spec": spec}


def parse(text: str, source: str) -> list[Document]:
    """YAML, several documents. Raises Invalid; nothing has changed then."""
    loader = yaml.SafeLoader(text)
    found: list[Document] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None, "check_node said that there is one"
            raw = loader.construct_document(node)
            if raw is not None and not _is_openslo(raw):
                found.append(_document(raw, source, node))
    except yaml.YAMLError as problem:
        raise Invalid(f"{source}: this is no YAML: {problem}") from None
    finally:
        loader.dispose()
    return found


def _is_openslo(raw: Any) -> bool:
    """Those are read by `slo.openslo`."""
    return isinstance(raw, dict) and str(raw.get("apiVersion")).startswith("openslo/")


def _lines(node: yaml.Node, part: str) -> dict[str, int]:
    """Line by field of `metadata` or `spec`."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == part and isinstance(value, yaml.MappingNode):
            return {str(name.value): name.start_mark.line + 1 for name, _ in value.value}
    return {}


def _document(raw: Any, source: str, node: yaml.Node) -> Document:
    line = node.start_mark.line + 1
    where = f"{source}, line {line}"
    if not isinstance(raw, dict) or raw.get("apiVersion") != API_VERSION:
        raise Invalid(f"{where}: apiVersion must be {API_VERSION}.")
    kind = _BY_NAME.get(str(raw.get("kind")))
    if kind is None:
        raise Invalid(f"{where}: there is no kind {raw.get('kind')!r}.", "Kinds: " + ", ".join(_BY_NAME))
    metadata, spec = raw.get("metadata"), raw.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise Invalid(f"{where}, {kind.name}: metadata and spec are mappings.")
    if missing := [name for name in kind.metadata if not isinstance(metadata.get(name), str) or not metadata[name]]:
        raise Invalid(f"{where}, {kind.name}: metadata.{missing[0]} is missing, or no text.")
    allowed = (*kind.metadata, *kind.labels)
    if extra := sorted(map(str, set(metadata) - set(allowed))):
        raise Invalid(f"{where}, {kind.name}: metadata has no {extra[0]!r}.", "It holds: " + ", ".join(allowed))
    if misplaced := sorted(set(spec) & set(kind.labels)):
        raise Invalid(f"{where}, {kind.name}: {misplaced[0]} stands in metadata, not in spec.")
    spec = {**{name: metadata[name] for name in kind.labels if name in metadata}, **spec}
    chosen = {name: _plain(metadata[name]) for name in kind.metadata}
    named = f"{kind.name} {'/'.join(chosen.values())}"
    taken = _spec(kind, spec, source, line, named, _lines(node, "spec"))
    return Document(kind, chosen, taken, f"{where}, {named}")


def _plain(name: str) -> str:
    """People are known by their address, in small letters."""
    return name.lower() if "@" in name else name


def _spec(kind: Kind, spec: Mapping[Any, Any], source: str, line: int, named: str, lines: Mapping[str, int]) -> Spec:
    if unknown := sorted(map(str, set(spec) - set(kind.fields))):
        where = f"{source}, line {lines.get(unknown[0], line)}, {named}"
        raise Invalid(f"{where}: {kind.name} has no field {unknown[0]!r}.", "Fields: " + ", ".join(kind.fields))
    for name, field in kind.fields.items():
        if field.needed and name not in spec:
            raise Invalid(f"{source}, line {line}, {named}: spec.{name} is missing.", f"It must be {field.wants}.")
    taken: Spec = {}
    for name, value in spec.items():
        try:
            taken[name] = kind.fields[name].take(value)
        except Invalid as problem:
            where = f"{source}, line {lines.get(name, line)}, {named}"
            raise Invalid(f"{where}: spec.{name}: {problem.message}", problem.hint) from None
        except (ValueError, TypeError):
            where = f"{source}, line {lines.get(name, line)}, {named}"
            raise Invalid(f"{where}: spec.{name} must be {kind.fields[name].wants}, not {value!r}.") from None
    return taken
