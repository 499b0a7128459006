"""Verdict changes, deduplicated, become incidents."""
