"""`afterlaunch slo rules`, as somebody types it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from afterlaunch.cli.main import app

runner = CliRunner()
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {{name: grounded}}
spec:
  service: assistant
  indicator:
    metadata: {{name: grounded-answers}}
    spec:
      ratioMetric:
        counter: true
        good: {{metricSource: {{type: Prometheus, spec: {{query: grounded_total}}}}}}
        total: {{metricSource: {{type: Prometheus, spec: {{query: answers_total}}}}}}
  timeWindow: [{{duration: {period}, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{target: {target}}}]
"""


def run(tmp_path: Path, text: str, *more: str) -> tuple[int, str, str]:
    file = tmp_path / "slo.yaml"
    file.write_text(text)
    done = runner.invoke(app, ["slo", "rules", str(file), *more])
    return done.exit_code, done.stdout, done.stderr


def test_rules_come_out_as_yaml_and_the_windows_beside_them(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, SLO.format(period="30d", target="0.999"))
    assert code == 0
    names = [group["name"] for group in yaml.safe_load(out)["groups"]]
    assert names == [f"slo-{part}-assistant-grounded" for part in ("sli", "meta", "alerts")]
    assert "14.4" in err


def test_a_pair_that_can_never_fire_is_an_error(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, SLO.format(period="30d", target="0.9"), "--json")
    told = json.loads(out)
    fast = told["slos"][0]["pairs"][0]
    assert (code, told["dead_pairs"], fast["state"]) == (1, 1, "dead")
    assert fast["offer"] == {"factor": "5", "budget_share": "0.00694444"}
    alerts = [rule for group in told["rules"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert all("14.4" not in rule["expr"] for rule in alerts)


def test_everything_that_is_wrong_is_named_with_file_document_and_path(tmp_path: Path) -> None:
    text = SLO.format(period="5 d", target="1.5") + "---\nkind: SLO\napiVersion: openslo/v2\n"
    code, out, _ = run(tmp_path, text, "--json")
    found = [(one["document"], one["path"]) for one in json.loads(out)["errors"]]
    assert code == 2
    assert (1, "spec.timeWindow[0].duration") in found
    assert (1, "spec.objectives[0].target") in found
    assert (2, "apiVersion") in found
    assert json.loads(out)["errors"][0]["file"].endswith("slo.yaml")


def test_what_is_no_yaml_or_no_file_is_wrong_use(tmp_path: Path) -> None:
    assert run(tmp_path, "a: [b")[0] == 2
    assert run(tmp_path, "- 1\n- 2")[0] == 2
    assert runner.invoke(app, ["slo", "rules", str(tmp_path / "none.yaml")]).exit_code == 2
    assert run(tmp_path, SLO.format(period="30d", target="0.99"), "--period", "x")[0] == 2
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
    )
    assert run(tmp_path, bomb)[0] == 2
