"""Judges of reliability: errors, timeouts, latency."""
