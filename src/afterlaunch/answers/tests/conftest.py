"""Tests that ask for `place` run on both engines."""

from afterlaunch.telemetry.tests.places import place, places  # noqa: F401
