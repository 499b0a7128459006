"""What of a changed contract breaks who reads the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterlaunch.data_contracts.compatibility import differences
from afterlaunch.data_contracts.contract import read, write
from afterlaunch.data_contracts.tables import Text
from afterlaunch.ground.errors import AfterlaunchError

BEFORE = """
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {name: rates, owner: team-finance}
spec:
  columns:
  - {name: currency, values: [EUR, USD], required: true}
  - {name: rate, type: number, range: {least: 0, most: 10}, nulls: 0.1, unit: per EUR}
  freshness: {column: currency, most: 3h}
  upstream: {kind: api, provider: Rates Ltd}
"""


@pytest.mark.parametrize(
    ("old", "new", "kind", "breaking"),
    [
        ("  - {name: currency, values: [EUR, USD], required: true}\n", "  - {name: rate2}\n", "column_removed", True),
        ("type: number", "type: integer", "type_changed", True),
        ("per EUR", "per USD", "unit_changed", True),
        ("[EUR, USD]", "[EUR, USD, GBP]", "values_changed", True),
        ("[EUR, USD]", "[EUR]", "values_changed", True),
        ("most: 10", "most: 9", "range_changed", False),
        ("most: 10", "most: 11", "range_changed", True),
        ("nulls: 0.1", "nulls: 0.2", "nulls_changed", True),
        ("nulls: 0.1", "nulls: 0.01", "nulls_changed", False),
        ("required: true", "required: false", "required_changed", True),
        ("most: 3h", "most: 4h", "freshness_changed", True),
        ("most: 3h", "most: 2h", "freshness_changed", False),
        ("Rates Ltd}", "Rates Ltd, deprecated: 2027-01-01}", "upstream_changed", True),
        ("spec:\n  columns:\n", "spec:\n  columns:\n  - {name: at}\n", "column_added", False),
        ("team-finance", "team-money", "owner_changed", False),
    ],
)
def test_breaking_or_not(old: str, new: str, kind: str, breaking: bool) -> None:
    before = BEFORE if kind != "column_removed" else BEFORE.replace("column: currency", "column: rate")
    assert old in before
    found = differences(read(before), read(before.replace(old, new, 1)))
    assert (kind, breaking) in [(one.kind, one.breaking) for one in found]


def test_the_same_contract_differs_in_nothing() -> None:
    assert differences(read(BEFORE), read(write(read(BEFORE)))) == []


def test_json_lines_are_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1, "b": "x"}\n\n{"a": 2.5, "c": [1]}\n{"b": null, "a": true}\n')
    table = Text(path)
    (stretch,) = table
    assert table.names == ["a", "b", "c"] and stretch.rows == 3
    cells = {name: [column.cell(row) for row in range(3)] for name, column in stretch.columns.items()}
    assert cells == {"a": ["1", "2.5", "true"], "b": ["x", "", ""], "c": ["", "[1]", ""]}
    for wrong in ('{"a": 1}\n{"a"', '{"a": 1}\n[1]'):
        path.write_text(wrong)
        with pytest.raises(AfterlaunchError) as caught:
            Text(path)
        assert "Line 2" in caught.value.message
