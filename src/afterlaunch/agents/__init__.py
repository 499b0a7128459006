"""Agents while they run: runs that got out of hand, and loops."""
