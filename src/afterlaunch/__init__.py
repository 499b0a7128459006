"""Afterlaunch keeps AI systems healthy after launch."""

__version__ = "0.1.0"
