"""Rotations, overrides, escalation: who is it now."""
