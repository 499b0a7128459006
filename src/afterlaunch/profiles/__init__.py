"""Profiles of columns: what a window of data looks like, folded once and added up for ever."""
