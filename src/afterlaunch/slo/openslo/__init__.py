"""OpenSLO v1 files: read, checked as a whole, written again."""
