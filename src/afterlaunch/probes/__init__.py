"""Judges of what we depend on: provider health."""
