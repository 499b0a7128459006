"""Telling those who wait: one update, a text for each audience, and the promised time of the next."""
