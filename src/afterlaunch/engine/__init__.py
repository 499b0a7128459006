"""Named duties, each with its own lock and its own failure, and the proof of a finished cycle."""
