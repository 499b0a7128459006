"""What changed before it went wrong, and where it concentrates."""
