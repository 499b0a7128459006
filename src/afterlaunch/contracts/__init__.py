"""Formats that two processes share: the gateway's configuration snapshot, cohort hashing."""
