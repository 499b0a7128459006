"""Judges of answers: refusals and truncated output."""
