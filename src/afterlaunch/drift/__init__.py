"""Judges of drift: two profiles of one column, or one window after the other. Pure, but for the one-shot command."""
