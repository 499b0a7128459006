"""Promises: which time a client was promised, when it falls due, and who takes over when nobody got there."""
