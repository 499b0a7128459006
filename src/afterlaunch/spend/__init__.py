"""Judges of cost and cache."""
