"""Tests that ask for `place` or `places` run on both engines."""

from afterlaunch.telemetry.tests.places import module_place, place, places  # noqa: F401
