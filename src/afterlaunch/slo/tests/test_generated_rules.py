"""Generated rules say the same as those that another generator made of the same files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.real_input import real

from afterlaunch.slo.explain import explain, windows_of
from afterlaunch.slo.openslo.problems import Findings

SLOTH = "data/slo-sloth"
PLAIN = ("getting-started.yml", "raw-home-wifi.yml", "k8s-home-wifi.yml", "no-alerts.yml")
PROMTOOL = shutil.which("promtool")


def rules_of(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for group in groups for rule in group["rules"]]


def plain(expr: str) -> str:
    """Without white space and brackets that change nothing; label names of one house for those of the other."""
    text = re.sub(r"\bsloth_(id|service|window)\b", r"slo_\1", expr).replace("sloth_slo", "slo_name")
    text = re.sub(r"vector\(([0-9.]+)\)", lambda m: f"vector({float(m[1]):.9f})", text)
    text = re.sub(r"vector\(1-([0-9.]+)\)", lambda m: f"vector({1 - float(m[1]):.9f})", text)
    text = re.sub(r"\(([0-9.]+) \* ([0-9.e-]+)\)", lambda m: f"{float(m[1]) * float(m[2]):.9f}", text)
    return re.sub(r"[\s()]", "", text)


def told(rules: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Record or alert -> its expressions, in any order."""
    out: dict[str, list[str]] = {}
    for rule in rules:
        labels = rule["labels"]
        severity = labels.get("sloth_severity", labels.get("slo_severity"))
        slo = labels.get("sloth_slo", labels.get("slo_name"))
        name = f"{severity} {rule['alert']}" if severity else f"{slo} {rule['record']}"
        out.setdefault(name, []).append(plain(rule["expr"]))
    return {name: sorted(exprs) for name, exprs in out.items()}


def expected(name: str) -> list[dict[str, Any]]:
    document = yaml.safe_load(real(f"{SLOTH}/expected/{name}").read_text())
    groups = document["spec"]["groups"] if "spec" in document else document["groups"]
    ours = ("sloth_slo_info", "slo:numerator_correction")
    return [rule for rule in rules_of(groups) if not str(rule.get("record", "")).startswith(ours)]


@pytest.mark.parametrize("name", PLAIN)
def test_every_rule_says_what_the_other_generator_says(name: str) -> None:
    found = explain(real(f"{SLOTH}/in/{name}").read_text(), name)
    assert not found.errors
    assert told(rules_of(found.groups)) == told(expected(name))


@pytest.mark.parametrize("name", PLAIN)
def test_labels_and_annotations_of_the_file_stand_in_its_alerts(name: str) -> None:
    found = explain(real(f"{SLOTH}/in/{name}").read_text(), name)
    theirs = {
        (rule["alert"], rule["labels"]["sloth_severity"]): rule["labels"] for rule in expected(name) if "alert" in rule
    }
    ours = [rule for rule in rules_of(found.groups) if "alert" in rule]
    assert len(ours) == len(theirs)
    for rule in ours:
        other = theirs[rule["alert"], rule["labels"]["slo_severity"]]
        assert {key: value for key, value in other.items() if not key.startswith("sloth_")}.items() <= rule[
            "labels"
        ].items()


def test_windows_of_ones_own_are_used() -> None:
    findings = Findings()
    for name, factor in (
        ("examples_7d.yaml", "13.44"),
        ("examples_custom-30d.yaml", "14.4"),
        ("test_7d.yaml", "13.44"),
    ):
        chosen = windows_of(real(f"{SLOTH}/windows/{name}").read_text(), name, findings)
        assert chosen is not None
        found = explain(real(f"{SLOTH}/in/getting-started.yml").read_text(), "getting-started.yml", chosen=chosen)
        assert found.slos[0]["pairs"][0]["factor"] == factor
        assert found.slos[0]["period"] == str(chosen[0])
    assert not findings.errors


def test_the_version_that_is_not_read_is_named() -> None:
    name = "openslo-kubernetes-apiserver.yml"
    found = explain(real(f"{SLOTH}/in/{name}").read_text(), name)
    assert [(one.where.document, one.where.path) for one in found.errors] == [(1, "apiVersion"), (2, "apiVersion")]
    assert "openslo/v1alpha" in found.errors[0].message


def test_published_openslo_examples_are_read() -> None:
    root = real(f"{SLOTH}/openslo")
    errors = {}
    for file in sorted(root.rglob("*.yaml")):
        found = explain(file.read_text(), file.name)
        errors[str(file.relative_to(root))] = [str(one) for one in found.errors]
    assert [name for name, wrong in errors.items() if wrong] == ["budgeting-method/timeslices-slo.yaml"]
    assert "M is months" in errors["budgeting-method/timeslices-slo.yaml"][0]


OURS = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: answers, labels: {team: core}}
spec:
  service: assistant
  indicator:
    metadata: {name: answered}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'answers_total{ok="1"}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: answers_total}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: METHOD
  objectives: [{target: 0.99}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: quick}
spec:
  service: assistant
  indicator:
    metadata: {name: latency}
    spec:
      thresholdMetric: {metricSource: {type: Prometheus, spec: {query: 'max by (le) (latency_ms / 2)'}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lt, value: 500, target: 0.95}]
"""
SLICES = OURS.replace("METHOD", "Timeslices").replace(
    "{target: 0.99}", "{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5}"
)


@pytest.mark.parametrize("text", [OURS.replace("METHOD", "Occurrences"), SLICES], ids=["events", "slices"])
def test_prometheus_itself_takes_the_rules(text: str, tmp_path: Path) -> None:
    if PROMTOOL is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    found = explain(text, "ours.yaml")
    assert not found.errors
    groups = list(found.groups)
    for name in PLAIN:
        groups += explain(real(f"{SLOTH}/in/{name}").read_text(), name).groups
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    done = subprocess.run([PROMTOOL, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
