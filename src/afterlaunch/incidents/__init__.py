"""Lifecycle, clocks, timeline."""
