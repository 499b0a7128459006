"""Judges of unusual volume."""
