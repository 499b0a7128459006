"""Gateway routes, their arms, upstreams and keys, and the snapshot they make."""
