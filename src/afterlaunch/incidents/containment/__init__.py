"""Stopping harm: a menu by kind of incident, a dry run first, a cap on what one person may touch, undo, and proof."""
