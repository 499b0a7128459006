"""Copies of callers' requests that a candidate answers for nobody."""
