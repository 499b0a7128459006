"""A simulated production AI system, played in front of the real product."""
