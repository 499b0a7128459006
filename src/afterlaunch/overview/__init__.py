"""Pages that join rooms."""
