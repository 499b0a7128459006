"""What holds retraining back are judges that exist."""

from __future__ import annotations

from afterlaunch.app.judges import TITLES
from afterlaunch.retraining.rules import BLOCKING


def test_the_judges_that_hold_retraining_back_are_run() -> None:
    assert set(BLOCKING) == {"data.contract", "data.quality", "labels.sources"} and set(BLOCKING) <= set(TITLES)
